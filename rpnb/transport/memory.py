"""A joined pair of streams in this process, for tests and documents."""

from __future__ import annotations

import threading

from ..errors import LinkLost


class _Pipe:
    """One direction: bytes wait until they are taken."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.waiting: list[bytes] = []
        self.is_closed = False

    def put(self, data: bytes) -> None:
        with self.condition:
            if self.is_closed:
                raise LinkLost("the stream to the agent has ended")
            self.waiting.append(data)
            self.condition.notify_all()

    def take(self) -> bytes:
        with self.condition:
            self.condition.wait_for(lambda: self.waiting or self.is_closed)
            data = b"".join(self.waiting)
            self.waiting.clear()
            return data

    def close(self) -> None:
        with self.condition:
            self.is_closed = True
            self.condition.notify_all()


class MemoryStream:
    """One end of a pair; what one end sends the other receives."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    def send(self, data: bytes | memoryview) -> None:
        """Hand `data` to the other end.

        Raises:
            LinkLost: either end is closed.
        """
        if len(data):
            self._outgoing.put(bytes(data))

    def receive(self) -> bytes:
        """Return what has come; b"" once either end is closed and all is read."""
        return self._incoming.take()

    def unacknowledged(self) -> int:
        """Return 0: what is sent is there."""
        return 0

    def close(self) -> None:
        """End both directions."""
        self._incoming.close()
        self._outgoing.close()


def pair() -> tuple[MemoryStream, MemoryStream]:
    """Return two joined streams."""
    there, back = _Pipe(), _Pipe()
    return MemoryStream(back, there), MemoryStream(there, back)
