"""Local modules: the `.py` files and packages that a program imports and no index has.

They lie beside the notebook, on the kernel's `sys.path`, or in an editable
install. They travel as files and lie beside `handler.py` in the export.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path, PurePosixPath

from ..errors import CannotCapture
from .data_files import files_of, is_of_tools, named_by_file
from .imports import imported, names_in_strings, works_names_out
from .search_path import Added, added

# The target has these, or its overlay brings them.
_NEVER = frozenset({"rpnb", "runpod", "cloudpickle", "__main__", "IPython", "ipykernel"})
_INSTALLED = ("site-packages", "dist-packages")
_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True)
class Tree:
    """A module found here: its files by the path that they get beside the program."""

    name: str
    files: dict[str, Path]


class Modules:
    """Finds local modules; one for each build, as files change between builds."""

    def __init__(self, folder: Path | None, path: Sequence[str], texts: Iterable[str] = ()) -> None:
        self._roots = list(_roots(folder, path))
        # `sys.path.append("src")` in a text of the program: laid out there as it is here.
        self._added: list[Added] = []
        self._trees: dict[str, Tree | None] = {}
        self._named: dict[str, Path] = {}
        self._folder = folder
        self._imported: set[str] = set()
        self._texts: set[str] = set()
        program = list(texts) if folder is not None else []
        # And as the one file that they are: a cell may use what another imports or names.
        for text in dict.fromkeys([*program, "\n".join(program)]):
            self._read(text, Path(folder or "", "handler.py"), "handler.py")

    def collect(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the files of the local modules among `names` and of all that these import.

        Raises:
            CannotCapture: a package's files are too many to send.
        """
        files: dict[str, bytes] = {}
        while True:
            before = len(files)
            for name in sorted({*names, *self._imported}):
                self._take(self.find(name), files)
            for tree in self._spelled():
                self._take(tree, files)
            self._take(Tree("__file__", self._data()), files)
            if len(files) == before:
                return files

    def _take(self, tree: Tree | None, files: dict[str, bytes]) -> None:
        """Add a tree's files, and read what they ask for themselves."""
        if tree is None:
            return
        _check_size(tree)
        for relative, place in tree.files.items():
            if relative not in files:
                files[relative] = _content(tree.name, place)
                if relative.endswith(".py"):
                    self._read(files[relative].decode("utf-8", "replace"), place, relative)

    def _read(self, text: str, file: Path, beside: str) -> None:
        """Note what a text of the program imports, searches and reads."""
        cwd = self._folder or file.parent
        self._texts.add(text)
        self._imported |= imported(text)
        self._named |= named_by_file(text, file, beside=beside, cwd=cwd)
        for each in added(text, file, beside=beside, cwd=cwd):
            if each not in self._added and each.here.is_dir() and not _is_installed(each.here):
                self._added.append(each)
                # What was not to be found may be now.
                self._trees = {name: tree for name, tree in self._trees.items() if tree}

    def _spelled(self) -> Iterator[Tree]:
        """Where a text imports by a name that it works out: all modules that strings name.

        What is too large to travel was hardly meant.
        """
        if any(map(works_names_out, self._texts)):
            named = set[str]().union(*map(names_in_strings, self._texts))
            for tree in map(self.find, sorted(named)):
                if tree is not None and _size(tree) <= _LIMIT_BYTES:
                    yield tree

    def _data(self) -> dict[str, Path]:
        """The files that texts name, less folders that are only searched for modules."""
        searched = [each.here for each in self._added]
        named = [each for each in self._named.items() if each[1] not in searched]
        return {path: file for each in named for path, file in files_of(*each).items()}

    def find(self, name: str) -> Tree | None:
        """Return the local module or package of this top-level name, or None."""
        if name in _NEVER or name in sys.builtin_module_names or not name.isidentifier():
            return None
        if name not in self._trees:
            self._trees[name] = self._found(name)
        return self._trees[name]

    def _found(self, name: str) -> Tree | None:
        places = [*(("", root) for root in self._roots), *((a.beside, a.here) for a in self._added)]
        for prefix, root in places:
            tree = _tree(name, root, prefix)
            if tree is not None:
                return tree
        found = _editable(name)
        if found is not None or _is_importable(name):
            return found
        # A folder without `__init__.py` gives way to any module of its name.
        trees = (_namespace(name, root, prefix) for prefix, root in places)
        return next((tree for tree in trees if tree is not None), None)


