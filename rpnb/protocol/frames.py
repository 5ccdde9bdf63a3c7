"""One frame: a fixed header, a JSON head, raw buffers.

    magic   4 bytes   b"rpn1"
    head    4 bytes   length of the JSON text, big-endian
    count   2 bytes   number of raw buffers
    sizes   4 bytes each
    head, then the buffers, back to back

The same bytes travel over the wire and lie in the journal. Every length is
checked before anything is kept, and the values of a head are counted before one
is made: a hostile agent can make a client's reader take three times MAX_HEAD +
MAX_BUFFERS at most, the bytes as they came, the head's objects and the buffers
together. A reader of jobs, which are a person's own JSON, counts no values: of a
head it takes up to thirty times its bytes.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Iterator, NamedTuple, Sequence

from ..errors import ProtocolError

MAGIC = b"rpn1"
_HEADER = struct.Struct(">4sIH")
# Made once: json.dumps makes one anew for each text that is not in its default form.
_to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

# A program's text and a job fit many times over; results travel in buffers.
MAX_HEAD = 32 << 20
# Of a head that an agent sends: a program of 1000 cells with 300 captured functions has 17 000,
# a piece of a large value 3. Python takes up to 400 bytes for one, and 25 to 32 times its text
# for a head of nothing but `{},` or `[[]],`.
MAX_VALUES = 1 << 18
# Of all buffers together: RunPod's own limit for a result is 20 MB.
MAX_BUFFERS = 256 << 20


class Frame(NamedTuple):
    """A decoded frame: `head` is a JSON object, `buffers` are raw bytes."""

    head: dict[str, Any]
    buffers: tuple[bytes, ...]


def encode(head: dict[str, Any], buffers: Sequence[bytes] = ()) -> bytes:
    """Return the frame's bytes.

    Raises:
        ProtocolError: the head or the buffers are larger than a reader accepts.
    """
    text = _to_json(head).encode("utf-8", "surrogatepass")
    if len(text) > MAX_HEAD or sum(map(len, buffers)) > MAX_BUFFERS:
        raise ProtocolError(
            f"expected at most {MAX_HEAD} bytes of head and {MAX_BUFFERS} of buffers, "
            f"got {len(text)} and {sum(map(len, buffers))}"
        )
    sizes = struct.pack(f">{len(buffers)}I", *map(len, buffers))
    return b"".join([_HEADER.pack(MAGIC, len(text), len(buffers)), sizes, text, *buffers])


class FrameReader:
    """Turns received bytes, however they were split, into frames.

    A head of more than `most_values` is refused; by default it may hold what fits into it.
    """

    def __init__(self, most_values: int = MAX_HEAD) -> None:
        self._most_values = most_values
        self._data = bytearray()
        # Parsing starts only when this many bytes are there: a large frame that
        # arrives in small pieces is then looked at once, not once a piece.
        self._wanted = _HEADER.size
        # Of the frame that was yielded last.
        self.frame_bytes = 0

    def receive_data(self, data: bytes | memoryview) -> Iterator[Frame]:
        """Yield the frames that are complete now; keep the rest.

        Raises:
            ProtocolError: the bytes are no frame, or more than allowed.
        """
        self._data += data
        while len(self._data) >= self._wanted:
            frame = self._parse()
            if frame is not None:
                yield frame

    def _parse(self) -> Frame | None:
        magic, head_size, count = _HEADER.unpack_from(self._data)
        if magic != MAGIC:
            raise ProtocolError(f"expected a frame, got {bytes(self._data[:16])!r}")
        if head_size > MAX_HEAD:
            raise ProtocolError(f"expected a head of at most {MAX_HEAD} bytes, got {head_size}")
        start = _HEADER.size + 4 * count
        if not self._has(start):
            return None
        sizes = struct.unpack_from(f">{count}I", self._data, _HEADER.size)
        if sum(sizes) > MAX_BUFFERS:
            raise ProtocolError(
                f"expected at most {MAX_BUFFERS} bytes of buffers, got {sum(sizes)}"
            )
        if not self._has(start + head_size + sum(sizes)):
            return None
        return self._take(start, head_size, sizes)

    def _has(self, size: int) -> bool:
        self._wanted = size
        return len(self._data) >= size

    def _take(self, start: int, head_size: int, sizes: tuple[int, ...]) -> Frame:
        view = memoryview(self._data)
        try:
            head = loads(bytes(view[start : start + head_size]), self._most_values)
            position, buffers = start + head_size, []
            for size in sizes:
                buffers.append(bytes(view[position : position + size]))
                position += size
        finally:
            view.release()
        del self._data[:position]
        self.frame_bytes = position
        self._wanted = _HEADER.size
        return Frame(head, tuple(buffers))


def loads(text: bytes, most_values: int = MAX_HEAD) -> dict[str, Any]:
    """Return a frame's head.

    Raises:
        ProtocolError: it is no JSON object, or holds too many values.
    """
    # Each takes a byte at least: most heads are too short to hold so many.
    if len(text) > most_values and _has_more(text, most_values):
        raise ProtocolError(f"expected at most {most_values} values in a head, got more")
    try:
        head = json.loads(text.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"expected a JSON head, got {text[:40]!r}: {error}") from error
    if not isinstance(head, dict):
        raise ProtocolError(f"expected a JSON object, got {type(head).__name__}")
    return head


def _has_more(text: bytes, most: int) -> bool:
    """Tell whether JSON holds more values, or twice as many strings.

    What no JSON is may be counted wrong from there on, where the parser stops.
    """
    # A quote that is left begins or ends a string: what lies between is a person's text.
    bare = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    if bare.count(b'"') > 4 * most:
        return True
    outside = b"".join(bare.split(b'"')[::2])
    # Whatever a list or an object holds stands behind one of these.
    return sum(map(outside.count, (b"{", b"[", b","))) > most
