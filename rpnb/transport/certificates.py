"""OpenSSH's certificates (PROTOCOL.certkeys): a key, what it may be used for, who says so."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import paramiko

from .keys import PublicKey
from .text import plain
from .wire import Reader, string

_SUFFIX = "-cert-v01@openssh.com"
USER, HOST = 1, 2
_FOREVER = (1 << 64) - 1
# How many fields a public key of each kind has.
_FIELDS = {
    "ssh-rsa": 2,
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519": 2,
    "sk-ecdsa-sha2-nistp256": 3,
}
_VERIFIERS = {
    "ssh-rsa": paramiko.RSAKey,
    "ssh-ed25519": paramiko.Ed25519Key,
    "ecdsa-sha2-nistp256": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp384": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp521": paramiko.ECDSAKey,
}
# CASignatureAlgorithms as ssh has them: no SHA-1, which `ssh-rsa` would be.
_SIGNATURES = {*_VERIFIERS, "rsa-sha2-256", "rsa-sha2-512"} - {"ssh-rsa"}


@dataclass(frozen=True)
class Certificate:
    """What a certificate says; nothing is checked yet."""

    whole: PublicKey
    key: PublicKey
    purpose: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    has_critical_options: bool
    authority: PublicKey
    signed: bytes
    signature: bytes

    @classmethod
    def parse(cls, whole: PublicKey) -> Certificate:
        """Return what `whole` says.

        Raises:
            ValueError: it is no certificate of a kind that is known here.
        """
        reader = Reader(whole.blob)
        name = reader.text().removesuffix(_SUFFIX)
        if not whole.is_certificate or name not in _FIELDS:
            raise ValueError(f"a certificate of a kind that is not understood: {whole.kind}")
        kind = f"{name}@openssh.com" if name.startswith("sk-") else name
        reader.string()  # the nonce
        fields = b"".join(string(reader.string()) for _ in range(_FIELDS[name]))
        reader.uint64()  # the serial number
        purpose, key_id = reader.uint32(), reader.text()
        principals = tuple(each.decode("utf-8", "replace") for each in reader.strings())
        valid_after, valid_before = reader.uint64(), reader.uint64()
        critical = reader.string()
        for _ in ("extensions", "reserved"):
            reader.string()
        authority = PublicKey.from_blob(reader.string())
        signed = whole.blob[: reader.position]
        signature = reader.string()
        if not reader.is_at_end:
            raise ValueError("a certificate with bytes after its end")
        return cls(
            whole=whole,
            key=PublicKey(kind, string(kind.encode()) + fields),
            purpose=purpose,
            key_id=key_id,
            principals=principals,
            valid_after=valid_after,
            valid_before=valid_before,
            has_critical_options=bool(critical),
            authority=authority,
            signed=signed,
            signature=signature,
        )

    def fault_for_host(self, name: str) -> str | None:
        """Return why this does not vouch for the host `name`, None where it does.

        Whether its authority is one to be trusted is not asked here.
        """
        if self.purpose != HOST:
            return "is not one for hosts"
        if not self._is_signed():
            return "is not signed by its authority"
        if self.has_critical_options:
            return "has critical options, which no certificate of a host may have"
        if self.principals and not any(_matches(each, name) for each in self.principals):
            return f"is for {plain(', '.join(self.principals))}, not for {name}"
        return self.fault_of_time()

    def fault_of_time(self) -> str | None:
        """Return why it is not valid now, None where it is."""
        now = time.time()
        if now < self.valid_after:
            return f"is valid only from {_day(self.valid_after)} on"
        if now >= self.valid_before:
            return f"expired on {_day(self.valid_before)}"
        return None

    def _is_signed(self) -> bool:
        verifier, signature = _VERIFIERS.get(self.authority.kind), Reader(self.signature)
        try:
            is_safe = signature.text() in _SIGNATURES
            signature.string()
            if verifier is None or not (is_safe and signature.is_at_end):
                return False
            key = verifier(data=self.authority.blob)
            return bool(key.verify_ssh_sig(self.signed, paramiko.Message(self.signature)))
        except Exception:  # noqa: BLE001 - bytes of a stranger's: whatever they upset, no signature
            return False


def of_key(key: PublicKey, certificates: Sequence[Certificate]) -> list[Certificate]:
    """Return those of the certificates that are about `key`."""
    return [each for each in certificates if each.key == key]


def _matches(pattern: str, name: str) -> bool:
    wild = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, name) is not None


def _day(seconds: int) -> str:
    # Beyond the year 9999 there is no name for it.
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(min(seconds, 253402300799)))