def _roots(folder: Path | None, path: Sequence[str]) -> Iterator[Path]:
    seen: set[Path] = set()
    places = [*([folder] if folder else []), *(Path(each or ".") for each in path)]
    for place in places:
        resolved = place.resolve()
        if resolved not in seen and resolved.is_dir() and not _is_installed(resolved):
            seen.add(resolved)
            yield resolved


def _is_installed(place: Path) -> bool:
    if any(part in _INSTALLED for part in place.parts):
        return True
    library = [Path(sysconfig.get_paths()[key]).resolve() for key in ("stdlib", "platstdlib")]
    return any(place == each or each in place.parents for each in library)


def _tree(name: str, root: Path, prefix: str) -> Tree | None:
    package, module = root / name, root / f"{name}.py"
    start = PurePosixPath(prefix)
    if (package / "__init__.py").is_file():
        return Tree(name, dict(_package_files(package, start / name)))
    if module.is_file():
        return Tree(name, {str(start / f"{name}.py"): module})
    return None


def _namespace(name: str, root: Path, prefix: str) -> Tree | None:
    """A package without `__init__.py`: only its modules, as it may be any folder."""
    place = root / name
    found = dict(_modules_in(place, PurePosixPath(prefix) / name)) if place.is_dir() else {}
    return Tree(name, found) if found else None


def _modules_in(folder: Path, place: PurePosixPath) -> Iterator[tuple[str, Path]]:
    for each in sorted(folder.iterdir()):
        if each.suffix == ".py" and each.is_file():
            yield str(place / each.name), each
        elif each.name.isidentifier() and each.is_dir() and not _is_skipped(each):
            inside = _package_files if (each / "__init__.py").is_file() else _modules_in
            yield from inside(each, place / each.name)


def _package_files(package: Path, place: PurePosixPath) -> Iterator[tuple[str, Path]]:
    for each in sorted(package.iterdir()):
        if _is_skipped(each) or each.suffix == ".pyc":
            continue
        if each.is_dir():
            yield from _package_files(each, place / each.name)
        elif each.is_file():
            yield str(place / each.name), each


def _is_skipped(place: Path) -> bool:
    """Whether this is what tools leave behind; `env` is a package's part like any other."""
    return is_of_tools(place.name) or (place / "pyvenv.cfg").is_file()


def _is_importable(name: str) -> bool:
    """Whether this Python has a module of that name that is a file."""
    spec = _spec(name)
    return name in sys.stdlib_module_names or (spec is not None and spec.origin is not None)


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def _editable(name: str) -> Tree | None:
    """A module that an import hook of an editable install finds outside site-packages."""
    spec = None if name in sys.stdlib_module_names else _spec(name)
    if spec is None or not spec.origin or spec.origin in ("built-in", "frozen"):
        return None
    place = Path(spec.origin).resolve()
    if place.suffix != ".py" or _is_installed(place) or not place.is_file():
        return None
    return _tree(name, place.parent.parent if place.name == "__init__.py" else place.parent, "")


def _content(name: str, place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError as error:
        raise CannotCapture(
            f"the local module `{name}` cannot be read: {place}: {error.strerror}",
            name=name,
            path=name,
        ) from error


def _size(tree: Tree) -> int:
    return sum(place.stat().st_size for place in tree.files.values())


def _check_size(tree: Tree) -> None:
    size = _size(tree)
    if size > _LIMIT_BYTES:
        raise CannotCapture(
            f"the local package `{tree.name}` holds {size / 1e6:,.0f} MB of files. Remedy: keep "
            "its data outside the package, and get it there in a remote cell",
            name=tree.name,
            path=tree.name,
        )
