"""The files that a text reads beside itself: what it names by way of `__file__`.

They lie where the text expects them, on the target as in production's image, so
they travel with it like its modules.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from .path_expressions import ELSEWHERE, Reading

# A larger folder is not meant to travel with each edit: weights, a data set.
_LIMIT_BYTES = 64 << 20
# A text that is longer, or has such characters, is no file's name.
_LONGEST, _NO_NAME = 200, re.compile(r"\A/|[\x00-\x1f{}<>]|(\A|/)\.\.(/|\Z)")
_SKIPPED = frozenset({"__pycache__", "node_modules"})


def named_by_file(text: str, file: Path, *, beside: str, cwd: Path) -> dict[str, Path]:
    """Return what a text names by `__file__`, by its place in the program's folder.

    `beside` is the text's own place there. A folder in which the text itself lies
    is not meant.
    """
    if "__file__" not in text:
        return {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return {}
    root = file.parents[len(PurePosixPath(beside).parts) - 1]
    here, there = Reading(tree, file, cwd), Reading(tree, ELSEWHERE / beside, cwd)
    named = dict.fromkeys(_named(tree, here, there))
    inside = [each for each in named if root in each.parents and each not in (file, *file.parents)]
    return {str(each.relative_to(root)): each for each in inside}


def left_behind(text: str, sent: Collection[str], folder: Path) -> str | None:
    """Return what to say of files in `folder` that a text names and that are not among `sent`.

    For a run that failed: a plain relative name does not make a file travel, and
    what misses it may be a child process or a library with an error of its own.
    """
    named = (str(PurePosixPath(each)) for each in dict.fromkeys(_file_names(text)))
    found = [each for each in named if each not in sent and (folder / each).is_file()][:3]
    if not found:
        return None
    large = [each for each in found if (folder / each).stat().st_size > _LIMIT_BYTES]
    if large:
        return (
            f"`{large[0]}` lies beside the notebook and is over {_LIMIT_BYTES >> 20} MB, which do "
            "not travel with a program: get it there in a remote cell"
        )
    them = ("lies", "it does") if len(found) == 1 else ("lie", "they do")
    return (
        f"{', '.join(f'`{each}`' for each in found)} {them[0]} beside the notebook and did not "
        f'travel: written as `pathlib.Path(__file__).parent / "{found[0]}"` {them[1]}'
    )


def _file_names(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
            if len(name) <= _LONGEST and not _NO_NAME.search(name) and PurePosixPath(name).suffix:
                yield name


def files_of(place: str, path: Path) -> dict[str, Path]:
    """Return the file, or all files of the folder, by their place; none if over 64 MB."""
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    tools = {each.parent for each in found if each.name == "pyvenv.cfg"}
    wanted = [f for f in found if _is_wanted(f, path) and tools.isdisjoint(f.parents)]
    size = sum(each.stat().st_size for each in wanted)
    near = {str(PurePosixPath(place) / each.relative_to(path)): each for each in wanted}
    return near if size <= _LIMIT_BYTES else {}


def _named(node: ast.AST, here: Reading, there: Reading) -> Iterator[Path]:
    """The paths that move with the file; of nested expressions the outermost is meant."""
    for child in ast.iter_child_nodes(node):
        values, moved = list[str](), list[str]()
        if isinstance(child, (ast.Call, ast.BinOp, ast.JoinedStr)):
            values, moved = list(here.values(child)), list(there.values(child))
        yield from (Path(value) for value in values if value not in moved)
        if not values:
            yield from _named(child, here, there)


def _is_wanted(file: Path, folder: Path) -> bool:
    parts = file.relative_to(folder).parts
    return file.is_file() and not any(map(is_of_tools, parts)) and file.suffix != ".pyc"


def is_of_tools(name: str) -> bool:
    """Tell whether a file or folder of this name is what tools leave behind."""
    return name.startswith(".") or name in _SKIPPED
