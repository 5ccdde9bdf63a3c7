"""A non-blocking socket with a queue of what is still to be sent."""

from __future__ import annotations

import os
import socket
import struct
from collections import deque

_RECEIVE = 1 << 18


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the process and the user at the other end of a unix socket."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", found)
    return pid, uid


def is_own(connection: socket.socket) -> bool:
    """Tell whether this user, or root, is at the other end.

    The folder is private already; on some mounts its mode means nothing.
    """
    return peer(connection)[1] in (0, os.getuid())


class Channel:
    """Sends what is queued as the other side reads, and never blocks."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self._queue: deque[memoryview] = deque()
        self.pending_bytes = 0

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self.connection.fileno()

    def queue(self, data: bytes) -> None:
        """Add bytes to be sent; `flush` sends."""
        if data:
            self._queue.append(memoryview(data))
            self.pending_bytes += len(data)

    def flush(self) -> None:
        """Send what the other side takes now.

        Raises:
            OSError: the other side is gone.
        """
        while self._queue:
            first = self._queue[0]
            try:
                sent = self.connection.send(first)
            except (BlockingIOError, InterruptedError):
                return
            self.pending_bytes -= sent
            if sent < len(first):
                self._queue[0] = first[sent:]
                return
            self._queue.popleft()

    def receive(self) -> bytes | None:
        """Return the bytes that came, b"" at the end, None where there are none now.

        Raises:
            OSError: the connection broke.
        """
        try:
            return self.connection.recv(_RECEIVE)
        except (BlockingIOError, InterruptedError):
            return None

    def close(self) -> None:
        """Close the socket; what is queued is dropped."""
        self.connection.close()
        self._queue.clear()
        self.pending_bytes = 0
