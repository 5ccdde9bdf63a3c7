"""What a handler reads of its input: `job["input"]["x"]`, `.get("x", default)`, by any alias."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .schema import REQUIRED, Field, literal, type_name

_CONVERTERS = frozenset({"int", "float", "bool", "str", "list", "dict"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class _Scope:
    """A function being read: the names that hold the job, its input, or one field of it."""

    jobs: set[str]
    inputs: set[str]
    found: dict[str, Field] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)


def find(tree: ast.Module, handler: str | None = None) -> list[Field]:
    """Return the fields that the handler reads, functions it passes its input to included."""
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, _Function)}
    chosen = functions.get(handler or "handler") or _only(tree)
    if chosen is None or not chosen.args.args:
        return []
    found: dict[str, Field] = {}
    seen: set[tuple[str, int, bool]] = set()
    _follow(chosen, 0, True, (functions, seen, found))
    return list(found.values())


def _only(tree: ast.Module) -> _Function | None:
    functions = [node for node in tree.body if isinstance(node, _Function)]
    taking = [node for node in functions if len(node.args.args) == 1]
    return taking[0] if len(taking) == 1 else None


_Reading = tuple[dict[str, _Function], set[tuple[str, int, bool]], dict[str, Field]]


def _follow(function: _Function, position: int, is_job: bool, reading: _Reading) -> None:
    """Read a function whose parameter at `position` holds the job, or its input."""
    functions, seen, found = reading
    if (function.name, position, is_job) in seen or position >= len(function.args.args):
        return
    seen.add((function.name, position, is_job))
    name = function.args.args[position].arg
    scope = _Scope({name} if is_job else set(), set() if is_job else {name}, found)
    for node in _in_order(function):
        _alias(node, scope)
        _read(node, scope)
        _guard(node, scope)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called = functions.get(node.func.id)
            for index, argument in enumerate(node.args if called else ()):
                if called and (_is_input(argument, scope) or _is_job(argument, scope)):
                    _follow(called, index, _is_job(argument, scope), reading)


def _in_order(function: _Function) -> Iterator[ast.AST]:
    """Every node below, in the order of the text, values before their targets."""
    nodes = [node for statement in function.body for node in ast.walk(statement)]
    nodes.sort(key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0)))
    # A statement starts where its first expression does; aliases must be known before.
    yield from nodes


def _alias(node: ast.AST, scope: _Scope) -> None:
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
        targets, value = [node.target], node.value
    else:
        return
    for target in targets:
        if not isinstance(target, ast.Name):
            continue
        if _is_input(value, scope):
            scope.inputs.add(target.id)
        elif _is_job(value, scope):
            scope.jobs.add(target.id)
        elif (key := _key(_converted(value)[1])) is not None and _is_input(key[0], scope):
            scope.held[target.id] = key[1]


def _is_job(node: ast.expr, scope: _Scope) -> bool:
    return isinstance(node, ast.Name) and node.id in scope.jobs


def _is_input(node: ast.expr, scope: _Scope) -> bool:
    """Whether the expression is the input: an alias, `job["input"]`, `job.get("input") or {}`."""
    if isinstance(node, ast.Name):
        return node.id in scope.inputs
    if isinstance(node, ast.BoolOp):
        return _is_input(node.values[0], scope)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        return node.func.id in ("dict", "deepcopy") and _is_input(node.args[0], scope)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
        return node.func.attr == "copy" and _is_input(node.func.value, scope)
    key = _key(node)
    return key is not None and key[1] == "input" and _is_job(key[0], scope)


def _key(node: ast.AST) -> tuple[ast.expr, str, Any] | None:
    """(holder, key, default) of `holder["key"]`, `holder.get("key", default)` or `.pop`."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        key = literal(node.slice)
        return (node.value, key, REQUIRED) if isinstance(key, str) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        key = literal(node.args[0])
        if node.func.attr not in ("get", "pop") or not isinstance(key, str):
            return None
        default = literal(node.args[1]) if len(node.args) > 1 else None
        if node.func.attr == "pop" and len(node.args) == 1:
            default = REQUIRED
        return node.func.value, key, default
    return None


def _read(node: ast.AST, scope: _Scope) -> None:
    converted, node = _converted(node)
    key = _key(node)
    if key is None or not _is_input(key[0], scope):
        return
    _, name, default = key
    required = isinstance(node, ast.Subscript) or (default is REQUIRED and _is_pop(node))
    # None says nothing of the type, nor does a default that only the handler can compute.
    kind = converted or ("any" if default in (None, REQUIRED) else type_name(default))
    known = scope.found.get(name)
    if known is None:
        scope.found[name] = Field(name, kind, default, required)
        return
    merged = replace(known, type=known.type if known.type != "any" else kind)
    # `.get("x")` or `"x" in input` beside `["x"]` elsewhere: the softer reading wins.
    if known.required and not required:
        merged = replace(merged, required=False, default=default)
    scope.found[name] = merged


def _converted(node: ast.AST) -> tuple[str | None, ast.AST]:
    """`int(input["x"])` -> ("int", `input["x"]`); other nodes as they are."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return None, node
    converts = node.func.id in _CONVERTERS and len(node.args) == 1
    return (node.func.id, node.args[0]) if converts else (None, node)


def _guard(node: ast.AST, scope: _Scope) -> None:
    """`"x" in input` makes x optional; `if not x: return {"error": …}` makes it required."""
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
        name = literal(node.left)
        if isinstance(name, str) and _is_input(node.comparators[0], scope):
            before = scope.found.get(name, Field(name))
            if before.required:
                scope.found[name] = replace(before, required=False, default=None)
    elif isinstance(node, ast.If) and isinstance(node.body[-1], (ast.Return, ast.Raise)):
        for name in _refused(node.test, scope):
            known = scope.found.get(name)
            if known is not None and known.default in (None, REQUIRED, ""):
                scope.found[name] = replace(known, required=True, default=REQUIRED)


def _refused(test: ast.expr, scope: _Scope) -> Iterator[str]:
    """The fields whose absence alone makes the test true: `not x`, `x is None`."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        for value in test.values:
            yield from _refused(value, scope)
        return
    operand: ast.expr | None = None
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        operand = test.operand
    elif isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Is, ast.Eq)):
        operand = test.left if literal(test.comparators[0]) is None else None
    if isinstance(operand, ast.Name) and operand.id in scope.held:
        yield scope.held[operand.id]
    key = _key(operand) if operand is not None else None
    if key is not None and _is_input(key[0], scope):
        yield key[1]


def _is_pop(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and len(node.args) == 1
