"""One hop of a route: an SSH connection, its host key verified, logged in."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import paramiko

from .channels import WINDOW_BYTES
from .dial import dial
from .failures import connecting
from .hostkeys import Consent, HostKey, KnownHosts, kinds, verify
from .login import Identity, Login
from .sshconfig import Settings
from .stream import AskSecret

# 975-1370 MB/s with it, 500 with paramiko's default order.
_FIRST_CIPHER = "aes128-gcm@openssh.com"
# paramiko can deadlock when keys are renewed while both sides send (paramiko #822), so they
# are not, below what AES-GCM is good for: 2^32 blocks (RFC 5647), 2^31 packets (RFC 4344).
_REKEY_BYTES = 1 << 36
_REKEY_PACKETS = 1 << 31
# Keeps address translators on the way from forgetting a silent connection.
_KEEPALIVE_SECONDS = 20
_LOG = "rpnb.transport.paramiko"
# One kind of key, several ways to sign with it.
_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}


class Hop:
    """One SSH connection of a route, and the identity that logged in there."""

    def __init__(
        self,
        settings: Settings,
        identity: Identity | None = None,
        known: KnownHosts | None = None,
    ) -> None:
        self.settings = settings
        self.transport: paramiko.Transport | None = None
        self._identity = identity
        # Kept for `again`: a key that was accepted but could not be written down stays accepted.
        self._known = known

    def again(self) -> Hop:
        """Return a hop that will connect alike: the same identity, the same accepted keys."""
        return Hop(self.settings, self._identity, self._known)

    def connect(
        self, before: Hop | None, consent: Consent, ask_secret: AskSecret | None, notes: list[str]
    ) -> None:
        """Connect, through `before` if given; check the host key; log in.

        Raises:
            TargetError: one of its leaves.
        """
        with connecting(self.settings):
            known = self._known = self._known or self._read_known_hosts()
            self.transport = transport = _transport(self._socket(before))
            _prefer(transport, kinds(known.about(self.settings.key_name)))
            transport.start_client(timeout=self.settings.timeout)
            self._verify(transport, known, consent)
            notes += known.notes
            known.notes.clear()
            self._identity = Login(self.settings, ask_secret).log_in(transport, self._identity)
            transport.set_keepalive(_KEEPALIVE_SECONDS)

    def close(self) -> None:
        """End the connection. May be called again."""
        if self.transport is not None:
            self.transport.close()

    def _read_known_hosts(self) -> KnownHosts:
        settings = self.settings
        return KnownHosts(
            settings.known_hosts, settings.known_hosts_of_machine, hash_names=settings.hash_names
        )

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


def _transport(connection: object) -> paramiko.Transport:
    transport = paramiko.Transport(connection, default_window_size=WINDOW_BYTES)  # type: ignore[arg-type] # a Channel is socket enough
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


def _first(offered: Sequence[str], wanted: list[str]) -> tuple[str, ...]:
    return (
        *(name for name in wanted if name in offered),
        *(name for name in offered if name not in wanted),
    )
