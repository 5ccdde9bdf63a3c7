"""Parts of values that nothing can change: `settings.path`, `CONFIG["model"]`, `len(rows)`.

A statement that takes nothing else of a value shares nothing with it, and runs none of its code.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections import Counter
from typing import Any, Collection, Mapping

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
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        return node.args[0], "len()" if node.func.id == "len" else ""
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        return node.value, f".{node.attr}"
    key = node.slice if isinstance(node, ast.Subscript) else None
    if isinstance(key, ast.Constant) and isinstance(key.value, (str, int)):
        return (node.value, f"[{key.value!r}]") if isinstance(node.ctx, ast.Load) else (None, "")  # type: ignore[attr-defined] # a Subscript
    return None, ""


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
