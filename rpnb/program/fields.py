"""The fields of a handler's input, read from its code; and an input made of their values.

Nothing is executed: a schema in the shape of RunPod's `rp_validator` is read as
text, in the program or in a module beside it; without one, what the handler
reads of `job["input"]` tells.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import BadInput
from . import reads, schema
from .schema import REQUIRED, Field

__all__ = ["REQUIRED", "Field", "defaults", "fields", "missing", "to_input"]

# The text of a local module by its dotted name, or None.
ModuleText = Callable[[str], "str | None"]
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0", ""})


def fields(
    text: str, handler: str | None = None, module_text: ModuleText | None = None
) -> list[Field]:
    """Return the input fields of the program's handler, in the order of the code.

    `module_text` gives the source of a module beside the program, where the
    schema often lives. Text that does not parse has no fields.
    """
    tree = _parse(text)
    if tree is None:
        return []
    return schema.find(tree, _modules(tree, module_text)) or reads.find(tree, handler)


def missing(found: Sequence[Field], values: Mapping[str, Any]) -> list[str]:
    """Return the names of required fields that have no value."""
    return [each.name for each in found if each.required and _empty(values.get(each.name))]


def defaults(found: Sequence[Field]) -> dict[str, Any] | None:
    """Return the input made of the fields' defaults; None where a required one has none.

    Also None without any field: an empty input would be a guess. A default of None
    is left to the handler.
    """
    given = {each.name: each.default for each in found if not _empty(each.default)}
    return None if not found or missing(found, given) else given


def to_input(found: Sequence[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what goes inside the job: each typed value by its field's type.

    An empty optional field is left out, so that the handler's own default holds.

    Raises:
        BadInput: a required field is empty, or a text is not of its field's type.
    """
    absent = missing(found, values)
    if absent:
        raise BadInput(f"`{absent[0]}` is required")
    given = {each.name: values.get(each.name) for each in found}
    return {
        each.name: _converted(each, given[each.name])
        for each in found
        if not _empty(given[each.name])
    }


def _parse(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _modules(tree: ast.Module, module_text: ModuleText | None) -> list[ast.Module]:
    """The modules beside the program that it imports from, parsed."""
    if module_text is None:
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
        elif isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
    texts = [module_text(name) for name in dict.fromkeys(names)]
    parsed = [_parse(text) for text in texts if text is not None]
    return [each for each in parsed if each is not None]


def _empty(value: Any) -> bool:
    return value is None or value is REQUIRED or value == ""


def _converted(field: Field, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return _read(field.type, value)
    except ValueError:
        kinds = {"int": "a whole number", "float": "a number", "bool": "true or false"}
        wanted = kinds.get(field.type, f"a {field.type} as JSON")
        raise BadInput(f"`{field.name}` takes {wanted}, not {value!r}") from None


def _read(kind: str, text: str) -> Any:
    if kind == "int":
        return int(text)
    if kind == "float":
        return float(text)
    if kind == "bool":
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(text)
        return text.lower() in _TRUE
    bracketed = text.lstrip()[:1] in ("{", "[")
    if kind in ("list", "dict") or (kind == "any" and bracketed):
        return schema.read_json(text, kind)
    return text


def with_values(found: Sequence[Field], value: Any) -> list[Field]:
    """Return the fields with an earlier input's values as their defaults."""
    if not isinstance(value, dict):
        return list(found)
    return [replace(each, default=value.get(each.name, each.default)) for each in found]
