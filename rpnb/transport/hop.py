"""One hop of a route: an SSH connection, its host key verified, logged in."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

import paramiko

from ..errors import CannotReach
from .asking import Memory, Person
from .channels import WINDOW_BYTES
from .dial import Proxy, dial
from .failures import connecting, said
from .hostkeys import refuse_listed, verify
from .identities import Identity
from .keys import PublicKey
from .knownhosts import KnownHosts, kinds
from .login import Login
from .settings import Settings
from .text import plain
from .userauth import UserAuth

# 975-1370 MB/s with it, 500 with paramiko's default order.
_FIRST_CIPHER = "aes128-gcm@openssh.com"
# paramiko can deadlock when keys are renewed while both sides send (paramiko #822), so they
# are not, below what AES-GCM is good for: 2^32 blocks (RFC 5647), 2^31 packets (RFC 4344).
_REKEY_BYTES = 1 << 36
_REKEY_PACKETS = 1 << 31
# Keeps address translators on the way from forgetting a silent connection.
_KEEPALIVE_SECONDS = 20
# SSH_OPEN_ADMINISTRATIVELY_PROHIBITED (RFC 4254, section 5.1)
_PROHIBITED = 1
_LOG = "rpnb.transport.paramiko"
# One kind of key, several ways to sign with it.
_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}


class Hop:
    """One SSH connection of a route, and what let it in there.

    `memory` is shared by the hops of a route, so nothing is asked twice.
    """

    def __init__(self, settings: Settings, memory: Memory, earlier: Hop | None = None) -> None:
        self.settings, self.memory = settings, memory
        self.transport: _Transport | None = None
        self._proxy: Proxy | None = None
        self._identity: Identity | None = earlier._identity if earlier else None
        # Kept for `again`: a key that was accepted but could not be written down stays accepted.
        self._known: KnownHosts | None = earlier._known if earlier else None

    def again(self) -> Hop:
        """Return a hop that will connect alike: the same identity, the same accepted keys."""
        return Hop(self.settings, self.memory, self)

    def connect(self, before: Hop | None, person: Person, notes: list[str]) -> None:
        """Connect, through `before` if given; check the host key; log in.

        Raises:
            TargetError: one of its leaves.
        """
        settings = self.settings
        with connecting(settings, lambda: self._proxy.last_words() if self._proxy else ""):
            known = self._known = self._known or KnownHosts(
                settings.known_hosts,
                settings.known_hosts_of_machine,
                hash_names=settings.hash_names,
            )
            self.transport = transport = _transport(self._socket(before))
            transport.ask_for(
                kinds(known.about(settings.key_name)), bool(known.authorities(settings.key_name))
            )
            self._shake_hands(transport, person)
            self._verify(transport, known, person)
            notes += known.notes
            known.notes.clear()
            auth = UserAuth(transport, settings.user, person.hear)
            self._identity = Login(settings, auth, person, self.memory).log_in(self._identity)
            transport.set_keepalive(_KEEPALIVE_SECONDS)

    def close(self) -> None:
        """End the connection. May be called again."""
        if self.transport is not None:
            self.transport.close()

    def _socket(self, before: Hop | None) -> object:
        settings = self.settings
        if before is None:
            if settings.proxy_command is None:
                return dial(settings)
            self._proxy = Proxy(settings.proxy_command)
            return self._proxy.socket
        assert before.transport is not None
        place, jump = (settings.host, settings.port), before.settings.target.label
        try:
            return before.transport.open_channel(
                "direct-tcpip", place, ("127.0.0.1", 0), timeout=settings.timeout
            )
        except paramiko.ChannelException as error:
            problem = f"the jump host {jump} cannot connect to {settings.address}: {said(error)}"
            if error.code == _PROHIBITED:
                rule = "AllowTcpForwarding in its sshd_config"
                problem = f"the jump host {jump} forbids forwarding ({rule})"
            raise CannotReach(f"cannot reach {settings.target.label}: {problem}") from error

    def _shake_hands(self, transport: _Transport, person: Person) -> None:
        seconds, proxy = self.settings.handshake_timeout, self._proxy
        # Its own limits only come after ours, which says what it is.
        transport.banner_timeout = transport.handshake_timeout = seconds + 5
        done, deadline = threading.Event(), time.monotonic() + seconds
        transport.start_client(done)
        while not (done.wait(0.05) or not transport.is_active()):
            if proxy is not None:
                person.hear(proxy.news())
            if time.monotonic() > deadline:
                raise TimeoutError(seconds)
        if transport.initial_kex_done:
            return
        error = transport.get_exception() or EOFError()
        if isinstance(error, (paramiko.SSHException, OSError, EOFError)):
            raise error
        # paramiko's reader met bytes that it did not expect: anything may come of that.
        raise CannotReach(
            f"cannot reach {self.settings.target.label}: {self.settings.address} does not"
            f" speak SSH as it should ({type(error).__name__}: {plain(str(error))})"
        ) from error

    def _verify(self, transport: _Transport, known: KnownHosts, person: Person) -> None:
        settings, shown = self.settings, transport.shown_key()
        who = f"{settings.target.label} ({settings.address})"
        if settings.revoked_keys is not None:
            refuse_listed(settings.revoked_keys, who, shown)
        person = person.unattended() if settings.is_batch else person
        verify(known, who, settings.key_name, shown, strict=settings.strict, person=person)


class _Transport(paramiko.Transport):
    """paramiko's, with the host's key algorithms in our order and its last words kept."""

    last_words = ""
    _wanted: tuple[str, ...] = ()

    def ask_for(self, known: list[str], has_authority: bool) -> None:
        """Prefer certificates where an authority is known, then the kinds of key that are."""
        offered = super().preferred_keys
        certified = [name for name in offered if "-cert-" in name] if has_authority else []
        names = [name for kind in known for name in _ALGORITHMS.get(kind, (kind,))]
        self._wanted = _first(offered, [*certified, *names])

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        return self._wanted

    def shown_key(self) -> PublicKey:
        """Return what the host proved itself by: a key or a certificate."""
        key = self.get_remote_server_key()
        certificate = key.public_blob
        if certificate is not None:
            return PublicKey(certificate.key_type, certificate.key_blob)
        return PublicKey(key.get_name(), key.asbytes())

    def _parse_disconnect(self, message: paramiko.Message) -> None:
        message.get_int()
        self.last_words = plain(message.get_string().decode("utf-8", "replace"))
        message.rewind()
        super()._parse_disconnect(message)  # type: ignore[misc]  # the stub leaves it out


def _transport(connection: object) -> _Transport:
    transport = _Transport(connection, default_window_size=WINDOW_BYTES)  # type: ignore[arg-type] # a Channel is socket enough
    logging.getLogger(_LOG).setLevel(logging.CRITICAL)  # what it logs, we raise
    transport.set_log_channel(_LOG)
    transport.packetizer.REKEY_BYTES = _REKEY_BYTES
    transport.packetizer.REKEY_PACKETS = _REKEY_PACKETS
    options = transport.get_security_options()
    options.ciphers = _first(options.ciphers, [_FIRST_CIPHER])
    return transport


def _first(offered: Sequence[str], wanted: list[str]) -> tuple[str, ...]:
    return (
        *(name for name in dict.fromkeys(wanted) if name in offered),
        *(name for name in offered if name not in wanted),
    )
