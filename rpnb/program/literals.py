"""Plain values as the text of an expression that gives exactly the same value."""

from __future__ import annotations

import math
from typing import Any

# Longer ones would make the export unreadable: they travel as data files.
LIMIT = 4096
_DEPTH = 50
_ATOMS = (int, str, bytes, bool, type(None))


def literal(value: Any, limit: int = LIMIT) -> str | None:
    """Return an expression whose value equals `value`, types and all; None if there is none.

    Exact means: the same types all the way down (no subclasses), no object
    inside that occurs twice and could be changed, not over `limit` characters.
    """
    try:
        text = _text(value, set(), 0, [limit])
    except (_NoLiteralError, ValueError):
        return None
    return text if len(text) <= limit else None


class _NoLiteralError(Exception):
    """The value has no exact literal form."""


def _text(value: Any, seen: set[int], depth: int, room: list[int]) -> str:
    """The value's text; `room` is how many characters are left for the whole."""
    kind = type(value)
    room[0] -= 1
    if room[0] < -1:
        raise _NoLiteralError
    if kind in _ATOMS:
        return _atom(value, room)
    if kind is float:
        return _float(value)
    if kind is complex:
        return _complex(value)
    if value is ...:
        return "..."
    if kind not in (list, tuple, dict, set, frozenset) or depth > _DEPTH or len(value) > room[0]:
        raise _NoLiteralError
    if kind in (list, dict, set):
        if id(value) in seen:
            raise _NoLiteralError
        seen.add(id(value))
    return _container(value, kind, seen, depth, room)


def _atom(value: Any, room: list[int]) -> str:
    if type(value) is int and value.bit_length() > 4 * LIMIT:
        raise _NoLiteralError  # Python itself refuses to print very long ones
    if type(value) in (str, bytes):
        room[0] -= len(value)
        if room[0] < -1:
            raise _NoLiteralError
    return repr(value)


def _float(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        # Which NaN it is no literal says; infinity has one.
        if math.isnan(value):
            raise _NoLiteralError
        return 'float("inf")' if value > 0 else 'float("-inf")'
    return repr(value)


def _complex(value: complex) -> str:
    if not all(map(math.isfinite, (value.real, value.imag))):
        raise _NoLiteralError
    # `repr` loses the sign of a zero part; the constructor keeps it.
    return f"complex({value.real!r}, {value.imag!r})"


def _container(value: Any, kind: type, seen: set[int], depth: int, room: list[int]) -> str:
    if kind is dict:
        pairs = (
            f"{_text(key, seen, depth + 1, room)}: {_text(each, seen, depth + 1, room)}"
            for key, each in value.items()
        )
        return "{" + ", ".join(pairs) + "}"
    parts = [_text(each, seen, depth + 1, room) for each in value]
    if kind in (set, frozenset):
        # A set's order changes with each process; the text must not.
        parts.sort()
        inside = "{" + ", ".join(parts) + "}" if parts else ""
        return f"{kind.__name__}({inside})" if kind is frozenset or not parts else inside
    if kind is tuple:
        return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
    return f"[{', '.join(parts)}]"
