"""Keys: the public half of one, and the files that hold them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from pathlib import Path
from typing import NamedTuple

import paramiko
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from .wire import Reader

_CERTIFICATE = "-cert-v01@openssh.com"
_MAGIC = b"openssh-key-v1\0"
_BODY = re.compile(rb"-----BEGIN OPENSSH PRIVATE KEY-----(.*?)-----END", re.DOTALL)
_PUTTY = b"PuTTY-User-Key-File"


class PublicKey(NamedTuple):
    """A public key or a certificate: its algorithm's name and its bytes."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """What people compare: `SHA256:…`, as ssh prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return "SHA256:" + digest.rstrip("=")

    @property
    def title(self) -> str:
        """The algorithm as ssh names it to people: `ED25519`."""
        name = self.kind.partition("@")[0]
        return name.removeprefix("sk-").removeprefix("ssh-").split("-")[0].upper()

    @property
    def is_certificate(self) -> bool:
        """Whether an authority vouches for the key inside."""
        return self.kind.endswith(_CERTIFICATE)

    @property
    def line(self) -> str:
        """The key as a line of a file has it: `ssh-ed25519 AAAA…`."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @classmethod
    def from_words(cls, words: list[str]) -> PublicKey | None:
        """Return the key of `kind base64 …`, None where that is none."""
        try:
            blob = base64.b64decode(words[1], validate=True)
            return cls(words[0], blob) if Reader(blob).text() == words[0] else None
        except (IndexError, ValueError, binascii.Error):
            return None

    @classmethod
    def from_blob(cls, blob: bytes) -> PublicKey:
        """Return the key in its own bytes, which begin with its algorithm's name.

        Raises:
            ValueError: they do not.
        """
        return cls(Reader(blob).text(), blob)


class UnreadableKey(Exception):
    """A file that is no key which can be used here; says why."""


class LockedKey(Exception):
    """A key file that needs its passphrase, or another one than was given."""


def exists(path: str) -> bool:
    """Whether there is such a file, as far as one may see."""
    try:
        return Path(path).is_file()
    except OSError:
        return False


def public_of(path: str) -> PublicKey | None:
    """Return the public half of a key file: it is one, has one beside it, or holds it in clear."""
    return read_public(path) or read_public(f"{path}.pub") or _public_inside(path)


def read_public(path: str) -> PublicKey | None:
    """Return the key or certificate of a `.pub` file, None where that is none."""
    try:
        text = Path(path).read_text(errors="replace")
    except OSError:
        return None
    return PublicKey.from_words(text.split())


def _public_inside(path: str) -> PublicKey | None:
    # The format of OpenSSH's PROTOCOL.key: the public half is never encrypted.
    try:
        body = _BODY.search(Path(path).read_bytes())
        reader = Reader(base64.b64decode(body[1]) if body else b"")
        if reader.data[: len(_MAGIC)] != _MAGIC:
            return None
        reader.position = len(_MAGIC)
        for _ in ("cipher", "key derivation", "its options"):
            reader.string()
        return PublicKey.from_blob(reader.string()) if reader.uint32() == 1 else None
    except (OSError, ValueError, binascii.Error):
        return None


def load(path: str, passphrase: str | None = None) -> paramiko.PKey:
    """Return the private key in the file: OpenSSH's format, PEM or PKCS #8.

    Raises:
        LockedKey: it has a passphrase, which is not this one.
        UnreadableKey: it is no key that can be used here.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UnreadableKey(error.strerror or str(error)) from error
    # Copied through Windows, or pasted without its last line end.
    data = data.strip().replace(b"\r\n", b"\n") + b"\n"
    if data.startswith(_PUTTY):
        raise UnreadableKey(
            f"a key of PuTTY's: 'puttygen {path} -O private-openssh -o FILE' makes one for ssh"
        )
    if read_public(path):
        raise UnreadableKey("a public key, whose private half the ssh agent does not have")
    secret = None if passphrase is None else passphrase.encode()
    try:
        return _for_paramiko(_parse(data, secret))
    except TypeError as error:  # cryptography's word for "encrypted, and no passphrase"
        raise LockedKey(path) from error
    except UnsupportedAlgorithm as error:
        raise UnreadableKey(
            f"a kind of key that is not understood here; 'ssh-add {path}' lends it"
        ) from error
    except (ValueError, InvalidTag) as error:
        if secret is not None:
            raise LockedKey(path) from error
        raise UnreadableKey("not a key that can be read here") from error


def _parse(data: bytes, passphrase: bytes | None) -> object:
    is_openssh = b"BEGIN OPENSSH PRIVATE KEY" in data
    parse = serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
    return parse(data, passphrase)


def _for_paramiko(key: object) -> paramiko.PKey:
    if isinstance(key, RSAPrivateKey):
        return paramiko.RSAKey(key=key)
    if isinstance(key, EllipticCurvePrivateKey):
        return paramiko.ECDSAKey(vals=(key, key.public_key()))
    if isinstance(key, Ed25519PrivateKey):
        # paramiko makes this kind from a file only.
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        return paramiko.Ed25519Key(file_obj=io.StringIO(text.decode()))
    raise UnsupportedAlgorithm(type(key).__name__)
