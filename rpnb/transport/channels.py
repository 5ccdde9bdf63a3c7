"""Channels of an SSH connection, as streams and as the pipes of a command."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

import paramiko

from ..errors import CannotReach
from .commands import Pipes
from .failures import connected
from .stream import Completed
from .text import plain

# The default of 2 MiB limits a long link to one window per round trip.
# Reads take as much: a smaller one moves the rest of paramiko's buffer each time.
WINDOW_BYTES = 16 << 20
# A packet of OpenSSH holds 32 KiB less its own head. sendall(bytes) copies all that is left
# for each packet, which is quadratic.
_PACKET_BYTES = (32 << 10) - 64
# A pod's ~/.bashrc may print a welcome before any command: what stands above this is not ours.
_MARK = "rpnb: begins here"
# A host that prints more than this before our command does not mean to run it.
_MOST_ABOVE_BYTES = 1 << 20


def marked(command: str) -> str:
    """Return `command` for any login shell, its stdout to be read through `Output`."""
    # fish and csh would read a sh line differently: they only start sh.
    return f"exec sh -c {_quoted(f'echo {_MARK}; {command}')}"


def _quoted(text: str) -> str:
    """Return `text` as one word, alike in sh, fish and csh.

    Between single quotes a backslash means something to fish and ! to csh.
    """
    return "'" + re.sub(r"(['\\!])", r"'\\\1'", text) + "'"


class ChannelStream:
    """A channel as a `Stream`: to the agent's socket, or to a bridge that leads there."""

    def __init__(
        self,
        channel: paramiko.Channel,
        label: str,
        unacknowledged: Callable[[], int],
        read: Callable[[], bytes] | None = None,
    ) -> None:
        self._channel = channel
        self._label = label
        self._unacknowledged = unacknowledged
        self._read = read or (lambda: channel.recv(WINDOW_BYTES))
        self._has_received = self._is_closed = False

    def send(self, data: bytes | memoryview) -> None:
        """Send all of `data`; blocks while the other side does not read.

        Raises:
            LinkLost: the stream has ended.
        """
        with connected(self._label):
            _send(self._channel, data)

    def receive(self) -> bytes:
        """Return what has come; b"" at the end and after `close`.

        Raises:
            CannotReach: the bridge ended without a word on stdout: what it says on stderr.
        """
        data = b"" if self._is_closed else self._read()
        if not data and not self._has_received and not self._is_closed:
            self._explain()
        self._has_received = True
        return data

    def unacknowledged(self) -> int:
        """Return how many bytes of the connection the first host has not got yet."""
        return self._unacknowledged()

    def close(self) -> None:
        """End the stream; a blocked `receive` returns b""."""
        self._is_closed = True
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()

    def _explain(self) -> None:
        said = b"".join(iter(lambda: self._channel.recv_stderr(WINDOW_BYTES), b""))
        if said:
            words = plain(said.decode("utf-8", "replace")).strip()
            raise CannotReach(f"the agent on {self._label} cannot be reached: {words}")


class Output:
    """A command's stdout, from the mark on; `above` is what was printed before it."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self.above = b""
        self.has_begun = False

    def read(self) -> bytes:
        """Return what has come; b"" at the end, which may come before the command has begun.

        Raises:
            Displaced: there is a terminal in between, or something else floods it.
        """
        while not self.has_begun:
            data = self._channel.recv(WINDOW_BYTES)
            above, mark, below = (self.above + data).partition(f"{_MARK}\n".encode())
            self.above, self.has_begun = above, bool(mark)
            if below or not data:
                return below
            if f"{_MARK}\r\n".encode() in above:
                raise Displaced("it gives a terminal, which changes bytes on their way")
            if not mark and len(above) > _MOST_ABOVE_BYTES:
                raise Displaced("something else prints without end")
        return self._channel.recv(WINDOW_BYTES)


class Displaced(Exception):
    """What runs is not the command that was given; says what is known of it."""


def displaced(output: Output, done: Completed) -> str:
    """Return what is known of a command that ended without having begun."""
    printed = plain(output.above.decode("utf-8", "replace") + done.stderr).strip()
    said = f" and printed: {' · '.join(printed.splitlines()[:5])}" if printed else ""
    return f"something else ran, ended with status {done.code}{said}"


def pipes(channel: paramiko.Channel, output: Output) -> Pipes:
    """Return the streams of the command that `channel` runs, its stdout through `output`."""
    return Pipes(
        read_out=output.read,
        read_err=lambda: channel.recv_stderr(WINDOW_BYTES),
        feed=lambda data: _feed(channel, data),
        wait=channel.recv_exit_status,
    )


def _feed(channel: paramiko.Channel, data: bytes) -> None:
    # A command that ends before it has read everything is no error.
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        _send(channel, data)
        channel.shutdown_write()


def _send(channel: paramiko.Channel, data: bytes | memoryview) -> None:
    view = memoryview(data).cast("B")
    while view:
        view = view[channel.send(bytes(view[:_PACKET_BYTES])) :]
