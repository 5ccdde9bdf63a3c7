"""Values for people to read: JSON laid out and cut, sizes in words."""

from __future__ import annotations

import json
from typing import Any

from ..transport.text import escaped

_LONGEST = 200  # characters of a string that are shown
_HEAD = 60  # what is left of a longer one
_MOST = 200  # items of a list or object that are shown
_WIDTH = 100  # of a line of JSON
_DEEPEST = 50  # levels that are shown


def shown(value: Any) -> str:
    """Return a value as JSON for people: what fits on a line stands on one.

    Long strings are cut to their head with their size, long lists and objects
    to their first items.
    """
    return escaped(_laid_out(_cut(value), 0))


def size(count: float) -> str:
    """Return a number of bytes as people read it: "512 B", "38 kB", "6.9 GB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            number = count / factor
            digits = 1 if unit == "GB" and number < 100 else 0
            return f"{number:.{digits}f} {unit}"
    return f"{count:.0f} B"


def span(seconds: float) -> str:
    """Return a time as people say it: "8 s", "12 min", "3 h", "2 d"."""
    seconds = max(seconds, 0.0)
    for least, unit, name in ((129_600, 86_400, "d"), (5400, 3600, "h"), (90, 60, "min")):
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _cut(value: Any, depth: int = _DEEPEST) -> Any:
    if not depth and isinstance(value, (dict, list, tuple)):
        return "…"
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_HEAD]}… ({size(len(value.encode('utf-8', 'surrogatepass')))})"
    if isinstance(value, dict):
        return {str(key): _cut(item, depth - 1) for key, item in list(value.items())[:_MOST]} | (
            {"…": f"{len(value) - _MOST} more"} if len(value) > _MOST else {}
        )
    if isinstance(value, (list, tuple)):
        rest = [f"… {len(value) - _MOST} more"] if len(value) > _MOST else []
        return [_cut(item, depth - 1) for item in value[:_MOST]] + rest
    return value


def _laid_out(value: Any, indent: int, *, taken: int = 0) -> str:
    """JSON whose parts stand on one line where they fit; a key has `taken` some of it."""
    flat = json.dumps(value, ensure_ascii=False)
    if indent + taken + len(flat) <= _WIDTH or not isinstance(value, (dict, list)) or not value:
        return flat
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        keys = {key: json.dumps(key, ensure_ascii=False) + ": " for key in value}
        items = [
            inner + keys[key] + _laid_out(item, indent + 2, taken=len(keys[key]))
            for key, item in value.items()
        ]
        return "{\n" + ",\n".join(items) + "\n" + " " * indent + "}"
    items = [inner + _laid_out(item, indent + 2) for item in value]
    return "[\n" + ",\n".join(items) + "\n" + " " * indent + "]"
