"""How one name of an ordinary cell travels: an import, its source, a literal, its value."""

from __future__ import annotations

import ast
import types
from dataclasses import dataclass, field
from typing import Any

from ..errors import CannotCapture
from .literals import literal
from .names import Names
from .passages import Passage
from .provenance import Definition
from .steps import Capture, runs
from .uses import split, uses

_CODE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Captured:
    """A capture and the files that it brings, by their path beside the program."""

    capture: Capture
    files: dict[str, bytes] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()


def capture(name: str, names: Names) -> Captured:
    """Return how the value that `name` holds travels.

    Raises:
        CannotCapture: it cannot; the text says what inside it cannot, and what to do.
    """
    value = names[name]
    if isinstance(value, types.ModuleType):
        return Captured(_module(name, value))
    definition = names.definition(name)
    if definition is not None and isinstance(definition.node, _CODE):
        return Captured(_source(definition))
    if definition is not None and _is_lambda(definition.node):
        return Captured(_source(definition))
    text = literal(value)
    if text is not None:
        return Captured(_literal(name, text, definition))
    raise CannotCapture(f"`{name}` cannot travel yet: {type(value).__name__}", name=name, path=name)


def _module(name: str, module: types.ModuleType) -> Capture:
    text = f"import {name}" if module.__name__ == name else f"import {module.__name__} as {name}"
    return Capture(name, "import", text)


def _is_lambda(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)


def _literal(name: str, text: str, definition: Definition | None) -> Capture:
    return Capture(name, "literal", f"{name} = {text}")


def _source(definition: Definition) -> Capture:
    passages = definition.passages
    text = "\n".join(passage.text for passage in passages)
    now: set[str] = set()
    later: set[str] = set()
    for statement in split(text):
        found = uses(statement)
        now |= set(found.now)
        later |= {*found.later, *found.optional}
    return Capture(
        definition.name,
        "source",
        text,
        label=passages[0].label,
        lines=runs([place for passage in passages for place in passage.places]),
        now=tuple(sorted(now - {definition.name})),
        later=tuple(sorted(later - now - {definition.name})),
    )


def passage_of(found: Capture) -> Passage:
    """Return a capture's text with the places where it was typed."""
    return Passage(tuple(found.text.split("\n")), found.places, "", found.label)
