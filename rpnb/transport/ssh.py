"""A target over SSH: one connection with paramiko, through jump hosts where there are any."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import paramiko

from ..errors import LinkLost
from .channels import WINDOW_BYTES, ChannelStream, Output, marked, pipes
from .commands import complete
from .failures import connected
from .hop import Hop
from .hostkeys import Consent
from .sshconfig import route
from .stream import AskSecret, Completed
from .streamlocal import open_streamlocal

if TYPE_CHECKING:
    from .targets import Target

_OPEN_SECONDS = 15.0


class SshTransport:
    """A logged-in SSH connection. Made by `open`."""

    def __init__(self, target: Target, hops: list[Hop], notes: list[str]) -> None:
        self.target = target
        self.notes = notes
        self._hops = hops
        self._lock = threading.Lock()
        self._has_run = False

    @classmethod
    def open(cls, target: Target, consent: Consent, ask_secret: AskSecret | None) -> SshTransport:
        """Connect and log in, jump hosts first.

        Raises:
            TargetError: one of its leaves, named by what is in the way.
        """
        return cls._connect(
            target, [Hop(settings) for settings in route(target)], consent, ask_secret
        )

    @classmethod
    def _connect(
        cls, target: Target, hops: list[Hop], consent: Consent, ask_secret: AskSecret | None
    ) -> SshTransport:
        notes: list[str] = []
        before: Hop | None = None
        try:
            for hop in hops:
                hop.connect(before, consent, ask_secret, notes)
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
        """
        with connected(self.target.label):
            channel = self._exec(command)
            try:
                done = complete(pipes(channel), stdin, on_line)
            finally:
                channel.close()
        # paramiko's word for "no exit status came": killed by a signal there, or the link is gone.
        if done.code == -1 and not self._last.is_active():
            raise LinkLost(f"the connection to {self.target.label} ended while a command ran there")
        return done

    def connect(self, socket: str, bridge: str) -> ChannelStream:
        """Return a stream to the unix socket at `socket`, else one through `bridge`.

        Raises:
            LinkLost: the connection has ended.
        """
        with connected(self.target.label):
            self._turn_nagle_off()
            try:
                return ChannelStream(
                    open_streamlocal(
                        self._last, socket, window_bytes=WINDOW_BYTES, timeout=_OPEN_SECONDS
                    ),
                    self.target.label,
                )
            except paramiko.ChannelException:
                # The same answer stands for "forbidden" and "nobody listens": the bridge knows.
                channel = self._exec(bridge)
                return ChannelStream(channel, self.target.label, Output(channel).read)

    def again(self) -> SshTransport:
        """Return a second connection to the same target, logged in alike; asks nothing."""
        return self._connect(self.target, [hop.again() for hop in self._hops], Consent(), None)

    def close(self) -> None:
        """Close the connection and its streams."""
        _close(self._hops)

    @property
    def _last(self) -> paramiko.Transport:
        transport = self._hops[-1].transport
        assert transport is not None
        return transport

    def _exec(self, command: str) -> paramiko.Channel:
        channel = self._last.open_session(timeout=_OPEN_SECONDS)
        channel.exec_command(marked(command))
        self._has_run = True
        return channel

    def _turn_nagle_off(self) -> None:
        # sshd sets TCP_NODELAY on its side with the first exec and never unsets it. With
        # stream-local channels alone a reply of several events comes 35 ms late.
        with self._lock:
            if not self._has_run:
                self._exec("true").close()


def _close(hops: list[Hop]) -> None:
    for hop in reversed(hops):
        hop.close()
