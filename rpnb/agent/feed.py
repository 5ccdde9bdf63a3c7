"""What one client is still to be told: events in order, each after its log bytes.

Nothing is read ahead but one piece. A client that is far behind gets every
event; of a long log it gets the beginning and the end, and learns how much is
between them.
"""

from __future__ import annotations

import time
from typing import Iterator

from ..protocol.messages import Output, Trimmed, encode
from .journal import Entry, JournalReader
from .known import Trace
from .record import STREAMS, Record

# Read and sent at once: small enough that a ping is not kept waiting.
_PIECE = 1 << 16
_LARGE_PIECE = 1 << 18
# A client that stays this far behind for so many seconds is told only the log's last
# TAIL bytes: a result must not wait for text that nobody reads. At 20 Mbit/s all of a
# log of 23 MB still comes, and none delays a result by more than 10 s.
_BEHIND, _PATIENCE = 16 << 20, 3.0
_TAIL = 1 << 20


class Feed:
    """Follows the record; with `trace`, only tells that request again, up to event `last`."""

    def __init__(
        self,
        record: Record,
        seq: int,
        offsets: dict[str, int],
        *,
        trace: Trace | None = None,
        last: int | None = None,
        rest: dict[str, int] | None = None,
    ) -> None:
        self._record, self._trace, self._last = record, trace, last
        # Log bytes to send after the last event; None: all that is settled.
        self._rest = rest
        self.seq, self.offsets = seq, dict(offsets)
        self._behind_since: dict[str, float] = {}
        self._skip_to = dict.fromkeys(STREAMS, 0)
        self._reader: JournalReader | None = None
        self._entries: Iterator[Entry] = iter(())
        self._next: Entry | None = None

    @classmethod
    def again(cls, record: Record, trace: Trace, feed: Feed) -> Feed:
        """Return what tells a request again, up to where a client's feed is."""
        offsets = dict(trace.starts) if trace.first <= feed.seq else dict(feed.offsets)
        # An open request's last bytes have no event after them yet.
        rest = trace.ends if trace.ended and trace.last <= feed.seq else dict(feed.offsets)
        return cls(record, trace.first - 1, offsets, trace=trace, last=feed.seq, rest=rest)

    def take(self) -> Iterator[bytes] | None:
        """Return the pieces of the next frames, None where there is nothing now."""
        if self.seq + 1 < self._record.segments[0]:
            return self._jump(self._record.segments[0] - 1)
        entry = self._peek()
        newest = self._newest(entry)
        if entry is None:
            return self._log(self._rest or self._record.settled, newest)
        log = self._log({"out": entry.head["out"], "err": entry.head["err"]}, newest)
        return log or self._events(entry)

    def close(self) -> None:
        """Close what it reads."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _jump(self, seq: int) -> Iterator[bytes]:
        """The journal's beginning was removed before the client had read it."""
        self.close()
        # What was looked at before lies in a file that is gone.
        self.seq, self._next = seq, None
        return iter((encode(Trimmed(seq)),))

    def _peek(self) -> Entry | None:
        """Return the next event that belongs here, once the record has noted it."""
        while True:
            if self._next is None and self.seq < self._end:
                self._next = self._read()
            entry = self._next
            if entry is None or entry.seq > self._end:
                return None
            if self._trace is None or entry.head["request"] == self._trace.request:
                return entry
            self.seq, self._next = entry.seq, None

    @property
    def _end(self) -> int:
        return self._record.seq if self._last is None else self._last

    def _read(self) -> Entry | None:
        if self._reader is None:
            self._reader = self._record.reader(self.seq)
            self._entries = self._reader.entries()
        entry = next(self._entries, None)
        if entry is None:
            self._reader.next_segment()
            self._entries = self._reader.entries()
            entry = next(self._entries, None)
        return entry

    def _events(self, first: Entry) -> Iterator[bytes]:
        """Return the bytes of this event and of those that follow it with no log between."""
        assert self._reader is not None
        end, self.seq, self._next = first.end, first.seq, None
        while end - first.start < _PIECE and self.seq < self._end:
            # Of this segment alone: the bytes are read from it.
            self._next = next(self._entries, None)
            if self._next is None or not _belongs_to(self._next, first):
                break
            end, self.seq, self._next = self._next.end, self._next.seq, None
        return _pieces(self._reader, first.start, end)

    def _log(self, limits: dict[str, int], newest: dict[str, int]) -> Iterator[bytes] | None:
        """Return the next piece of either log below the limits, and move past it."""
        for stream in STREAMS:
            if self.offsets[stream] < limits[stream]:
                return iter((encode(self._piece(stream, limits[stream], newest[stream])),))
        return None

    def _piece(self, stream: str, limit: int, newest: int) -> Output:
        log, at = self._record.logs[stream], self.offsets[stream]
        if self._is_too_slow(stream, newest - at):
            self._skip_to[stream] = log.line_after(newest - _TAIL)
        skip_to = min(self._skip_to[stream], limit)
        data = log.text(at, min(limit - at, _PIECE)) if at >= skip_to else b""
        if not data:
            # A log that was cut short has nothing to read there, either.
            end = max(skip_to, log.end_of_hole(at))
            at = min(end, limit) if end > at else limit
        self.offsets[stream] = at + len(data)
        return Output(stream, at, data)

    def _is_too_slow(self, stream: str, behind: int) -> bool:
        if behind <= _BEHIND:
            self._behind_since.pop(stream, None)
            return False
        now = time.monotonic()
        return now - self._behind_since.setdefault(stream, now) > _PATIENCE

    def _newest(self, entry: Entry | None) -> dict[str, int]:
        """Return where the log ends that an event is part of: its run's, or what there is."""
        if self._rest is not None:
            return self._rest
        trace = self._record.traces.get(entry.head["request"]) if entry is not None else None
        return trace.ends if trace is not None and trace.ended else self._record.settled


def _belongs_to(entry: Entry, first: Entry) -> bool:
    """Tell whether an event may be sent in one piece with an earlier one."""
    return all(entry.head[key] == first.head[key] for key in ("out", "err", "request"))


def _pieces(reader: JournalReader, start: int, end: int) -> Iterator[bytes]:
    for position in range(start, end, _LARGE_PIECE):
        yield reader.read(position, min(_LARGE_PIECE, end - position))
