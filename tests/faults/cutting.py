"""A proxy between client and sshd that cuts at a byte: by a reset, an end, or in silence."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from dataclasses import dataclass, field

KINDS = ("reset", "end", "silence")
DIRECTIONS = ("there", "back")
_PIECE = 1 << 14


@dataclass
class Cut:
    """What happens once `at` bytes more have gone through in `direction`, on any connection."""

    kind: str
    direction: str
    at: int
    is_done: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)


def random_cut(chance: random.Random, most: int = 60_000) -> Cut:
    """Return a cut at a random byte; half of them early, where a login is."""
    most = chance.choice((4000, most))
    return Cut(chance.choice(KINDS), chance.choice(DIRECTIONS), chance.randrange(1, most))


class Proxy:
    """Forwards connections on `port` to another port of this machine."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._lock = threading.Lock()
        self._cut: Cut | None = None
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def arm(self, cut: Cut | None) -> None:
        """Let this happen next."""
        with self._lock:
            self._cut = cut

    def close(self) -> None:
        """End the proxy and all that goes through it."""
        _hang_up(self._listener)
        for each in self._sockets:
            _hang_up(each)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            self._sockets += [client, server]
            silent = threading.Event()
            for source, sink, name in ((client, server, "there"), (server, client, "back")):
                pump = [source, sink, name, silent]
                threading.Thread(target=self._pump, args=pump, daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, name: str, silent: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                if silent.is_set():
                    continue  # packets vanish
                passed, kind = self._passed(data, name)
                sink.sendall(passed)
                if kind == "silence":
                    silent.set()
                elif kind == "reset":
                    linger = struct.pack("ii", 1, 0)
                    for each in (source, sink):
                        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                        each.close()
                elif kind == "end":
                    break
        if not silent.is_set():
            _hang_up(source)
            _hang_up(sink)

    def _passed(self, data: bytes, name: str) -> tuple[bytes, str | None]:
        with self._lock:
            cut = self._cut
            if cut is None or cut.direction != name:
                return data, None
            if cut.at > len(data):
                cut.at -= len(data)
                return data, None
            self._cut = None
            cut.is_done.set()
            return data[: cut.at], cut.kind


def _hang_up(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)
    opened.close()
