"""One client: what it may do, how far it has read, and sending it the rest.

Nothing is buffered but one piece at a time: events and log bytes are read from
the files as the client takes them, so a flood costs the disk and not memory.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import Iterator

from ..errors import ProtocolError
from ..protocol.connection import AGENT, Connection
from ..protocol.messages import Hello, Message, Notice, Welcome, encode
from .channel import Channel
from .feed import Feed
from .known import Trace
from .record import Record

# Queued for one client before it has to read.
_HIGH_WATER = 1 << 18
# Sent to one client before the others get their turn.
_TURN = 1 << 22
# Answers that wait for a client which asks on and on and never reads; it is cut off.
_MOST_SAID = 1 << 22
_MOST_RERUNS = 64


class Client:
    """A connection to one client."""

    def __init__(self, connection: socket.socket) -> None:
        self.channel = Channel(connection)
        self.protocol = Connection(AGENT)
        self.hello: Hello | None = None
        self.is_closing = False
        self._feed: Feed | None = None
        self._reruns: deque[Feed] = deque()
        # The rest of some frames: nothing may come between their pieces.
        self._pieces: Iterator[bytes] | None = None
        # Each with the bytes it counts for: a welcome, which is sent once, holds a whole program.
        self._said: deque[tuple[bytes, int]] = deque()
        self._said_bytes = 0

    @property
    def name(self) -> str:
        """Who it is, in the client's own words."""
        return self.hello.client if self.hello is not None else ""

    @property
    def is_user(self) -> bool:
        """Whether it is there to use the worker, and not only to look at it."""
        return self.hello is not None and self.hello.role == "drive"

    @property
    def is_gone(self) -> bool:
        """Whether its link has ended."""
        return self.channel.fileno() < 0

    @property
    def is_done(self) -> bool:
        """Whether it is to be cut off, and has been told why."""
        return self.is_closing and not self._said and not self.channel.pending_bytes

    def attach(self, hello: Hello, record: Record) -> None:
        """Begin to send a driver: from the cursor on, or from now on where it has none."""
        self.hello = hello
        if hello.role != "drive":
            return
        known = 0 <= hello.seq <= record.seq and hello.out <= record.settled["out"]
        if known and hello.err <= record.settled["err"]:
            self._feed = Feed(record, hello.seq, {"out": hello.out, "err": hello.err})
        else:
            self._feed = Feed(record, record.seq, record.settled)

    def follow(self, record: Record) -> bool:
        """Begin to send a watcher, which has just said what it wants to be told again.

        What happens before that must not come before it. Tell whether this is the first time.
        """
        is_first = self._feed is None
        self._feed = self._feed or Feed(record, record.seq, record.settled)
        return is_first

    def rerun(self, record: Record, trace: Trace) -> None:
        """Send a request's events and log bytes again, before anything new.

        Raises:
            ProtocolError: there are too many that it did not read yet.
        """
        if len(self._reruns) >= _MOST_RERUNS:
            raise ProtocolError(f"expected at most {_MOST_RERUNS} requests to be told again")
        if self._feed is not None:
            self._reruns.append(Feed.again(record, trace, self._feed))

    def say(self, message: Message) -> None:
        """Send a message between two frames."""
        data = encode(message)
        counts = 0 if isinstance(message, Welcome) else len(data)
        self._said.append((data, counts))
        self._said_bytes += counts

    def tell(self, notice: Notice) -> None:
        """Pass on a notice, where it follows what happens."""
        if self._feed is not None:
            self.say(notice)

    def pump(self) -> bool:
        """Send what the client takes now; tell whether more could be sent at once.

        Raises:
            OSError: the client is gone, or asks and never reads.
        """
        if self._said_bytes > _MOST_SAID:
            raise ConnectionError("the client does not read its answers")
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

    def close(self) -> None:
        """Hang up."""
        self.channel.close()
        for feed in [*self._reruns, *([self._feed] if self._feed is not None else [])]:
            feed.close()

    def _queue_next(self) -> bool:
        if self._pieces is None and self._said:
            data, counts = self._said.popleft()
            self._said_bytes -= counts
            self.channel.queue(data)
            return True
        self._pieces = self._pieces or self._next_frames()
        if self._pieces is None:
            return False
        piece = next(self._pieces, None)
        if piece is None:
            self._pieces = None
        else:
            self.channel.queue(piece)
        return True

    def _next_frames(self) -> Iterator[bytes] | None:
        if self.is_closing:
            return None
        while self._reruns:
            found = self._reruns[0].take()
            if found is not None:
                return found
            self._reruns.popleft().close()
        return self._feed.take() if self._feed is not None else None
