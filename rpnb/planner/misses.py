"""Steps that raised before they did anything: a mistyped name costs no reload."""

from __future__ import annotations

import ast
import builtins
import inspect
import types
from typing import Any, Mapping, Sequence

from .kinds import PROGRAM, is_of_library


def did_nothing(
    node: ast.stmt, namespace: Mapping[str, Any], error: BaseException, program: str = PROGRAM
) -> bool:
    """Tell whether a step raised `error` because what it looks up first is not there.

    `torch.foo()` and `modle.eval()` have called nothing and stored nothing, so
    nothing is to be undone. Python 3.9 does not say which attribute is missing.
    `program` is the `__module__` of the program's own classes.
    """
    path = _first_path(node)
    if not path or not isinstance(error, (AttributeError, NameError)):
        return False
    root, *attributes = path
    if root not in namespace:
        return isinstance(error, NameError) and not hasattr(builtins, root)
    return _is_missing(namespace[root], attributes, error, program)


def _is_missing(value: Any, attributes: Sequence[str], error: BaseException, program: str) -> bool:
    for name in attributes:
        if getattr(error, "name", None) == name and getattr(error, "obj", error) is value:
            # A `__getattr__` of the program's own may have done anything before it gave up.
            if isinstance(value, types.ModuleType):
                return "__getattr__" not in vars(value) or is_of_library(value)
            return type(value).__module__ != program
        value = (
            vars(value).get(name)
            if isinstance(value, types.ModuleType)
            else inspect.getattr_static(value, name, None)
        )
    return False


def _first_path(node: ast.stmt) -> list[str]:
    """Return the dotted path that the statement evaluates first; empty where it is none."""
    value = getattr(node, "value", None)
    if not isinstance(node, (ast.Expr, ast.Assign, ast.AnnAssign)) or value is None:
        return []
    names: list[str] = []
    while not isinstance(value, ast.Name):
        if isinstance(value, ast.Attribute):
            names.append(value.attr)
            value = value.value
        elif isinstance(value, (ast.Call, ast.Await)):
            names.clear()
            value = value.func if isinstance(value, ast.Call) else value.value
        else:
            return []
    return [value.id, *reversed(names)]
