"""What a value looks like."""

from __future__ import annotations

from typing import Any


def bundle(value: Any) -> dict[str, bytes]:
    """Return the displays of a value by mime type."""
    if value is None:
        return {}
    return {"text/plain": repr(value).encode("utf-8", "replace")}
