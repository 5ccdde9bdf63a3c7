"""Large values: addressed by hash, sent in fixed blocks, checked on arrival."""

from __future__ import annotations

import hashlib
from typing import Iterable, Iterator

# One block a frame: large enough that headers cost nothing, small enough that a
# cut loses little and a cancel is noticed (facts/program.md, section 6).
BLOCK_BYTES = 4 << 20


def digest(data: bytes | memoryview) -> str:
    """Return the blob's name: its SHA-256 as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def is_digest(text: str) -> bool:
    """Tell whether `text` could be a digest (and so is safe as a file name)."""
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)


def block_count(size: int) -> int:
    """Return how many blocks a blob of `size` bytes has; an empty one has one."""
    return max(1, -(-size // BLOCK_BYTES))


def block_size(size: int, index: int) -> int:
    """Return the length of block `index` of a blob of `size` bytes."""
    return min(BLOCK_BYTES, size - index * BLOCK_BYTES)


def blocks(data: bytes | memoryview, wanted: Iterable[int]) -> Iterator[tuple[int, memoryview]]:
    """Yield (index, bytes) for the wanted blocks of a blob, without copying."""
    view = memoryview(data)
    for index in wanted:
        yield index, view[index * BLOCK_BYTES : (index + 1) * BLOCK_BYTES]
