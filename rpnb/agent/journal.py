"""The journal: one record for each event, on disk before anybody is told.

A folder of segments, each named by the number of its first event. A segment is
the events' frames, back to back, byte for byte what clients are sent. One
process appends (the worker; the relay while no worker is alive), any number
read. A process that dies while it writes leaves a torn last frame: a reader
stops before it, and the next writer cuts it off. Only the last segment can be
torn, so that is found at once however long the journal is.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Sequence

from ..errors import ProtocolError
from ..protocol.frames import MAGIC, MAX_BUFFERS, MAX_HEAD, Frame, FrameReader, loads
from ..protocol.messages import Event, decode, encode
from .directory import writing

# A new segment begins after so many bytes: looked through in some 20 ms, and little to
# keep for the sake of one event in it.
SEGMENT_BYTES = 1 << 20
_HEADER = struct.Struct(">4sIH")
# Read at once: many events, or the beginning of a large one.
_CHUNK = 1 << 16


class Entry(NamedTuple):
    """An event in a segment: its head, its first byte, its buffers' first, and its end."""

    head: dict[str, Any]
    start: int
    buffers: int
    end: int

    @property
    def seq(self) -> int:
        """The event's number."""
        return int(self.head["seq"])

    def event(self) -> Event:
        """Return the event without its buffers.

        Raises:
            ProtocolError: it is none.
        """
        event = decode(Frame(self.head, ()))
        assert isinstance(event, Event)
        return event


class Journal:
    """The journal's one writer. Opening it cuts off a torn last frame."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._lock = threading.Lock()
        with writing(self._folder):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            first = (segments(self._folder) or [1])[-1]
            self._file = self._open(first)
            self._end, self.seq = 0, first - 1
            for entry in _entries(self._file, 0):
                self._end, self.seq = entry.end, entry.seq
            os.ftruncate(self._file, self._end)

    @property
    def begins_segment(self) -> bool:
        """Whether the next event begins a segment: the time to ask whether there is room."""
        return self._end >= SEGMENT_BYTES

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
        with self._lock, writing(self._folder):
            if self.begins_segment:
                self._begin_segment()
            event = Event(self.seq + 1, time.time(), out, err, request, kind, body, tuple(buffers))
            self._write(encode(event))
            self.seq = event.seq
            return event

    def read(self, after_seq: int = 0) -> Iterator[Event]:
        """Yield the events numbered above `after_seq`, oldest first."""
        with contextlib.closing(JournalReader(self._folder, after_seq)) as reader:
            yield from reader.poll()

    def close(self) -> None:
        """Close the file; what was appended stays."""
        os.close(self._file)

    def _begin_segment(self) -> None:
        fresh = self._open(self.seq + 1)
        os.close(self._file)
        self._file, self._end = fresh, 0

    def _open(self, first: int) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(path_of(self._folder, first), flags, 0o600)

    def _write(self, data: bytes) -> None:
        view, written = memoryview(data), 0
        try:
            while written < len(view):
                written += os.write(self._file, view[written:])
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end += written


class JournalReader:
    """Follows a journal, from the event after number `after`, while somebody else writes it."""

    def __init__(self, folder: str | os.PathLike[str], after: int = 0) -> None:
        self._folder = Path(folder)
        self._file: int | None = None
        self._first = self._position = 0
        # The number of the last event passed.
        self.seq = after

    def poll(self) -> Iterator[Event]:
        """Yield the events that are complete now and were not yielded before."""
        while True:
            for entry in self.entries():
                whole = self.read(entry.start, entry.end - entry.start)
                yield _event(whole) if entry.buffers < entry.end else entry.event()
            if not self.next_segment():
                return

    def entries(self) -> Iterator[Entry]:
        """Yield each new event of the segment at hand; `read` reads that segment's bytes."""
        if self._file is None:
            self._open(self._find())
        if self._file is None:
            return
        for entry in _entries(self._file, self._position):
            self._position = entry.end
            if entry.seq > self.seq:
                self.seq = entry.seq
                yield entry

    def next_segment(self) -> bool:
        """Go on to the next segment; False where there is none yet."""
        is_next = self._file is not None and self._first <= self.seq
        return is_next and self._open(self.seq + 1)

    def read(self, start: int, size: int) -> bytes:
        """Return bytes of the segment at hand, as an entry locates them."""
        assert self._file is not None
        return os.pread(self._file, size, start)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _find(self) -> int:
        """The segment that holds the next event; the first one where that is kept no more."""
        there = segments(self._folder)
        before = [first for first in there if first <= self.seq + 1]
        return before[-1] if before else there[0] if there else 1

    def _open(self, first: int) -> bool:
        try:
            file = os.open(path_of(self._folder, first), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self.close()
        self._file, self._first, self._position = file, first, 0
        return True


def segments(folder: Path) -> list[int]:
    """Return the number of each segment's first event, in order."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(name) for name in names if name.isdigit())


def path_of(folder: Path, first: int) -> Path:
    """Return the file of the segment that begins with this event."""
    return folder / f"{first:012d}"


def _entries(file: int, position: int) -> Iterator[Entry]:
    size = os.fstat(file).st_size
    chunk, base = b"", position
    while position + _HEADER.size <= size:
        if position + _HEADER.size > base + len(chunk):
            chunk, base = os.pread(file, _CHUNK, position), position
        found = _frame_at(file, chunk, position - base, position)
        if found is None or found.end > size:
            return
        yield found
        position = found.end


def _frame_at(file: int, chunk: bytes, at: int, position: int) -> Entry | None:
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
    start = position + text + head_size
    try:
        head = loads(chunk[at + text : at + text + head_size])
    except ProtocolError:
        return None
    if head.get("type") != "Event" or not isinstance(head.get("seq"), int):
        return None
    return Entry(head, position, start, start + sum(sizes))


def _event(data: bytes) -> Event:
    message = decode(next(FrameReader().receive_data(data)))
    assert isinstance(message, Event)
    return message
