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
from .path_expressions import ELSEWHERE, Reading

_ADDING = ("sys.path.append", "sys.path.insert", "sys.path.extend", "site.addsitedir")


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
    fixed = set(_folders(tree, ELSEWHERE / beside, ELSEWHERE))
    root = file.parents[len(PurePosixPath(beside).parts) - 1]
    return [Added(Path(each), "" if each in fixed else _inside(each, root)) for each in found]


def _inside(here: str, root: Path) -> str:
    relative = posixpath.relpath(here, str(root))
    return "" if relative == "." or relative.startswith("..") else relative


def _folders(tree: ast.Module, file: Path, cwd: Path) -> list[str]:
    reading = Reading(tree, file, cwd)
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
