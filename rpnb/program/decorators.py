"""`@rpnb.setup` and `@rpnb.handler`: marks for rpnb, which no exported file needs."""

from __future__ import annotations

import ast

_MARKS = frozenset({"rpnb.setup", "rpnb.handler"})


def marks(node: ast.AST) -> list[ast.expr]:
    """Return the decorators of a definition that are rpnb's own."""
    return [each for each in getattr(node, "decorator_list", ()) if _text(each) in _MARKS]


def is_handler(node: ast.AST) -> bool:
    """Tell whether a definition is marked with `@rpnb.handler`."""
    return any(_text(each) == "rpnb.handler" for each in marks(node))


def mark_lines(tree: ast.Module) -> set[int]:
    """Return the lines that hold a mark of rpnb's and nothing else."""
    return {
        line
        for node in ast.walk(tree)
        for mark in marks(node)
        for line in range(mark.lineno, (mark.end_lineno or mark.lineno) + 1)
    }


def _text(decorator: ast.expr) -> str:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(target)
