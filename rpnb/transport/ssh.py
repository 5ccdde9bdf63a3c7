"""A target over SSH: one connection with paramiko, through jump hosts where there are any."""

from __future__ import annotations

import contextlib
import logging
import shlex
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import paramiko

from ..errors import CannotReach, LinkLost
from .commands import Pipes, complete
from .dial import dial
from .failures import connected, connecting
from .hostkeys import Consent, HostKey, KnownHosts, kinds, verify
from .login import Identity, Login
from .sshconfig import Settings, route
from .stream import AskSecret, Completed
from .streamlocal import open_streamlocal

if TYPE_CHECKING:
    from .targets import Target

# 975-1370 MB/s with it, 500 with paramiko's default order.
_FIRST_CIPHER = "aes128-gcm@openssh.com"
# The default of 2 MiB limits a long link to one window per round trip.
# Reads take as much: a smaller one moves the rest of paramiko's buffer each time.
_WINDOW_BYTES = 16 << 20
# paramiko can deadlock when keys are renewed while both sides send (paramiko #822), so they
# are not, below what AES-GCM is good for: 2^32 blocks (RFC 5647), 2^31 packets (RFC 4344).
_REKEY_BYTES = 1 << 36
_REKEY_PACKETS = 1 << 31
# A packet of OpenSSH holds 32 KiB less its own head. sendall(bytes) copies all that is left
# for each packet, which is quadratic.
_PACKET_BYTES = (32 << 10) - 64
_OPEN_SECONDS = 15.0
# Keeps address translators on the way from forgetting a silent connection.
_KEEPALIVE_SECONDS = 20
_LOG = "rpnb.transport.paramiko"
# A pod's ~/.bashrc may print a welcome before any command: what stands above this is not ours.
_MARK = "rpnb: begins here"


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
                done = complete(_pipes(channel), stdin, on_line)
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
                        self._last, socket, window_bytes=_WINDOW_BYTES, timeout=_OPEN_SECONDS
                    ),
                    self.target.label,
                )
            except paramiko.ChannelException:
                # The same answer stands for "forbidden" and "nobody listens": the bridge knows.
                channel = self._exec(bridge)
                return ChannelStream(channel, self.target.label, _Output(channel).read)

    def again(self) -> SshTransport:
        """Return a second connection to the same target, logged in alike; asks nothing."""
        hops = [Hop(hop.settings, hop.identity) for hop in self._hops]
        return self._connect(self.target, hops, Consent(), None)

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
        # The login shell there may be fish or csh: it only starts sh.
        channel.exec_command(f"exec sh -c {shlex.quote(f'echo {_MARK}; {command}')}")
        self._has_run = True
        return channel

    def _turn_nagle_off(self) -> None:
        # sshd sets TCP_NODELAY on its side with the first exec and never unsets it. With
        # stream-local channels alone a reply of several events comes 35 ms late.
        with self._lock:
            if not self._has_run:
                self._exec("true").close()


class Hop:
    """One SSH connection of a route, and the identity that logged in there."""

    def __init__(self, settings: Settings, identity: Identity | None = None) -> None:
        self.settings = settings
        self.identity = identity
        self.transport: paramiko.Transport | None = None

    def connect(
        self, before: Hop | None, consent: Consent, ask_secret: AskSecret | None, notes: list[str]
    ) -> None:
        """Connect, through `before` if given; check the host key; log in.

        Raises:
            TargetError: one of its leaves.
        """
        with connecting(self.settings):
            known = KnownHosts(
                self.settings.known_hosts,
                self.settings.known_hosts_of_machine,
                hash_names=self.settings.hash_names,
            )
            self.transport = transport = _transport(self._socket(before))
            _prefer(transport, kinds(known.about(self.settings.key_name)))
            transport.start_client(timeout=self.settings.timeout)
            self._verify(transport, known, consent)
            notes += known.notes
            self.identity = Login(self.settings, ask_secret).log_in(transport, self.identity)
            transport.set_keepalive(_KEEPALIVE_SECONDS)

    def _socket(self, before: Hop | None) -> object:
        if before is None:
            return dial(self.settings)
        assert before.transport is not None
        place = (self.settings.host, self.settings.port)
        return before.transport.open_channel(
            "direct-tcpip", place, ("127.0.0.1", 0), timeout=self.settings.timeout
        )

    def _verify(self, transport: paramiko.Transport, known: KnownHosts, consent: Consent) -> None:
        settings = self.settings
        # start_client returns without a word when its time is over.
        if not transport.initial_kex_done:
            raise TimeoutError
        shown = transport.get_remote_server_key()
        verify(
            known,
            f"{settings.target.label} ({settings.address})",
            settings.key_name,
            HostKey(shown.get_name(), shown.asbytes()),
            strict=settings.strict,
            consent=consent,
        )


class ChannelStream:
    """A channel as a `Stream`: to the agent's socket, or to a bridge that leads there."""

    def __init__(
        self, channel: paramiko.Channel, label: str, read: Callable[[], bytes] | None = None
    ) -> None:
        self._channel = channel
        self._label = label
        self._read = read or (lambda: channel.recv(_WINDOW_BYTES))
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

    def close(self) -> None:
        """End the stream; a blocked `receive` returns b""."""
        self._is_closed = True
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()

    def _explain(self) -> None:
        said = b"".join(iter(lambda: self._channel.recv_stderr(_WINDOW_BYTES), b""))
        if said:
            raise CannotReach(
                f"the agent on {self._label} cannot be reached:"
                f" {said.decode('utf-8', 'replace').strip()}"
            )


class _Output:
    """A command's stdout, from the mark on."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._above: bytes | None = b""

    def read(self) -> bytes:
        while self._above is not None:
            data = self._channel.recv(_WINDOW_BYTES)
            above, mark, below = (self._above + data).partition(f"{_MARK}\n".encode())
            self._above = None if mark or not data else above
            if below or not data:
                return below
        return self._channel.recv(_WINDOW_BYTES)


def _transport(connection: object) -> paramiko.Transport:
    transport = paramiko.Transport(connection, default_window_size=_WINDOW_BYTES)  # type: ignore[arg-type] # a Channel is socket enough
    logging.getLogger(_LOG).setLevel(logging.CRITICAL)  # what it logs, we raise
    transport.set_log_channel(_LOG)
    transport.packetizer.REKEY_BYTES = _REKEY_BYTES
    transport.packetizer.REKEY_PACKETS = _REKEY_PACKETS
    options = transport.get_security_options()
    options.ciphers = _first(options.ciphers, [_FIRST_CIPHER])
    return transport


def _prefer(transport: paramiko.Transport, known: list[str]) -> None:
    """Ask for the kinds of key by which the host is known, before others it may have, too."""
    names = [x for kind in known for x in _ALGORITHMS.get(kind, (kind,))]
    options = transport.get_security_options()
    options.key_types = _first(options.key_types, names)


_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}


def _first(offered: Sequence[str], wanted: list[str]) -> tuple[str, ...]:
    return (
        *(name for name in wanted if name in offered),
        *(name for name in offered if name not in wanted),
    )


def _pipes(channel: paramiko.Channel) -> Pipes:
    return Pipes(
        read_out=_Output(channel).read,
        read_err=lambda: channel.recv_stderr(_WINDOW_BYTES),
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


def _close(hops: list[Hop]) -> None:
    for hop in reversed(hops):
        if hop.transport is not None:
            hop.transport.close()
