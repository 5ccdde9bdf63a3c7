"""Decorators of the program's own that only wrap: they call nothing of the function below them.

`def timed(f): def run(job): ...f(job)...; return run`, and what makes such a one: `retry(3)`.
"""

from __future__ import annotations

import ast
from typing import Iterable, Union

from .access import is_literal

_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
# What copies a function's name and text onto another.
_COPIERS = frozenset({"wraps", "functools.wraps"})


def wrapping(nodes: Iterable[ast.stmt]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of functions that only wrap, and of those that make one when called."""
    found = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    plain = [node for node in found if not node.decorator_list]
    wraps = frozenset(node.name for node in plain if _only_wraps(node))
    return wraps, frozenset(node.name for node in plain if _makes_wrapper(node))


def is_wrapped_by(decorator: ast.expr, wraps: frozenset[str], makers: frozenset[str]) -> bool:
    """Tell whether a decorator is one of these functions, or the call of a maker with literals."""
    if isinstance(decorator, ast.Name):
        return decorator.id in wraps
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Name):
        return False
    given = [*decorator.args, *(keyword.value for keyword in decorator.keywords)]
    return decorator.func.id in makers and all(map(is_literal, given))


def _only_wraps(node: _Function) -> bool:
    """Tell whether a function keeps its argument for inner functions, and returns one of these."""
    given = node.args
    first = [*given.posonlyargs, *given.args][:1]
    more = [*given.args[1:], *given.kwonlyargs, given.vararg, given.kwarg]
    if isinstance(node, ast.AsyncFunctionDef) or not first or any(more) or _has_defaults(node):
        return False
    inner = _inner(node)
    return inner is not None and all(_is_inner(each, first[0].arg) for each in inner)


def _makes_wrapper(node: _Function) -> bool:
    inner = _inner(node)
    return (
        inner is not None
        and isinstance(node, ast.FunctionDef)
        and all(_only_wraps(each) and not each.decorator_list for each in inner)
        and all(is_literal(d) for d in [*node.args.defaults, *node.args.kw_defaults] if d)
    )


def _inner(node: _Function) -> list[_Function] | None:
    """Return the functions that a body defines; None where it does more than return one."""
    inner, is_returned = list[_Function](), False
    for part in node.body:
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inner.append(part)
        elif isinstance(part, ast.Return):
            names = {each.name for each in inner}
            is_returned = isinstance(part.value, ast.Name) and part.value.id in names
        elif not _is_quiet(part):
            return None
    return inner if is_returned else None


def _is_quiet(part: ast.stmt) -> bool:
    """Tell whether a statement is a text, or gives a name a literal or an empty container."""
    if isinstance(part, ast.Expr):
        return isinstance(part.value, ast.Constant)
    if not isinstance(part, ast.Assign) or not isinstance(part.targets[0], ast.Name):
        return isinstance(part, ast.Nonlocal)
    return is_literal(part.value) or ast.unparse(part.value) in ("{}", "[]")


def _is_inner(node: _Function, given: str) -> bool:
    """Tell whether making an inner function calls nothing but what copies names from `given`."""
    copies = all(
        isinstance(each, ast.Call)
        and ast.unparse(each.func) in _COPIERS
        and [ast.unparse(part) for part in (*each.args, *each.keywords)] == [given]
        for each in node.decorator_list
    )
    return copies and not _has_defaults(node)


def _has_defaults(node: _Function) -> bool:
    return bool(node.args.defaults) or any(node.args.kw_defaults)
