"""The text of a value, as IPython's display hook writes it: containers broken over lines."""

from __future__ import annotations

import types
from typing import Any, Callable, Iterable, NamedTuple

_WIDTH = 79
# As IPython: what is longer is cut with an ellipsis.
_MAX_ITEMS = 1000
# A text nobody reads to the end; it would only fill the notebook.
_MAX_TEXT = 1 << 20
_BRACKETS: dict[Any, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}


def pretty(value: Any) -> str:
    """Return the value's text; what its `__repr__` raises is raised."""
    text = _text(value, _Place(0, 0), [])
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


class _Place(NamedTuple):
    """Where a text begins: its column, and how far its further lines are indented."""

    column: int
    indent: int


def _text(value: Any, place: _Place, above: list[int]) -> str:
    kind = type(value)
    if isinstance(value, type) and _is_plain_class(kind):
        return _class_name(value)
    if isinstance(value, types.FunctionType):
        return f"<function {_class_name(value)}{_signature(value)}>"
    # So may a subclass of a container.
    if kind not in _BRACKETS and kind is not dict:
        return _plain(value)
    if id(value) in above:
        return "{...}" if kind is dict else "[...]"
    return _container(value, place, [*above, id(value)])


def _container(value: Any, place: _Place, above: list[int]) -> str:
    if not value:
        return repr(value)
    opening, closing = _BRACKETS.get(type(value), ("{", "}"))
    inside = _Place(place.column + len(opening), place.indent + len(opening))
    parts = (_dict_items if type(value) is dict else _items)(value, inside, above)
    if len(value) > _MAX_ITEMS:
        parts.append("...")
    one_line = ", ".join(parts)
    if type(value) is tuple and len(value) == 1:
        parts[0] += ","
        one_line += ","
    fits = inside.column + len(one_line) + len(closing) <= _WIDTH
    if fits and "\n" not in one_line:
        return f"{opening}{one_line}{closing}"
    return opening + (",\n" + " " * inside.indent).join(parts) + closing


def _items(values: Iterable[Any], place: _Place, above: list[int]) -> list[str]:
    if isinstance(values, (set, frozenset)):
        values = _sorted(values)
    return [_text(value, place, above) for value in _first(values)]


def _dict_items(values: dict[Any, Any], place: _Place, above: list[int]) -> list[str]:
    parts = []
    for key, value in _first(values.items()):
        name = _text(key, place, above)
        # As IPython: what breaks inside is not indented by the key before it.
        inside = _Place(place.column + len(name) + 2, place.indent)
        parts.append(f"{name}: {_text(value, inside, above)}")
    return parts


def _first(values: Iterable[Any]) -> Iterable[Any]:
    return (value for value, _ in zip(values, range(_MAX_ITEMS)))


def _sorted(values: Iterable[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _is_plain_class(kind: Any) -> bool:
    # A metaclass may have a __repr__ of its own.
    return kind.__repr__ is type.__repr__


def _plain(value: Any) -> str:
    write: Callable[[Any], str] = repr
    return write(value)


def _class_name(value: Any) -> str:
    module = getattr(value, "__module__", None)
    prefix = "" if module in (None, "builtins") else f"{module}."
    return f"{prefix}{value.__qualname__}"


def _signature(function: types.FunctionType) -> str:
    import inspect

    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return ""
