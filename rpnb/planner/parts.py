"""Parts of values that nothing can change: `settings.path`, `CONFIG["model"]`, `len(rows)`.

A statement that takes nothing else of a value shares nothing with it, and runs none of its code.
A part is a path: `CONFIG["model"]["id"]` is one step below `CONFIG["model"]`.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections import Counter
from typing import Any, Collection, Iterator, Mapping

from .access import is_literal
from .kinds import kind

Parts = Mapping[str, frozenset[str]]
# Between the steps of a path.
SEPARATOR = "\0"
# The part that `x is None` takes.
_IDENTITY = "is()"
_CODE = object()
# Of these nothing but a value's own dictionary decides what an attribute in it is.
_LOOKUPS = tuple(cls.__getattribute__ for cls in (object, type, types.SimpleNamespace))


def parts(node: ast.stmt) -> Parts:
    """Return the names of which the statement reads named parts only -> these parts."""
    every = Counter(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
    found, inner = dict[str, list[str]](), set[int]()
    for each in ast.walk(node):
        # What leads to a part has been seen before it.
        steps = [] if id(each) in inner else list(_steps(each))
        if steps and isinstance(steps[-1][0], ast.Name):
            inner |= {id(value) for value, _ in steps}
            path = SEPARATOR.join(part for _, part in reversed(steps))
            found.setdefault(steps[-1][0].id, []).append(path)
    return {name: frozenset(each) for name, each in found.items() if len(each) == every[name]}


def _steps(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield what a path goes through, the last step first: what it is taken of, and the part."""
    root, part = _part(node)
    while root is not None and part:
        yield root, part
        root, part = _part(root)


def _part(node: ast.AST) -> tuple[ast.AST | None, str]:
    """Return what a part is taken of, and the part; '' where it is none."""
    if isinstance(node, ast.Call):
        return _asked(node)
    if isinstance(node, ast.Compare) and _is_identity(node):
        return node.left, _IDENTITY
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        # `CONFIG.get("top_k", 5)` is the call's part.
        return node.value, f".{node.attr}" if node.attr != "get" else ""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        return node.value, _entry(node.slice)
    return None, ""


def _is_identity(node: ast.Compare) -> bool:
    """Tell whether a value is only asked whether it is None, True or False: no code runs."""
    plain = all(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops)
    return plain and all(isinstance(each, ast.Constant) for each in node.comparators)


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


def beginning(part: str, among: Collection[str]) -> str:
    """Return the longest beginning of a path that is among these; '' where none is."""
    if part in among:
        return part
    steps = part.split(SEPARATOR)
    every = (SEPARATOR.join(steps[:end]) for end in range(len(steps), 0, -1))
    return next((each for each in every if each in among), "")


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
    """Tell whether a path leads to what nothing can change; what that is asked for is no matter."""
    for step in part.split(SEPARATOR):
        value = _taken(value, step)
        if value is _CODE:
            return False
        if kind(value) == "imm":
            return True
    return False


def _taken(value: Any, step: str) -> Any:
    """Return what a step leads to; `_CODE` where it is not there, or code may hand it out."""
    cls = type(value)
    if step == _IDENTITY:
        return value is None
    if step == "len()":
        return len(value) if cls in (list, dict, tuple, set, str, bytes) else _CODE
    if step[0] == "[":
        key = ast.literal_eval(step[1:-1])
        return value[key] if cls is dict and key in value else _CODE
    if inspect.getattr_static(cls, "__getattribute__") not in _LOOKUPS:
        return _CODE
    held = getattr(value, "__dict__", {})
    shared = inspect.getattr_static(cls, step[1:], None)
    return _CODE if hasattr(type(shared), "__get__") else held.get(step[1:], _CODE)
