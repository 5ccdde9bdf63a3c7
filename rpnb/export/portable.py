"""What runs in the loop and cannot stand in a file.

A step may `await` at top level on the worker, whose loop is always there;
Python refuses it in a file. IPython's own syntax and `get_ipython` have no
meaning outside a kernel.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ..errors import ExportError
from .files import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..program.steps import Program

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_WAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith)


def refuse_unportable(program: Program) -> None:
    """Return if the program's text is a file that plain Python runs.

    Raises:
        ExportError: it awaits at top level, or holds something only IPython
            understands; names the cell and line, and what to write instead.
    """
    tree = _parsed(program)
    for node in _module_level(tree):
        if isinstance(node, _WAITS) or (isinstance(node, ast.comprehension) and node.is_async):
            raise ExportError(_await_text(program, node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "get_ipython":
            raise ExportError(
                f"{place_of(program, node.lineno)} calls get_ipython(), which only a notebook "
                "has: keep that line in an ordinary cell"
            )


def _parsed(program: Program) -> ast.Module:
    try:
        return ast.parse(program.text)
    except SyntaxError as error:
        line = error.lineno or 1
        typed = program.text.split("\n")[line - 1].strip()
        if typed.startswith(("%", "!", "?")) or typed.endswith("?"):
            raise ExportError(
                f"{place_of(program, line)} is IPython's own syntax ({typed[:40]}), which a file "
                "cannot hold: move it to an ordinary cell, or write it as Python"
            ) from None
        raise ExportError(
            f"{place_of(program, line)} is not Python as this interpreter reads it: {error.msg}"
        ) from None


def _module_level(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when the file is loaded: no function's body."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, _SCOPES):
            yield from _module_level(child)
        else:
            yield from _evaluated_by_definition(child)


def _evaluated_by_definition(function: ast.AST) -> Iterator[ast.AST]:
    arguments: ast.arguments = function.args  # type: ignore[attr-defined]  # all _SCOPES have it
    evaluated = [*arguments.defaults, *filter(None, arguments.kw_defaults)]
    for node in [*evaluated, *getattr(function, "decorator_list", [])]:
        yield node
        yield from _module_level(node)


def _await_text(program: Program, node: ast.AST) -> str:
    # A comprehension has no line of its own; what it iterates over has.
    line: int = getattr(node, "lineno", 0) or getattr(getattr(node, "iter", None), "lineno", 1)
    return (
        f"{place_of(program, line)} awaits at top level, which a file cannot. Write "
        "`async def load(): …` around it and `value = asyncio.run(load())` below"
    )
