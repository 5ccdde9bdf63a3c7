"""The program's local modules: what each is made of, and what comes anew when one does."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Collection

from ..planner.facts import Facts
from ..planner.local import Local, top_of
from ..planner.sources import Source
from .directory import RunDirectory
from .worker_program import WireProgram


def local_modules(directory: RunDirectory, program: WireProgram) -> Local:
    """Return the local modules among the program's files."""
    files = {path: digest for path, (digest, _size) in program.files.items()}
    sources = {
        path: _source(os.fspath(directory.values / digest))
        for path, digest in files.items()
        if path.endswith(".py")
    }
    return Local(files, sources)


def statements(
    directory: RunDirectory, program: WireProgram, tops: Collection[str]
) -> dict[str, list[Facts]]:
    """Return what the statements of these local modules do."""
    found: dict[str, list[Facts]] = {each: [] for each in tops}
    for path, (digest, _size) in program.files.items():
        if path.endswith(".py") and top_of(path) in found:
            found[top_of(path)] += _source(os.fspath(directory.values / digest)).facts
    return found


@lru_cache(maxsize=5_000)
def _source(path: str) -> Source:
    """Return what the file at a path that is named after its content tells."""
    try:
        return Source(Path(path).read_bytes().decode("utf-8", "replace"))
    except OSError:
        # The import itself will say what is wrong with it.
        return Source("")


def unseen_change(
    directory: RunDirectory,
    before: WireProgram | None,
    program: WireProgram,
    shown: Collection[str],
) -> str | None:
    """Return a file that is another than before and that no step shows to depend on.

    `shown` are the modules that steps import. Others are a data file or a script which the
    text finds by `__file__`, a module that was imported from a folder on the search path,
    or by a name that the text works out: only a fresh process reads it anew. So it is with
    a file that came or went where the texts look for it, and with a module that came
    where a library of its name is loaded.
    """
    if before is None or before.files == program.files:
        return None
    app, old = directory.app, before.files
    changed = [
        path
        for path, found in program.files.items()
        if path in old and list(old[path]) != list(found)
    ]
    others = _looked_for(directory, before, program, shown) | _covering(app, before, program)
    if others:
        return min(others)
    if not changed:
        return None  # nearly every edit: looking through all modules costs 17 ms
    imported = {
        os.path.realpath(app / file): name.split(".")[0]
        for name, module in list(sys.modules.items())
        for file in [getattr(module, "__file__", None)]
        if isinstance(file, str)
    }
    for path in changed:
        top = imported.get(os.path.realpath(app / path), top_of(path))
        if top_of(path) not in shown or top != top_of(path):
            return path
    return None


def _looked_for(
    directory: RunDirectory, before: WireProgram, program: WireProgram, shown: Collection[str]
) -> set[str]:
    """Return files that came or went though no text began, or ceased, to name them."""
    others = [
        path for path in before.files.keys() ^ program.files.keys() if top_of(path) not in shown
    ]
    was, now = (_texts(directory, each) if others else "" for each in (before, program))
    return {path for path in others if _named(path, was) == _named(path, now)}


def _named(path: str, text: str) -> list[bool]:
    """Return which parts of a path a text has: folders, the file, the file without its suffix."""
    return [part in text for part in (*Path(path).parts, Path(path).stem)]


def _texts(directory: RunDirectory, program: WireProgram) -> str:
    """Return the text of a program and of its modules."""
    sources = (
        (directory.values / digest).read_text("utf-8", "replace")
        for path, (digest, _size) in program.files.items()
        if path.endswith(".py") and (directory.values / digest).exists()
    )
    return "\n".join([program.text, *sources])


def _covering(app: Path, before: WireProgram, program: WireProgram) -> set[str]:
    """Return new modules that have the name of one that was loaded from elsewhere."""
    roots = os.fspath(app), os.path.realpath(app)
    found = set[str]()
    for path in program.files.keys() - before.files.keys():
        file = getattr(sys.modules.get(top_of(path)), "__file__", None)
        if path.endswith(".py") and isinstance(file, str) and not file.startswith(roots):
            found.add(path)
    return found


def are_found_by(entries: Collection[str]) -> bool:
    """Tell whether any loaded module lies in one of these directories of `sys.path`."""
    roots = tuple(os.path.realpath(each).rstrip(os.sep) + os.sep for each in entries)
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return bool(roots) and any(
        os.path.realpath(file).startswith(roots) for file in files if isinstance(file, str)
    )


def purge(modules: Collection[str]) -> None:
    """Forget these modules and their submodules: the next import runs them again."""
    for name in list(sys.modules) if modules else ():
        if name.split(".")[0] in modules:
            del sys.modules[name]
