"""A schema in the shape of RunPod's `rp_validator`, read from code without running it.

The shape: `{"steps": {"type": int, "required": False, "default": 20,
"constraints": lambda steps: 0 < steps < 100}}`, passed to `validate(input, SCHEMA)`
or named `INPUT_SCHEMA`.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

_TYPES = {"str", "int", "float", "bool", "list", "dict"}


class _Required(Enum):
    REQUIRED = "required"

    def __repr__(self) -> str:
        return "REQUIRED"


# The default of a field that has none (None is a default like any other).
REQUIRED = _Required.REQUIRED


@dataclass(frozen=True)
class Field:
    """One field of the input: `type` is "str", "int", "float", "bool", "list", "dict" or "any".

    `choices` are the values allowed, or None; `low` and `high` bound a number.
    """

    name: str
    type: str = "any"
    default: Any = REQUIRED
    required: bool = True
    choices: tuple[Any, ...] | None = None
    low: float | None = None
    high: float | None = None


def find(tree: ast.Module, modules: Sequence[ast.Module]) -> list[Field]:
    """Return the fields of the schema in the program, else of one in its modules."""
    for place in (tree, *modules):
        found = next(_schemas(place), None)
        if found is not None:
            return found
    return []


def read_json(text: str, kind: str) -> Any:
    """Return the JSON value; ValueError where it is not JSON, or not of that kind."""
    value = json.loads(text)
    if kind in ("list", "dict") and type(value).__name__ != kind:
        raise ValueError(text)
    return value


def type_name(value: Any) -> str:
    """The field type of a default value: "any" where it tells nothing."""
    name = type(value).__name__
    return name if name in _TYPES else "list" if isinstance(value, tuple) else "any"


def literal(node: ast.expr | None) -> Any:
    """The value of a literal expression, REQUIRED where it is none."""
    if node is None:
        return REQUIRED
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return REQUIRED


def _schemas(tree: ast.Module) -> Iterator[list[Field]]:
    named = dict(_dictionaries(tree))
    validated = [
        node.args[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _called(node) == "validate" and len(node.args) > 1
    ]
    used = [node.id for node in validated if isinstance(node, ast.Name)]
    likely = [name for name in named if name.lower() in ("input_schema", "schema", "inputs")]
    inline = [node for node in validated if isinstance(node, ast.Dict)]
    for node in (*inline, *(named[name] for name in (*used, *likely, *named) if name in named)):
        found = _fields(node)
        if found:
            yield found


def _dictionaries(tree: ast.Module) -> Iterator[tuple[str, ast.Dict]]:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        value = getattr(node, "value", None)
        if isinstance(value, ast.Dict):
            yield from ((each.id, value) for each in targets if isinstance(each, ast.Name))


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _fields(node: ast.Dict) -> list[Field] | None:
    """The schema's fields; None where the dictionary is no schema."""
    found = []
    for key, rules in zip(node.keys, node.values, strict=True):
        name = literal(key)
        if not isinstance(name, str) or not isinstance(rules, ast.Dict):
            return None
        entries = {literal(each): value for each, value in _items(rules)}
        if "type" not in entries:
            return None
        found.append(_field(name, entries))
    return found


def _items(node: ast.Dict) -> Iterator[tuple[ast.expr, ast.expr]]:
    return ((key, value) for key, value in zip(node.keys, node.values, strict=True) if key)


def _field(name: str, entries: dict[Any, ast.expr]) -> Field:
    required = literal(entries.get("required")) is True
    default = literal(entries.get("default"))
    choices, low, high = _constraints(entries.get("constraints"))
    return Field(name, _type(entries["type"]), default, required, choices, low, high)


def _type(node: ast.expr) -> str:
    if isinstance(node, ast.Tuple) and node.elts:
        # (int, float): the widest kind takes both.
        kinds = {_type(each) for each in node.elts}
        return "float" if kinds <= {"int", "float"} else "any"
    if isinstance(node, ast.Subscript):
        return _type(node.value)
    name = node.id if isinstance(node, ast.Name) else ""
    return name if name in _TYPES else "any"


def _constraints(
    node: ast.expr | None,
) -> tuple[tuple[Any, ...] | None, float | None, float | None]:
    """Choices and bounds, where the lambda is a plain `in` or comparison of its argument."""
    body = node.body if isinstance(node, ast.Lambda) else None
    tests = body.values if isinstance(body, ast.BoolOp) and isinstance(body.op, ast.And) else [body]
    choices, bounds = None, dict[str, float]()
    for test in tests:
        if not isinstance(test, ast.Compare):
            continue
        if len(test.ops) == 1 and isinstance(test.ops[0], ast.In):
            values = literal(test.comparators[0])
            choices = tuple(values) if isinstance(values, (list, tuple, set)) else choices
        else:
            _bound(test, bounds)
    return choices, bounds.get("low"), bounds.get("high")


def _bound(test: ast.Compare, bounds: dict[str, float]) -> None:
    sides = [test.left, *test.comparators]
    for left, operator, right in zip(sides, test.ops, sides[1:], strict=False):
        ascending = isinstance(operator, (ast.Lt, ast.LtE))
        if not ascending and not isinstance(operator, (ast.Gt, ast.GtE)):
            continue
        small, large = (left, right) if ascending else (right, left)
        if isinstance(number := literal(small), (int, float)) and isinstance(large, ast.Name):
            bounds["low"] = number
        if isinstance(number := literal(large), (int, float)) and isinstance(small, ast.Name):
            bounds["high"] = number
