"""A target over SSH: one connection with paramiko, through jump hosts where there are any."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import paramiko

from ..errors import CannotReach, LinkLost, LoginRefused
from .asking import Memory, Person
from .channels import (
    WINDOW_BYTES,
    ChannelStream,
    Displaced,
    Output,
    displaced,
    marked,
    pipes,
)
from .commands import complete
from .dial import unacknowledged
from .failures import connected, said
from .hop import Hop
from .settings import route
from .stream import Completed
from .streamlocal import open_streamlocal

if TYPE_CHECKING:
    from .targets import Target

_OPEN_SECONDS = 15.0
_SESSION_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)


class SshTransport:
    """A logged-in SSH connection. Made by `open`."""

    def __init__(
        self, target: Target, hops: list[Hop], notes: list[str], *, is_shared: bool = False
    ) -> None:
        self.target = target
        self.notes = notes
        self._hops = hops
        self._lock = threading.Lock()
        self._has_run = False
        # A shared connection is not ours to close: these are.
        self._is_shared = is_shared
        self._channels: list[paramiko.Channel] = []

    @classmethod
    def open(cls, target: Target, person: Person) -> SshTransport:
        """Connect and log in, jump hosts first.

        Raises:
            TargetError: one of its leaves, named by what is in the way.
        """
        memory = Memory()
        return cls._connect(target, [Hop(settings, memory) for settings in route(target)], person)

    @classmethod
    def _connect(cls, target: Target, hops: list[Hop], person: Person) -> SshTransport:
        notes: list[str] = []
        before: Hop | None = None
        try:
            for hop in hops:
                hop.connect(before, person, notes)
                before = hop
        except BaseException:
            _close(hops)
            raise
        return cls(target, hops, notes)

    def run(
        self, command: str, stdin: bytes = b"", on_line: Callable[[str], None] | None = None
    ) -> Completed:
        """Run a `sh` command line to its end and return what it wrote.

        Raises:
            LinkLost: the connection ended before the command did.
            CannotReach: the host runs no commands, or another one.
        """
        with connected(self.target.label):
            channel = self._exec(command)
            output = Output(channel)
            try:
                done = complete(pipes(channel, output), stdin, on_line)
            except Displaced as error:
                raise self._useless(str(error)) from error
            finally:
                channel.close()
        # paramiko's word for "no exit status came": killed by a signal there, or the link is gone.
        if done.code == -1 and not self._last.is_active():
            raise LinkLost(f"the connection to {self.target.label} ended while a command ran there")
        if not output.has_begun:
            raise self._useless(displaced(output, done))
        return done

    def connect(self, socket: str, bridge: str) -> ChannelStream:
        """Return a stream to the unix socket at `socket`, else one through `bridge`.

        Raises:
            LinkLost: the connection has ended.
        """
        with connected(self.target.label):
            self._turn_nagle_off()
            try:
                channel = open_streamlocal(
                    self._last, socket, window_bytes=WINDOW_BYTES, timeout=_OPEN_SECONDS
                )
                channel, read = self._kept(channel), None
            except paramiko.ChannelException:
                # The same answer stands for "forbidden" and "nobody listens": the bridge knows.
                channel = self._exec(bridge)
                read = Output(channel).read
        return ChannelStream(channel, self.target.label, self._unacknowledged, read)

    def again(self) -> SshTransport:
        """Return a second connection to the same target, logged in alike; asks nothing.

        Where each login takes a new code, it is a share of this connection.

        Raises:
            LoginRefused: of what was typed, nothing holds for another login.
        """
        if not self._hops[0].memory.is_one_time:
            return self._connect(self.target, [hop.again() for hop in self._hops], Person())
        if not self._last.is_active():
            raise LoginRefused(
                f"{self.target.label} asks for a new code at each login, and nobody is asked while"
                " a lost link comes back: connect again. The worker and its job go on."
            )
        return SshTransport(self.target, self._hops, [], is_shared=True)

    def close(self) -> None:
        """Close the connection and its streams."""
        if not self._is_shared:
            _close(self._hops)
        for channel in self._channels:
            channel.close()

    def _unacknowledged(self) -> int:
        # Of the one real socket: what it carries to the first host is on its way to the last.
        first = self._hops[0].transport
        return unacknowledged(first.sock) if first is not None else 0  # type: ignore[arg-type] # no Channel

    @property
    def _last(self) -> paramiko.Transport:
        transport = self._hops[-1].transport
        assert transport is not None
        return transport

    def _exec(self, command: str) -> paramiko.Channel:
        channel = self._session()
        try:
            channel.exec_command(marked(command))
        except paramiko.SSHException as error:
            if not self._last.is_active():
                raise
            raise self._useless("it refuses every command") from error
        self._has_run = True
        return self._kept(channel)

    def _session(self) -> paramiko.Channel:
        # With a small MaxSessions one that was closed here may still be ending there.
        for pause in _SESSION_PAUSES:
            with contextlib.suppress(paramiko.ChannelException):
                return self._last.open_session(timeout=_OPEN_SECONDS)
            time.sleep(pause)
        try:
            return self._last.open_session(timeout=_OPEN_SECONDS)
        except paramiko.ChannelException as error:
            raise self._useless(f"it opens no session: {said(error)}") from error

    def _turn_nagle_off(self) -> None:
        # sshd sets TCP_NODELAY on its side with the first exec and never unsets it. With
        # stream-local channels alone a reply of several events comes 35 ms late.
        with self._lock:
            if not self._has_run:
                self._exec("true").close()

    def _kept(self, channel: paramiko.Channel) -> paramiko.Channel:
        if self._is_shared:
            self._channels.append(channel)
        return channel

    def _useless(self, problem: str) -> CannotReach:
        return CannotReach(
            f"{self.target.label} lets in but does not run what rpnb asks it to: {problem}. A login"
            " for files only (sftp), a forced command, or a start-up file that runs something"
            f" else looks like this; '{self.target.command} true' should end with status 0."
        )


def _close(hops: list[Hop]) -> None:
    for hop in reversed(hops):
        hop.close()
