"""Parts of values that nothing can change: `settings.path`, `CONFIG["model"]`, `len(rows)`.

A statement that takes nothing else of a value shares nothing with it, and runs none of its code.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections import Counter
from typing import Any, Collection, Mapping

from .access import is_literal
from .kinds import kind

Parts = Mapping[str, frozenset[str]]
# Of these nothing but a value's own dictionary decides what an attribute in it is.
_LOOKUPS = tuple(cls.__getattribute__ for cls in (object, type, types.SimpleNamespace))


def parts(node: ast.stmt) -> Parts:
    """Return the names of which the statement reads named parts only -> these parts."""
    every = Counter(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
    found: dict[str, list[str]] = {}
    for each in ast.walk(node):
        root, part = _part(each)
        if part and isinstance(root, ast.Name):
            found.setdefault(root.id, []).append(part)
    return {name: frozenset(each) for name, each in found.items() if len(each) == every[name]}


def _part(node: ast.AST) -> tuple[ast.AST | None, str]:
    """Return what a part is taken of, and the part; '' where it is none."""
    if isinstance(node, ast.Call):
        return _asked(node)
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        # `CONFIG.get("top_k", 5)` is the call's part.
        return node.value, f".{node.attr}" if node.attr != "get" else ""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        return node.value, _entry(node.slice)
    return None, ""


def _asked(call: ast.Call) -> tuple[ast.AST | None, str]:
    """Return the part that `len(rows)` or `CONFIG.get("top_k", 5)` takes."""
    if call.keywords or not call.args:
        return None, ""
    if isinstance(call.func, ast.Name) and call.func.id == "len":
        return call.args[0], "len()" if len(call.args) == 1 else ""
    if isinstance(call.func, ast.Attribute) and call.func.attr == "get":
        return call.func.value, _entry(call.args[0]) if all(map(is_literal, call.args)) else ""
    return None, ""


def _entry(key: ast.expr) -> str:
    is_key = isinstance(key, ast.Constant) and isinstance(key.value, (str, int))
    return f"[{ast.literal_eval(key)!r}]" if is_key else ""


def unchanging(namespace: Mapping[str, Any], wanted: Parts) -> dict[str, frozenset[str]]:
    """Return those of the wanted parts that nothing can change, and that no code hands out."""
    return {
        name: frozenset(part for part in found if _is_unchanging(namespace[name], part))
        for name, found in wanted.items()
        if name in namespace
    }


def fixed(wanted: Parts, answers: Mapping[str, Collection[str]]) -> frozenset[str]:
    """Return the names all of whose parts are unchanging."""
    return frozenset(name for name, found in wanted.items() if found <= set(answers.get(name, ())))


def _is_unchanging(value: Any, part: str) -> bool:
    cls = type(value)
    if part == "len()":
        return cls in (list, dict, tuple, set, str, bytes)
    if part[0] == "[":
        key = ast.literal_eval(part[1:-1])
        return cls is dict and key in value and kind(value[key]) == "imm"
    if inspect.getattr_static(cls, "__getattribute__") not in _LOOKUPS:
        return False
    held = getattr(value, "__dict__", {})
    shared = inspect.getattr_static(cls, part[1:], None)
    if hasattr(type(shared), "__get__") or part[1:] not in held:
        return False
    return kind(held[part[1:]]) == "imm"
