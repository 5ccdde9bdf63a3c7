"""A proxy between client and server that cuts at a byte, and that can be a slow link."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from tests.sshd import Sshd

KINDS = ("reset", "end", "silence")
DIRECTIONS = ("there", "back")
_PIECE = 1 << 14
# What a slow link's first hop takes in advance: the rest waits with its sender.
_TAKES = 1400


@dataclass
class Cut:
    """What happens once `at` bytes more have gone through in `direction`, on any connection."""

    kind: str
    direction: str
    at: int
    is_done: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)
    # What went on just then, in the words of the proxy's `stage`.
    stage: str = field(default="", compare=False)
    # What happens after it, counted from there.
    following: Cut | None = field(default=None, compare=False)


def random_cut(chance: random.Random) -> Cut:
    """Return a cut at a random byte; half of them early, where a login is."""
    most = chance.choice((4000, 4000, 60_000, 300_000, 600_000))
    direction = "there" if most > 300_000 else chance.choice(DIRECTIONS)
    return Cut(chance.choice(KINDS), direction, chance.randrange(1, most))


class Slowness:
    """A link's `latency` one way in seconds, and its `rate` each way in bytes a second."""

    def __init__(self, latency: float, rate: float) -> None:
        self.latency, self._rate = latency, rate
        self._lock = threading.Lock()
        # Each way is one line, whatever connections there are.
        self._free_at = dict.fromkeys(DIRECTIONS, 0.0)

    def pass_on(self, direction: str, size: int) -> float:
        """Wait until so many bytes are on their way; return when they arrive."""
        with self._lock:
            begins = max(time.monotonic(), self._free_at[direction])
            ends = self._free_at[direction] = begins + size / self._rate
        time.sleep(max(0.0, ends - time.monotonic()))
        return ends + self.latency


class Proxy:
    """Forwards connections to a port of this machine, or to a unix socket, from one of its own.

    `place` is that port or path. `stage` says what goes on when a link is cut.
    """

    def __init__(
        self,
        to: int | Path,
        *,
        slowness: Slowness | None = None,
        at: Path | None = None,
        stage: Callable[[], str] = str,
    ) -> None:
        self._to, self._slowness, self.stage = to, slowness, stage
        self._lock = threading.Lock()
        self._cut: Cut | None = None
        self._connections: list[_Connection] = []
        self._listener = _listener(at, _TAKES if slowness else None)
        self.place: int | Path = at or self._listener.getsockname()[1]
        # While it is down nobody gets through.
        self._is_down = False
        # In each direction.
        self.passed_bytes = dict.fromkeys(DIRECTIONS, 0)
        threading.Thread(target=self._serve, daemon=True).start()

    def arm(self, cut: Cut | None) -> None:
        """Let this happen next."""
        with self._lock:
            self._cut = cut

    def strike(self, kind: str) -> None:
        """Cut all that goes through, at the byte where it is."""
        for each in self._connections:
            each.cut(kind)

    def take_down(self) -> None:
        """Let there be no network: what goes through is cut, and nothing gets through."""
        self._is_down = True
        self.strike("reset")

    def bring_up(self) -> None:
        """Let the network be back."""
        self._is_down = False

    def close(self) -> None:
        """End the proxy and all that goes through it."""
        _hang_up(self._listener)
        for each in self._connections:
            each.hang_up()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = None if self._is_down else _connected(self._to)
            except OSError:
                server = None  # nobody listens
            if server is None:
                client.close()
                continue
            made = _Connection(client, server, self._slowness, self._passed)
            self._connections = [each for each in self._connections if not each.is_over]
            self._connections.append(made)
            made.start()

    def _passed(self, data: bytes, direction: str) -> tuple[bytes, str | None]:
        """Return what of the data goes through, and what kind of cut follows."""
        with self._lock:
            cut = self._cut
            if cut is None or cut.direction != direction or cut.at > len(data):
                if cut is not None and cut.direction == direction:
                    cut.at -= len(data)
                self.passed_bytes[direction] += len(data)
                return data, None
            self._cut = cut.following
            cut.stage = self.stage()
            self.passed_bytes[direction] += cut.at
            cut.is_done.set()
            return data[: cut.at], cut.kind


