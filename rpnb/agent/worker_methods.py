"""What is edited in place: methods of a class that stays, what a function tells of itself."""

from __future__ import annotations

import ast
import copy
import types
from typing import Any, Collection

from ..planner.methods import replaced
from ..planner.plan import Step
from .worker_code import compile_statement

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# What Python 3.13 and newer keep in a class of the lines and texts of its methods.
_KEPT = ("__static_attributes__", "__firstlineno__")


def replace_methods(old: Step, new: Step, namespace: dict[str, Any], file: str, flags: int) -> bool:
    """Give a class the methods that came, and those whose signatures changed; take what went.

    False where that raises, or its name stands for something else: then all is as it was.
    """
    was, now = old.facts.plain, new.facts.plain
    if old.identity != new.identity and new.facts.is_body:
        return _tell_anew(new, namespace, file, flags)
    if old.identity == new.identity or was is None or now is None:
        return True
    names, cls = replaced(was, now), namespace.get(now.name)
    if not isinstance(cls, type) or cls.__module__ != "__main__":
        return not names
    try:
        scope = _scope(new.statement.node, names, namespace, file, flags)
    except Exception:  # noqa: BLE001 - as a step, the class raises it to the person
        return False
    for name in names:
        if name == "__doc__":
            cls.__doc__ = scope.get(name)
        elif name in now.methods:
            _set(cls, name, scope[name])
        else:
            delattr(cls, name)
    for name in _KEPT:
        if name in scope:
            setattr(cls, name, scope[name])
    return True


def _tell_anew(new: Step, namespace: dict[str, Any], file: str, flags: int) -> bool:
    """Give a function the docstring and annotations that it has now."""
    (name,) = new.facts.binds
    function, scope = namespace.get(name), dict[str, Any]()
    try:
        exec(compile_statement(new.statement.node, file, flags), namespace, scope)
    except Exception:  # noqa: BLE001 - as a step, the function raises it to the person
        return False
    if not isinstance(function, types.FunctionType):
        return False
    function.__doc__, function.__annotations__ = scope[name].__doc__, scope[name].__annotations__
    return True


def _set(cls: type, name: str, method: Any) -> None:
    """Set a method as the making of the class does: a property is told its name."""
    setattr(cls, name, method)
    if hasattr(type(method), "__set_name__"):
        method.__set_name__(cls, name)


def _scope(
    node: ast.stmt, names: Collection[str], namespace: dict[str, Any], file: str, flags: int
) -> dict[str, Any]:
    """Return what a class statement's body makes, where of it only these methods are evaluated."""
    assert isinstance(node, ast.ClassDef)
    only = copy.copy(node)
    is_documented = ast.get_docstring(node) is not None
    only.body = [*node.body[:is_documented]]
    for part in node.body:
        if isinstance(part, _FUNCTIONS):
            only.body.append(part if part.name in names else _bare(part))
    code = compile_statement(only, file, flags)
    body = next(each for each in code.co_consts if isinstance(each, types.CodeType))
    scope: dict[str, Any] = {}
    exec(body, namespace, scope)
    return scope


def _bare(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.FunctionDef | ast.AsyncFunctionDef:
    """Return a method of which a class statement evaluates nothing."""
    bare = copy.deepcopy(node)
    bare.decorator_list, bare.returns, bare.args.defaults = [], None, []
    bare.args.kw_defaults = [None] * len(bare.args.kwonlyargs)
    for each in ast.walk(bare.args):
        if isinstance(each, ast.arg):
            each.annotation = None
    return bare
