"""From an address to a connected socket, set up for short messages and dead links."""

from __future__ import annotations

import contextlib
import fcntl
import queue
import socket
import subprocess
import sys
import termios
import threading
from collections import deque

from .settings import Settings
from .text import plain

# A dead link is given up after this time without an acknowledgement; keepalive alone never
# notices one while bytes wait to be sent. macOS has no such option.
_USER_TIMEOUT_MS = 10_000
# Of what a ProxyCommand says, the end is enough.
_MOST_LINES, _MOST_CHARACTERS = 5, 500
_LAST_WORDS_SECONDS = 1.0
# macOS, <sys/socket.h>; Linux has SIOCOUTQ, which is TIOCOUTQ.
_SO_NWRITE = 0x1024


def dial(settings: Settings) -> socket.socket:
    """Return a socket connected to the host.

    Raises:
        OSError: the last of what the host's addresses answered.
    """
    connected = _connect(settings)
    # Without this each request waits 40 ms for the delayed acknowledgement of the one before.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
    return connected


def unacknowledged(connected: socket.socket) -> int:
    """Return how many sent bytes the other end has not acknowledged; 0 where nobody says."""
    try:
        if sys.platform == "darwin":
            return connected.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)
        return int.from_bytes(fcntl.ioctl(connected, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except (OSError, ValueError):  # closed meanwhile
        return 0


class Proxy:
    """A running ProxyCommand, and `socket`, which leads through it to the host.

    It ends by itself when the socket closes.
    """

    def __init__(self, command: str) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            # A session of its own, so that Ctrl-C reaches rpnb only.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._said: deque[str] = deque(maxlen=_MOST_LINES)
        self._news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="rpnb proxy", daemon=True)
        self._reader.start()

    def news(self) -> str:
        """Return a line that it has written to its standard error since, if any."""
        try:
            return self._news.get_nowait()
        except queue.Empty:
            return ""

    def last_words(self) -> str:
        """Return what it wrote to its standard error last."""
        self._reader.join(_LAST_WORDS_SECONDS)
        return " · ".join(self._said)

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            # It goes on for as long as the connection does.
            for line in iter(lambda: lines.readline(_MOST_CHARACTERS), b""):
                text = plain(line.decode("utf-8", "replace")).strip()
                if text:
                    self._said.append(text)
                    self._news.put(text)
        self._process.wait()


def _connect(settings: Settings) -> socket.socket:
    source = (settings.bind_address, 0) if settings.bind_address else None
    if settings.family is None:
        place = (settings.host, settings.port)
        return socket.create_connection(place, settings.timeout, source)
    found = socket.getaddrinfo(settings.host, settings.port, settings.family, socket.SOCK_STREAM)
    places = [(str(place[0]), settings.port) for *_, place in found]
    for place in places[:-1]:
        with contextlib.suppress(OSError):
            return socket.create_connection(place, settings.timeout, source)
    return socket.create_connection(places[-1], settings.timeout, source)