def through(proxy: Proxy, sshd: Sshd, target: str) -> str:
    """Return the TARGET that reaches this server by the proxy."""
    target = target.replace(f"-p {sshd.port} ", f"-p {proxy.place} ")
    options = f"-o HostKeyAlias={sshd.name} -o ConnectTimeout=4 "
    return target.replace("-o IdentityAgent", f"{options}-o IdentityAgent")


class _Connection:
    """One connection through the proxy."""

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        slowness: Slowness | None,
        passed: Callable[[bytes, str], tuple[bytes, str | None]],
    ) -> None:
        self._client, self._server = client, server
        self._slowness, self._passed = slowness, passed
        self._is_silent = False
        self.is_over = False

    def start(self) -> None:
        ways = ((self._client, self._server), (self._server, self._client))
        for (source, sink), direction in zip(ways, DIRECTIONS, strict=True):
            threading.Thread(target=self._pump, args=[source, sink, direction], daemon=True).start()

    def cut(self, kind: str) -> None:
        if kind == "silence":
            self._is_silent = True
        elif kind == "reset":
            self._reset()
        else:
            self.hang_up()

    def hang_up(self) -> None:
        self.is_over = True
        _hang_up(self._client)
        _hang_up(self._server)

    def _pump(self, source: socket.socket, sink: socket.socket, direction: str) -> None:
        send, finish = self._sender(sink, direction)
        with contextlib.suppress(OSError):
            while data := source.recv(_TAKES if self._slowness else _PIECE):
                if self._is_silent:
                    continue  # packets vanish
                passed, kind = self._passed(data, direction)
                send(passed)
                if kind is not None:
                    finish()
                    self.cut(kind)
        finish()
        if not self._is_silent:
            self.hang_up()

    def _sender(
        self, sink: socket.socket, direction: str
    ) -> tuple[Callable[[bytes], None], Callable[[], None]]:
        """Return what sends bytes, and what returns when they have arrived."""
        if self._slowness is None:
            return sink.sendall, lambda: None
        way = _Way(self._slowness, sink, direction)
        return way.send, way.finish

    def _reset(self) -> None:
        self.is_over = True
        linger = struct.pack("ii", 1, 0)
        for each in (self._client, self._server):
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                # Or it would be closed only when the other thread's recv() returns.
                each.shutdown(socket.SHUT_RD)
            each.close()


class _Way:
    """One direction of a connection over a slow link."""

    def __init__(self, slowness: Slowness, sink: socket.socket, direction: str) -> None:
        self._slowness, self._sink, self._direction = slowness, sink, direction
        self._pieces: SimpleQueue[tuple[float, bytes] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._deliver, daemon=True)
        self._thread.start()

    def send(self, data: bytes) -> None:
        self._pieces.put((self._slowness.pass_on(self._direction, len(data)), data))

    def finish(self) -> None:
        self._pieces.put(None)
        self._thread.join()

    def _deliver(self) -> None:
        while (piece := self._pieces.get()) is not None:
            arrives, data = piece
            time.sleep(max(0.0, arrives - time.monotonic()))
            with contextlib.suppress(OSError):
                self._sink.sendall(data)


def _listener(at: Path | None, takes: int | None) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX if at else socket.AF_INET)
    if takes is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes)
    listener.bind(str(at) if at else ("127.0.0.1", 0))
    listener.listen()
    return listener


def _connected(to: int | Path) -> socket.socket:
    if isinstance(to, int):
        return socket.create_connection(("127.0.0.1", to))
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(str(to))
    return connected


def _hang_up(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)
    opened.close()
