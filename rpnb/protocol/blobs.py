"""Large values: addressed by hash, sent in fixed blocks, checked on arrival.

A pickled value is cut where its buffers begin, and each piece is a blob of its own:
an array of which one number changed, or one of ten in a dictionary, is not sent whole.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterable, Iterator, Mapping, Sequence

# One block a frame: large enough that headers cost nothing, small enough that a
# cut loses little and a cancel is noticed (facts/program.md, section 6).
BLOCK_BYTES = 4 << 20
# Smaller segments share a piece: each costs a name in every message.
_LARGE_SEGMENT = 1 << 16
# Hashing lets other threads run: two of them halve the time of 500 MB, 0.8 s in one.
_MANY, _HASHING = 4, 4


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


def cut(segments: Iterable[bytes | memoryview]) -> list[memoryview]:
    """Return the bytes of all segments in pieces of one block at most; large ones are not copied.

    A large segment begins a piece, so what stands before it may change its length.
    """
    pieces: list[memoryview] = []
    small = bytearray()
    for segment in segments:
        view = memoryview(segment).cast("B")
        if len(view) < _LARGE_SEGMENT and len(small) + len(view) <= BLOCK_BYTES:
            small += view
            continue
        pieces += [memoryview(bytes(small))] if small else []
        small = bytearray()
        pieces += [view[at : at + BLOCK_BYTES] for at in range(0, len(view), BLOCK_BYTES)]
    return [*pieces, memoryview(bytes(small))] if small or not pieces else pieces


def digests(pieces: Sequence[memoryview]) -> list[str]:
    """Return the digest of each piece; many are hashed side by side."""
    if len(pieces) < _MANY:
        return [digest(piece) for piece in pieces]
    with ThreadPoolExecutor(_HASHING) as pool:
        return list(pool.map(digest, pieces))


def whole_digest(layout: Sequence[Sequence[Any]]) -> str:
    """Return the name of what is made of these (digest, size): the piece's own where it is one."""
    if len(layout) == 1:
        return str(layout[0][0])
    return digest("".join(f"{name} {size}\n" for name, size in layout).encode())


def layouts(program: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
    """Return of what (digest, size) each file of a program in wire form is made, by its path."""
    pieces = program.get("pieces") or {}
    files = program.get("files") or {}
    return {path: pieces.get(found[0]) or [list(found)] for path, found in files.items()}


def blobs_of(program: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return all blobs that a program in wire form is made of: {digest: [digest, size]}."""
    return {each[0]: list(each) for layout in layouts(program).values() for each in layout}
