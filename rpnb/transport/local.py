"""The `local` target: commands in a shell here, and the agent's unix socket."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from typing import IO

from ..errors import CannotReach, LinkLost
from .commands import Pipes, complete
from .dial import unacknowledged
from .stream import Completed
from .targets import Target

# As much as one read takes from a socket's buffer; a larger one gains nothing.
READ_BYTES = 1 << 18


class LocalTransport:
    """A transport to this machine: no SSH, nothing to log in to."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.notes: list[str] = []
        self._streams: list[SocketStream] = []

    def run(
        self, command: str, stdin: bytes = b"", on_line: Callable[[str], None] | None = None
    ) -> Completed:
        """Run a `sh` command line to its end and return what it wrote."""
        # A session of its own: an interrupt at the terminal or in the kernel reaches
        # this process only, which then decides what becomes of the command.
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            return complete(_pipes(process), stdin, on_line)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise

    def connect(self, socket: str, bridge: str) -> SocketStream:
        """Return a stream to the unix socket; `bridge` is never needed here.

        Raises:
            CannotReach: nothing listens there.
        """
        del bridge
        stream = SocketStream(_connect_unix(socket))
        self._streams = [known for known in self._streams if not known.is_closed]
        self._streams.append(stream)
        return stream

    def again(self) -> LocalTransport:
        """Return another transport to this machine."""
        return LocalTransport(self.target)

    def close(self) -> None:
        """Close every stream that was opened here."""
        while self._streams:
            self._streams.pop().close()


class SocketStream:
    """A connected socket as a `Stream`."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    @property
    def is_closed(self) -> bool:
        """Whether it was closed here."""
        return self._socket.fileno() < 0

    def send(self, data: bytes | memoryview) -> None:
        """Send all of `data`.

        Raises:
            LinkLost: the other side has closed.
        """
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise LinkLost(
                f"the stream to the agent has ended: {error.strerror or error}"
            ) from error

    def receive(self) -> bytes:
        """Return what has come; b"" at the end, after a reset and after `close`."""
        try:
            return self._socket.recv(READ_BYTES)
        except OSError:
            return b""

    def unacknowledged(self) -> int:
        """Return how many of the bytes sent the other side has not read yet."""
        return unacknowledged(self._socket)

    def close(self) -> None:
        """End the stream; a blocked `receive` returns b""."""
        # close() alone would leave a thread in recv() until bytes come.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _connect_unix(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise CannotReach(
            f"the agent does not listen at {path}: {error.strerror or error}."
            " Connecting again starts it."
        ) from error
    return connection


def _pipes(process: subprocess.Popen[bytes]) -> Pipes:
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin and stdout and stderr
    return Pipes(
        read_out=lambda: _read(stdout),
        read_err=lambda: _read(stderr),
        feed=lambda data: _feed(stdin, data),
        wait=process.wait,
    )


def _read(pipe: IO[bytes]) -> bytes:
    data = os.read(pipe.fileno(), READ_BYTES)
    if not data:
        pipe.close()
    return data


def _feed(pipe: IO[bytes], data: bytes) -> None:
    # A command that ends before it has read everything is no error.
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(data)
