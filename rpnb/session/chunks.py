"""What is kept here of a job's chunks, or of its progress: the first ones, as many as fit."""

from __future__ import annotations

from typing import Any

# Of their JSON text; as Python objects it is some three times as much. A million tokens fit.
MOST_BYTES = 64_000_000
# What the smallest chunk takes as an object, and so counts for.
_LEAST_BYTES = 64


class Chunks:
    """`values` are the first chunks in order, `left_out` counts those after them."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.left_out = 0
        self._room = MOST_BYTES

    def add(self, value: Any, size_bytes: int) -> None:
        """Keep a chunk that came in so many bytes of JSON, while there is room."""
        if self._room <= 0:
            self.left_out += 1
        else:
            self.values.append(value)
            self._room -= max(size_bytes, _LEAST_BYTES)
