"""The journal: one record for each event, on disk before anybody is told.

The file is the events' frames, back to back, byte for byte what clients are
sent. One process appends (the worker; the relay while no worker is alive), any
number read. A process that dies while it writes leaves a torn last frame: a
reader stops before it, and the next writer cuts it off.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Sequence

from ..errors import ProtocolError
from ..protocol.frames import MAGIC, MAX_BUFFERS, MAX_HEAD, FrameReader
from ..protocol.messages import Event, decode, encode
from .directory import writing

_HEADER = struct.Struct(">4sIH")
# Read at once: many events, or the beginning of a large one.
_CHUNK = 1 << 16


class Place(NamedTuple):
    """Where a whole frame lies: its first byte, its buffers' first, and its end."""

    start: int
    buffers: int
    end: int


class Journal:
    """The journal's one writer. Opening it cuts off a torn last frame."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._end, self.seq = _last(self._file)
        os.ftruncate(self._file, self._end)

    def append(
        self,
        kind: str,
        body: dict[str, Any],
        *,
        request: str | None,
        out: int,
        err: int,
        buffers: Sequence[bytes] = (),
    ) -> Event:
        """Write an event and return it, numbered; safe from any thread.

        `out` and `err` are the logs' sizes: everything below belongs before it.

        Raises:
            NoSpace: the disk is full; the journal is as it was.
        """
        with self._lock:
            event = Event(self.seq + 1, time.time(), out, err, request, kind, body, tuple(buffers))
            self._write(encode(event))
            self.seq = event.seq
            return event

    def read(self, after_seq: int = 0) -> Iterator[Event]:
        """Yield the events numbered above `after_seq`, oldest first."""
        reader = JournalReader(self._path)
        try:
            yield from (event for event in reader.poll() if event.seq > after_seq)
        finally:
            reader.close()

    def close(self) -> None:
        """Close the file; what was appended stays."""
        os.close(self._file)

    def _write(self, data: bytes) -> None:
        view, written = memoryview(data), 0
        with writing(self._path):
            try:
                while written < len(view):
                    written += os.write(self._file, view[written:])
            except OSError:
                os.ftruncate(self._file, self._end)
                raise
        self._end += written


class JournalReader:
    """Follows a journal while somebody else writes it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._position = 0

    def poll(self) -> Iterator[Event]:
        """Yield the events that are complete now and were not yielded before."""
        for place, event in self.places():
            whole = os.pread(self._file, place.end - place.start, place.start)
            yield _event(whole) if place.buffers < place.end else event

    def places(self) -> Iterator[tuple[Place, Event]]:
        """Yield each new event without its buffers, and where it lies in the file."""
        for place, event in _places(self._file, self._position):
            self._position = place.end
            yield place, event

    def read(self, start: int, size: int) -> bytes:
        """Return bytes of the file itself, as `places` locates them."""
        return os.pread(self._file, size, start)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _last(file: int) -> tuple[int, int]:
    end, seq = 0, 0
    for place, event in _places(file, 0):
        end, seq = place.end, event.seq
    return end, seq


def _places(file: int, position: int) -> Iterator[tuple[Place, Event]]:
    size = os.fstat(file).st_size
    chunk, base = b"", position
    while position + _HEADER.size <= size:
        if position + _HEADER.size > base + len(chunk):
            chunk, base = os.pread(file, _CHUNK, position), position
        found = _frame_at(file, chunk, position - base, position)
        if found is None or found[0].end > size:
            return
        yield found
        position = found[0].end


def _frame_at(file: int, chunk: bytes, at: int, position: int) -> tuple[Place, Event] | None:
    """Return the frame at `position`, whose bytes in `chunk` begin at `at`."""
    magic, head_size, count = _HEADER.unpack_from(chunk, at)
    if magic != MAGIC or head_size > MAX_HEAD:
        return None
    text = _HEADER.size + 4 * count
    if at + text + head_size > len(chunk):
        chunk, at = os.pread(file, text + head_size, position), 0
        if len(chunk) < text + head_size:
            return None
    sizes = struct.unpack_from(f">{count}I", chunk, at + _HEADER.size)
    if sum(sizes) > MAX_BUFFERS:
        return None
    head = chunk[at + text : at + text + head_size]
    start = position + text + head_size
    try:
        event = _event(_HEADER.pack(MAGIC, head_size, 0) + head)
    except ProtocolError:
        return None
    return Place(position, start, start + sum(sizes)), event


def _event(data: bytes) -> Event:
    frame = next(FrameReader().receive_data(data))
    message = decode(frame)
    if not isinstance(message, Event):
        raise ProtocolError(f"expected an Event in the journal, got {type(message).__name__}")
    return message
