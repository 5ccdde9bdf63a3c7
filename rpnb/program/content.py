"""The bytes of one file beside the program, in pieces that are addressed each by its hash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..protocol.blobs import cut, digest, digests, whole_digest


@dataclass(frozen=True)
class Content:
    """What a file holds: `layout` are (digest, size) of its pieces, `blobs` their bytes.

    Pieces of an array are its own memory, not a copy: who sends them later makes sure
    that they are still what their digests say.
    """

    layout: tuple[tuple[str, int], ...]
    blobs: Mapping[str, bytes | memoryview] = field(repr=False)

    @classmethod
    def of(cls, segments: Iterable[bytes | memoryview]) -> Content:
        """Return the content that these segments make, one behind the other."""
        pieces = cut(segments)
        names = digests(pieces)
        layout = tuple((name, len(piece)) for name, piece in zip(names, pieces, strict=True))
        return cls(layout, dict(zip(names, pieces, strict=True)))

    @classmethod
    def of_bytes(cls, data: bytes) -> Content:
        """Return a file as it is: one blob, whatever its size."""
        return cls(((digest(data), len(data)),), {digest(data): data})

    @cached_property
    def digest(self) -> str:
        """The name of the whole."""
        return whole_digest(self.layout)

    @property
    def size(self) -> int:
        """The length of the whole in bytes."""
        return sum(size for _, size in self.layout)
