"""SSH's own encoding of strings and numbers (RFC 4251, section 5), read strictly.

paramiko's reader pads what is cut short with zeros; what comes from a host must not be padded.
"""

from __future__ import annotations

import struct


class Reader:
    """Takes one field after the other from some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def string(self) -> bytes:
        """Return the next length-prefixed bytes.

        Raises:
            ValueError: they are cut short, as for every field.
        """
        return self._take(self.uint32())

    def text(self) -> str:
        """Return the next string as text."""
        return self.string().decode("utf-8", "replace")

    def boolean(self) -> bool:
        """Return whether the next byte is not zero."""
        return self._take(1) != b"\0"

    def uint32(self) -> int:
        """Return the next number of 4 bytes."""
        return int(struct.unpack(">I", self._take(4))[0])

    def uint64(self) -> int:
        """Return the next number of 8 bytes."""
        return int(struct.unpack(">Q", self._take(8))[0])

    def strings(self) -> list[bytes]:
        """Return the strings packed into the next string."""
        inner, found = Reader(self.string()), list[bytes]()
        while not inner.is_at_end:
            found.append(inner.string())
        return found

    @property
    def is_at_end(self) -> bool:
        """Whether everything is taken."""
        return self.position == len(self.data)

    def _take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.data):
            raise ValueError(f"expected {size} bytes, got {len(self.data) - self.position}")
        taken = self.data[self.position : end]
        self.position = end
        return taken


def string(data: bytes) -> bytes:
    """Return `data` with its length before it."""
    return struct.pack(">I", len(data)) + data
