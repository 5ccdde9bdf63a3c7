"""Access paths in a statement: what they start from, lead through, and stand for."""

from __future__ import annotations

import ast
from typing import Iterable, Mapping

from .effects import PURE_BUILTINS

IMPORTERS = frozenset({"import_module", "__import__"})
# Functions that hand out a part of their first argument.
_PARTS_OF = ("getattr", "vars")
# Methods that hand out a part of what they are called on.
LOOKUPS = frozenset({"get", "values", "items", "setdefault", "__getitem__"})


def is_literal(node: ast.expr) -> bool:
    """Tell whether the expression is a literal that nothing can change."""
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return not any(isinstance(n, (ast.List, ast.Dict, ast.Set)) for n in ast.walk(node))


def path_of(node: ast.expr, imports: Mapping[str, str]) -> str:
    """Return what a name or an attribute path stands for, called with constants or not at all.

    '' where it is more than that; `imports` tells what names stand for.
    """
    if isinstance(node, ast.Call):
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if not all(isinstance(each, ast.Constant) for each in given):
            return ""
        node = node.func
    root, _, rest = ast.unparse(node).partition(".")
    path = imports.get(root, "")
    return f"{path}.{rest}" if rest else path


def names_of(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names in these expressions."""
    return {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}


def called(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names that stand in the function of a call inside these expressions."""
    calls = (n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Call))
    return names_of(c.func for c in calls if not is_pure_builtin(c))


def is_pure_builtin(call: ast.Call) -> bool:
    """Tell whether a builtin is called that changes none of its arguments."""
    return isinstance(call.func, ast.Name) and call.func.id in PURE_BUILTINS


def makes_new(value: ast.AST) -> bool:
    """Tell whether a call makes a new value: each does, unless it only looks something up."""
    calls = (n.func for n in ast.walk(value) if isinstance(n, ast.Call))
    return not all(isinstance(f, ast.Attribute) and f.attr in LOOKUPS for f in calls)


def is_made(target: ast.AST) -> bool:
    """Tell whether an access path goes through a call that makes a new value."""
    node: ast.AST | None = target
    while node is not None:
        is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if is_method and node.func.attr not in LOOKUPS:  # type: ignore[attr-defined] # a Call of an Attribute
            return True
        if isinstance(node, ast.Call) and isinstance(_inner(node), ast.Name):
            return function_name(node) not in _PARTS_OF
        node = _inner(node)
    return False


def root_of(node: ast.AST) -> ast.AST:
    """What an access path starts from; `getattr(x, ...)` starts from x."""
    while True:
        inner = _inner(node)
        if inner is None:
            return node
        node = inner


def _inner(node: ast.AST) -> ast.AST | None:
    if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred, ast.Await)):
        return node.value
    if isinstance(node, ast.Call):
        by_name = isinstance(node.func, ast.Name) and node.func.id in _PARTS_OF and node.args
        return node.args[0] if by_name else node.func
    return None


def is_path(node: ast.AST) -> bool:
    """Tell whether an expression is a name, or a dotted path of names."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def access_path(node: ast.AST) -> tuple[str, str]:
    """Return the name that an access starts from, and its dotted path without subscripts and calls.

    A module that is looked up by its name starts an access, too, as `import NAME`.
    """
    parts: list[str] = []
    inner: ast.AST | None = node
    while inner is not None:
        node = inner
        module = module_named(node)
        if module:
            return f"import {module}", ".".join(reversed(parts))
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        inner = _inner(node)
    return (node.id if isinstance(node, ast.Name) else ""), ".".join(reversed(parts))


def is_of_class(node: ast.expr) -> bool:
    """Tell whether the expression is an object's class: `type(x)`, `x.__class__`."""
    if isinstance(node, ast.Call):
        return function_name(node) == "type" and len(node.args) == 1
    return isinstance(node, ast.Attribute) and node.attr == "__class__"


def module_named(node: ast.AST) -> str:
    """`lib` of `import_module("lib")` and `sys.modules["lib"]`, '' of anything else."""
    key: ast.AST | None = None
    if isinstance(node, ast.Call) and node.args:
        key = node.args[0] if function_name(node) in IMPORTERS else None
    elif isinstance(node, ast.Subscript) and is_modules(node.value):
        key = node.slice
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""


def is_modules(node: ast.AST) -> bool:
    """Tell whether the expression is `sys.modules`."""
    of_sys = isinstance(node, ast.Attribute) and node.attr == "modules"
    return of_sys and isinstance(node.value, ast.Name) and node.value.id == "sys"  # type: ignore[attr-defined] # an Attribute


def function_name(node: ast.Call) -> str:
    """Return the last name of what is called; "" where it has none."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def decorator_name(decorator: ast.expr) -> str:
    """Return the last name of what a decorator is, or is made by."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rpartition(".")[2]
