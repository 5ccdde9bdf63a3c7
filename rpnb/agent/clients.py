"""One client: what it may do, how far it has read, and sending it the rest.

Nothing is buffered but one piece at a time: events and log bytes are read from
the files as the client takes them, so a flood costs the disk and not memory.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import Iterator

from ..protocol.connection import AGENT, Connection
from ..protocol.messages import Hello, Message, Output, encode
from .channel import Channel
from .record import STREAMS, Record, Trace

# One Output frame's bytes: small enough that a ping is not kept waiting.
_PIECE = 1 << 16
# Queued for one client before it has to read.
_HIGH_WATER = 1 << 18
# Sent to one client before the others get their turn.
_TURN = 1 << 22


class Feed:
    """Events in order, each after the log bytes that belong before it."""

    def __init__(self, record: Record, seq: int, offsets: dict[str, int]) -> None:
        self._record = record
        self.seq, self.offsets = seq, dict(offsets)

    def take(self) -> Iterator[bytes] | None:
        """Return the pieces of the next frame, None where there is none now."""
        following = self.seq + 1
        if following > self._record.seq:
            return self._log(self._record.settled)
        log = self._log(self._record.offsets(following))
        if log is not None:
            return log
        self.seq = following
        return _event(self._record, following)

    def _log(self, limits: dict[str, int]) -> Iterator[bytes] | None:
        return _log(self._record, self.offsets, limits)


class Rerun:
    """The events and log bytes of one request again, up to where a feed is."""

    def __init__(self, record: Record, trace: Trace, feed: Feed) -> None:
        self._record = record
        self._seqs = deque(seq for seq in trace.seqs if seq <= feed.seq)
        self._offsets = record.offsets(self._seqs[0]) if self._seqs else dict(feed.offsets)
        # An open request's last bytes have no event after them yet.
        self._rest = dict(self._offsets if trace.ended else feed.offsets)

    def take(self) -> Iterator[bytes] | None:
        """Return the pieces of the next frame, None where there is none now."""
        if not self._seqs:
            return _log(self._record, self._offsets, self._rest)
        log = _log(self._record, self._offsets, self._record.offsets(self._seqs[0]))
        return log or _event(self._record, self._seqs.popleft())


class Client:
    """A connection to one client."""

    def __init__(self, connection: socket.socket) -> None:
        self.channel = Channel(connection)
        self.protocol = Connection(AGENT)
        self.hello: Hello | None = None
        self.is_closing = False
        self._feed: Feed | None = None
        self._reruns: deque[Rerun] = deque()
        # The rest of a large frame: nothing may come between its pieces.
        self._pieces: Iterator[bytes] | None = None
        self._said: deque[bytes] = deque()

    @property
    def name(self) -> str:
        """Who it is, in the client's own words."""
        return self.hello.client if self.hello is not None else ""

    def attach(self, hello: Hello, record: Record) -> None:
        """Begin to send: from the cursor on, or from now on where it has none."""
        self.hello = hello
        if hello.role == "bulk":
            return
        known = 0 <= hello.seq <= record.seq and hello.out <= record.settled["out"]
        if known and hello.err <= record.settled["err"]:
            self._feed = Feed(record, hello.seq, {"out": hello.out, "err": hello.err})
        else:
            self._feed = Feed(record, record.seq, record.settled)

    def rerun(self, record: Record, trace: Trace) -> None:
        """Send a request's events and log bytes again, before anything new."""
        if self._feed is not None:
            self._reruns.append(Rerun(record, trace, self._feed))

    def say(self, message: Message) -> None:
        """Send a message between two frames."""
        if self._pieces is None:
            self.channel.queue(encode(message))
        else:
            self._said.append(encode(message))

    def pump(self) -> bool:
        """Send what the client takes now; tell whether more could be sent at once.

        Raises:
            OSError: the client is gone.
        """
        sent = 0
        while sent < _TURN:
            while self.channel.pending_bytes < _HIGH_WATER and self._queue_next():
                pass
            queued = self.channel.pending_bytes
            self.channel.flush()
            if self.channel.pending_bytes or not queued:
                return False
            sent += queued
        return True

    def _queue_next(self) -> bool:
        if self._pieces is None:
            found = self._next_frame()
            if found is None:
                return False
            self._pieces = found
        piece = next(self._pieces, None)
        if piece is not None:
            self.channel.queue(piece)
            return True
        self._pieces = None
        while self._said:
            self.channel.queue(self._said.popleft())
        return True

    def _next_frame(self) -> Iterator[bytes] | None:
        if self.is_closing:
            return None
        while self._reruns:
            found = self._reruns[0].take()
            if found is not None:
                return found
            self._reruns.popleft()
        return self._feed.take() if self._feed is not None else None


def _log(record: Record, offsets: dict[str, int], limits: dict[str, int]) -> Iterator[bytes] | None:
    """Return the next piece of either log below the limits, and move past it."""
    for stream in STREAMS:
        size = min(limits[stream] - offsets[stream], _PIECE)
        if size <= 0:
            continue
        data = record.read_log(stream, offsets[stream], size)
        output = Output(stream, offsets[stream], data)
        # A log that was cut short has nothing to read there: go past it.
        offsets[stream] += len(data) or size
        return iter((encode(output),) if data else ())
    return None


def _event(record: Record, seq: int) -> Iterator[bytes]:
    start, end = record.frame(seq)
    for position in range(start, end, _HIGH_WATER):
        yield record.read_journal(position, min(_HIGH_WATER, end - position))
