"""A pickle on its way out: segments that make one plain pickle, large buffers not copied.

Protocol 5 hands out buffers beside the pickle, and asks whoever loads it for them.
Here they are written into it in their places: `pickle.loads` needs nothing else.
"""

from __future__ import annotations

import pickle
import pickletools
import struct
from typing import Any

# Smaller buffers are copied into the pickle as it is written.
_LARGE_BUFFER = 1 << 16
# Where so much stands beside the buffers, looking through it takes longer than copying them.
_LARGE_REST = 4 << 20
_BYTEARRAY8, _BINBYTES8 = b"\x96", b"\x8e"
_FRAME, _NEXT_BUFFER, _READONLY_BUFFER = "FRAME", "NEXT_BUFFER", "READONLY_BUFFER"


class Stream:
    """A file for a pickler; `size` is how much came, which is not kept beyond `limit`."""

    def __init__(self, limit: int | None) -> None:
        self.size = 0
        self._limit = limit
        self._written: list[Any] = []
        self._buffers: list[memoryview] = []

    @property
    def is_too_large(self) -> bool:
        """Whether more came than was to be kept."""
        return self._limit is not None and self.size > self._limit

    @property
    def is_slow(self) -> bool:
        """Whether the pickle would be made faster with its buffers copied."""
        rest = self.size - sum(each.nbytes for each in self._buffers)
        return bool(self._buffers) and rest > _LARGE_REST

    def write(self, data: Any) -> int:
        """Take a part of the pickle."""
        length = len(data) if isinstance(data, bytes) else memoryview(data).nbytes
        self._keep(self._written, data, length)
        return length

    def take(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer; true tells the pickler to write it itself."""
        try:
            view = buffer.raw()
        except BufferError:  # not in one piece
            return True
        if view.nbytes < _LARGE_BUFFER:
            return True
        self._keep(self._buffers, view, view.nbytes)
        return False

    def segments(self) -> list[bytes | memoryview]:
        """Return the pickle, in order."""
        if not self._buffers:
            return self._written
        return _with_buffers(b"".join(self._written), self._buffers)

    def _keep(self, kept: list[Any], data: Any, length: int) -> None:
        self.size += length
        if self.is_too_large:
            self._written.clear()
            self._buffers.clear()
        else:
            kept.append(data)


def _with_buffers(text: bytes, buffers: list[memoryview]) -> list[bytes | memoryview]:
    """The pickle with each buffer where it asks for the next; frames, too short now, left out."""
    found: list[bytes | memoryview] = []
    left, start = iter(buffers), 0
    for code, _, at in pickletools.genops(text):
        assert at is not None
        if code.name == _FRAME:
            found.append(text[start:at])
            start = at + 9
        elif code.name == _NEXT_BUFFER:
            buffer = next(left)
            kind = _BINBYTES8 if buffer.readonly else _BYTEARRAY8
            found += [text[start:at] + kind + struct.pack("<Q", buffer.nbytes), buffer]
            start = at + 1
        elif code.name == _READONLY_BUFFER:
            # Bytes are read-only as they are.
            found.append(text[start:at])
            start = at + 1
    return [*found, text[start:]]
