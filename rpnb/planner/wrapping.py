"""Functions that only keep what they are given: calls that run nothing of it.

Decorators of the program's own that only wrap: `def timed(f): def run(job): ...f(job)...; return
run`, and what makes such a one: `retry(3)`. Functions that close over their arguments, as `def
make(m): def run(job): ...m(job)...; return run`, `functools.partial`, and classes whose objects
store them, as `def __init__(self, m): self.m = m`.
"""

from __future__ import annotations

import ast
from typing import Collection, Iterable, Mapping, Union

from .access import is_literal

_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_EMPTY = ("{}", "[]", "set()", "dict()", "list()")
# Methods, beside `__init__`, that run when an object is made, stored on, or gone.
_STORING = frozenset({"__new__", "__setattr__", "__del__"})
# What copies a function's name and text onto another.
_COPIERS = frozenset({"wraps", "functools.wraps"})


def wrapping(nodes: Iterable[ast.stmt]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of functions that only wrap, and of those that make one when called."""
    found = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    plain = [node for node in found if not node.decorator_list]
    wraps = frozenset(node.name for node in plain if _only_wraps(node))
    return wraps, frozenset(node.name for node in plain if _makes_wrapper(node))


def keeping(nodes: Iterable[ast.stmt], imports: Mapping[str, str]) -> frozenset[str]:
    """Return how the functions and classes are spelt that only keep their arguments.

    `imports` tells what names stand for.
    """
    found = {
        node.name
        for node in nodes
        if (isinstance(node, ast.FunctionDef) and _closes(node))
        or (isinstance(node, ast.ClassDef) and _only_stores(node))
    }
    found.update(name for name, path in imports.items() if path == "functools.partial")
    found.update(f"{name}.partial" for name, path in imports.items() if path == "functools")
    return frozenset(found)


def is_kept(node: ast.stmt, keepers: Collection[str]) -> bool:
    """Tell whether a statement binds what a call of a keeper returns for names and literals."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and all(isinstance(target, ast.Name) for target in node.targets)
        and _only_keeps(node.value, keepers)
    )


def _only_keeps(node: ast.expr, keepers: Collection[str]) -> bool:
    if not isinstance(node, ast.Call):
        return isinstance(node, ast.Name) or is_literal(node)
    is_keeper = (
        isinstance(node.func, (ast.Name, ast.Attribute)) and ast.unparse(node.func) in keepers
    )
    is_plain = is_keeper and all(keyword.arg for keyword in node.keywords)
    return is_plain and all(_only_keeps(each, keepers) for each in _given(node))


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def is_wrapped_by(decorator: ast.expr, wraps: frozenset[str], makers: frozenset[str]) -> bool:
    """Tell whether a decorator is one of these functions, or the call of a maker with literals."""
    if isinstance(decorator, ast.Name):
        return decorator.id in wraps
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Name):
        return False
    return decorator.func.id in makers and all(map(is_literal, _given(decorator)))


def _only_wraps(node: _Function) -> bool:
    """Tell whether a function keeps its argument for inner functions, and returns one of these."""
    given = node.args
    first = [*given.posonlyargs, *given.args][:1]
    more = [*given.args[1:], *given.kwonlyargs, given.vararg, given.kwarg]
    if isinstance(node, ast.AsyncFunctionDef) or not first or any(more) or _has_defaults(node):
        return False
    inner = _inner(node)
    return inner is not None and all(_is_inner(each, node) for each in inner)


def _makes_wrapper(node: _Function) -> bool:
    inner = _inner(node)
    return (
        inner is not None
        and isinstance(node, ast.FunctionDef)
        and all(_only_wraps(each) and not each.decorator_list for each in inner)
        and _has_literal_defaults(node)
    )


def _closes(node: ast.FunctionDef) -> bool:
    """Tell whether a function does nothing but make inner ones, and returns one of these."""
    inner = _inner(node)
    return (
        inner is not None
        and not node.decorator_list
        and _has_literal_defaults(node)
        and not any(each.decorator_list or _runs_more(each, node) for each in inner)
    )


def _only_stores(node: ast.ClassDef) -> bool:
    """Tell whether to make an object of a class only stores what is given, under other names."""
    if node.bases or node.keywords or node.decorator_list:
        return False
    methods = {part.name: part for part in node.body if isinstance(part, _FUNCTIONS)}
    start = methods.get("__init__")
    return (
        isinstance(start, ast.FunctionDef)
        and not start.decorator_list
        and _has_literal_defaults(start)
        and methods.keys().isdisjoint(_STORING)
        and all(isinstance(part, _FUNCTIONS) or _is_quiet(part) for part in node.body)
        and all(_is_stored(part, start, methods) for part in start.body)
    )


def _is_stored(part: ast.stmt, start: ast.FunctionDef, methods: Collection[str]) -> bool:
    """Tell whether a statement stores arguments, literals or empty containers on an object.

    A method of that name might be a property, which runs code.
    """
    if isinstance(part, ast.Expr):
        return isinstance(part.value, ast.Constant)
    if not isinstance(part, (ast.Assign, ast.AnnAssign)) or part.value is None:
        return False
    own, *given = [each.arg for each in ast.walk(start.args) if isinstance(each, ast.arg)] or [""]
    targets = part.targets if isinstance(part, ast.Assign) else [part.target]
    stored = [each for target in targets for each in _elements(target)]
    return all(
        isinstance(each, ast.Attribute) and _names(each.value) == own and each.attr not in methods
        for each in stored
    ) and all(
        _names(each) in given or is_literal(each) or ast.unparse(each) in _EMPTY
        for each in _elements(part.value)
    )


def _elements(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


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
    if not isinstance(part, ast.Assign):
        return isinstance(part, ast.Nonlocal)
    if not all(isinstance(target, ast.Name) for target in part.targets):
        return False
    return is_literal(part.value) or ast.unparse(part.value) in _EMPTY


def _is_inner(node: _Function, outer: _Function) -> bool:
    """Tell whether making an inner function calls nothing but what copies the argument's names."""
    given = [each.arg for each in (*outer.args.posonlyargs, *outer.args.args)]
    copies = all(
        isinstance(each, ast.Call)
        and ast.unparse(each.func) in _COPIERS
        and [ast.unparse(part) for part in (*each.args, *each.keywords)] == given
        for each in node.decorator_list
    )
    return copies and not _runs_more(node, outer)


def _runs_more(node: _Function, outer: _Function) -> bool:
    """Tell whether defaults or annotations of an inner function may run code of what is given."""
    arguments = [each for each in ast.walk(outer.args) if isinstance(each, ast.arg)]
    given = {each.arg for each in arguments}
    shown = [each.annotation for each in ast.walk(node.args) if isinstance(each, ast.arg)]
    inside = [part for each in (*shown, node.returns) if each for part in ast.walk(each)]
    is_told = any(isinstance(part, ast.Call) or _names(part) in given for part in inside)
    return is_told or not _has_literal_defaults(node)


def _names(part: ast.AST) -> str:
    return part.id if isinstance(part, ast.Name) else ""


def _has_literal_defaults(node: _Function) -> bool:
    return all(is_literal(each) for each in (*node.args.defaults, *node.args.kw_defaults) if each)


def _has_defaults(node: _Function) -> bool:
    return bool(node.args.defaults) or any(node.args.kw_defaults)
