"""The folders that a text puts on `sys.path`, worked out without running it.

People write them in many ways: `"src"`, `os.path.join(os.getcwd(), "src")`,
`str(Path(__file__).resolve().parent / "src")`, `".."`. An expression of such
parts has a value that only depends on where the file lies; anything else has none.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from . import dotted

_Value = str | PurePosixPath
_ADDING = ("sys.path.append", "sys.path.insert", "sys.path.extend", "site.addsitedir")
_PATHS = ("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath")
_SAME = ("str", "os.fspath")
_ABSOLUTE = ("os.path.abspath", "os.path.realpath")
_ELSEWHERE = Path("/elsewhere")
# A name that is bound in terms of itself has no value.
_DEPTH = 12


@dataclass(frozen=True)
class Added:
    """A folder on the search path: where it is here, and beside the program ("" for there itself).

    What lies above the program's folder, or is written as an absolute path, has no
    place of its own there: its modules lie beside the program.
    """

    here: Path
    beside: str


def added(text: str, file: Path, *, beside: str, cwd: Path) -> list[Added]:
    """Return the folders that a text puts on `sys.path` when it runs as `file`, in order.

    `beside` is that file's place in the program's folder, `cwd` the folder in which
    the program runs. A text that Python cannot parse adds none.
    """
    if "sys" not in text and "site" not in text:
        return []
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    found = _folders(tree, file, cwd)
    # The same text elsewhere: what does not move with its file is absolute.
    fixed = set(_folders(tree, _ELSEWHERE / beside, _ELSEWHERE))
    root = file.parents[len(PurePosixPath(beside).parts) - 1]
    return [Added(Path(each), "" if each in fixed else _inside(each, root)) for each in found]


def _inside(here: str, root: Path) -> str:
    relative = posixpath.relpath(here, str(root))
    return "" if relative == "." or relative.startswith("..") else relative


def _folders(tree: ast.Module, file: Path, cwd: Path) -> list[str]:
    reading = _Reading(tree, file, cwd)
    values = (value for each in _added(tree, reading.imported) for value in reading.values(each))
    return list(dict.fromkeys(posixpath.normpath(posixpath.join(str(cwd), v)) for v in values))


def _added(tree: ast.Module, imported: dict[str, str]) -> Iterator[ast.expr]:
    """The expressions of what is put there; a list is given by its elements."""
    adding = (ast.Call, ast.Assign, ast.AugAssign)
    nodes = [node for node in ast.walk(tree) if isinstance(node, adding)]
    for node in sorted(nodes, key=lambda each: (each.lineno, each.col_offset)):
        if isinstance(node, ast.Call) and dotted.name(node.func, imported) in _ADDING:
            for argument in node.args:
                yield from _elements(argument)
        elif not isinstance(node, ast.Call):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_is_search_path(each, imported) for each in targets):
                yield from _elements(node.value)


def _is_search_path(target: ast.expr, imported: dict[str, str]) -> bool:
    whole = target.value if isinstance(target, ast.Subscript) else target
    return dotted.name(whole, imported) == "sys.path"


def _elements(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, (ast.List, ast.Tuple)):
        yield from node.elts
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        # `[ROOT, *others] + sys.path`; `ROOT + "/src"` is an element itself.
        sides = (node.left, node.right)
        lists = [each for each in sides if isinstance(each, (ast.List, ast.Tuple))]
        yield from (part for each in lists for part in _elements(each))
        if not lists:
            yield node
    else:
        yield node


class _Reading:
    """The values that expressions of a text may have, as far as the file's place tells."""

    def __init__(self, tree: ast.Module, file: Path, cwd: Path) -> None:
        self.imported = dotted.imported(tree)
        self._file, self._folder = PurePosixPath(file), PurePosixPath(cwd)
        self._bound: dict[str, list[ast.expr]] = {}
        for name, value in _bindings(tree):
            self._bound.setdefault(name, []).append(value)

    def values(self, node: ast.expr) -> Iterator[str]:
        """Yield the paths that the expression may be."""
        for value in self._values(node, _DEPTH):
            yield str(value)

    def _values(self, node: ast.expr, depth: int) -> Iterator[_Value]:
        if not depth:
            return
        if isinstance(node, ast.Name) and node.id in self._bound:
            for each in self._bound[node.id]:
                yield from self._values(each, depth - 1)
            return
        value = self._value(node, depth - 1)
        if value is not None:
            yield value

    def _one(self, node: ast.expr, depth: int) -> _Value | None:
        return next(self._values(node, depth), None)

    def _value(self, node: ast.expr, depth: int) -> _Value | None:
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            return str(self._file) if node.id == "__file__" else None
        if isinstance(node, ast.BinOp):
            return self._joined(node, depth)
        if isinstance(node, ast.JoinedStr):
            return self._formatted(node, depth)
        if isinstance(node, ast.Call):
            return self._called(node, depth)
        if isinstance(node, ast.Attribute) and node.attr == "parent":
            path = self._one(node.value, depth)
            return path.parent if isinstance(path, PurePosixPath) else None
        if isinstance(node, ast.Attribute):
            return {"os.curdir": ".", "os.pardir": ".."}.get(dotted.name(node, self.imported))
        return self._ancestor(node, depth) if isinstance(node, ast.Subscript) else None

    def _joined(self, node: ast.BinOp, depth: int) -> _Value | None:
        left, right = self._one(node.left, depth), self._one(node.right, depth)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Div):
            return PurePosixPath(left) / right
        both = isinstance(left, str) and isinstance(right, str)
        return f"{left}{right}" if isinstance(node.op, ast.Add) and both else None

    def _formatted(self, node: ast.JoinedStr, depth: int) -> str | None:
        inner = (
            each.value if isinstance(each, ast.FormattedValue) else each for each in node.values
        )
        parts = [self._one(each, depth) for each in inner]
        return None if None in parts else "".join(map(str, parts))

    def _ancestor(self, node: ast.Subscript, depth: int) -> _Value | None:
        of, index = node.value, node.slice
        if not (isinstance(of, ast.Attribute) and of.attr == "parents"):
            return None
        path, number = self._one(of.value, depth), getattr(index, "value", None)
        if not isinstance(path, PurePosixPath) or not isinstance(number, int):
            return None
        return path.parents[number] if number < len(path.parents) else None

    def _called(self, node: ast.Call, depth: int) -> _Value | None:
        called = dotted.name(node.func, self.imported)
        if called == "os.getcwd":
            return str(self._folder)
        if called in [f"{each}.cwd" for each in _PATHS]:
            return self._folder
        given = [self._one(each, depth) for each in node.args]
        if None not in given and given:
            found = self._applied(called, [each for each in given if each is not None])
            if found is not None:
                return found
        return self._method(node, given, depth)

    def _applied(self, called: str, given: list[_Value]) -> _Value | None:
        if called in _PATHS:
            return PurePosixPath(*given)
        text = str(given[0])
        if called in _SAME:
            return text
        if called in _ABSOLUTE:
            return self._absolute(text)
        if called == "os.path.dirname":
            return posixpath.dirname(text)
        if called == "os.path.normpath":
            return posixpath.normpath(text)
        return posixpath.join(*map(str, given)) if called == "os.path.join" else None

    def _method(self, node: ast.Call, given: list[_Value | None], depth: int) -> _Value | None:
        """A method of a path, such as `Path(__file__).resolve()`."""
        if not isinstance(node.func, ast.Attribute):
            return None
        path = self._one(node.func.value, depth)
        if not isinstance(path, PurePosixPath):
            return None
        if node.func.attr in ("resolve", "absolute"):
            return PurePosixPath(self._absolute(str(path)))
        if node.func.attr == "joinpath" and None not in given:
            return path.joinpath(*[each for each in given if each is not None])
        return str(path) if node.func.attr in ("as_posix", "__str__") else None

    def _absolute(self, text: str) -> str:
        return posixpath.normpath(posixpath.join(str(self._folder), text))


def _bindings(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names with the expressions that they are bound to, and what a loop gives them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            names = [each for each in node.targets if isinstance(each, ast.Name)]
            yield from ((each.id, node.value) for each in names)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            if isinstance(node.target, ast.Name):
                yield node.target.id, node.value
        elif isinstance(node, (ast.For, ast.comprehension)) and isinstance(node.target, ast.Name):
            values = node.iter.elts if isinstance(node.iter, (ast.List, ast.Tuple)) else ()
            yield from ((node.target.id, each) for each in values)
