"""The ssh agent: the keys it has, and signatures of theirs (draft-miller-ssh-agent).

paramiko's own client reads SSH_AUTH_SOCK only, not IdentityAgent, and cannot offer
the certificates that an agent holds.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from .keys import PublicKey
from .wire import Reader, string

_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14
# Which hash an RSA key signs with; without a flag it is SHA-1.
_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}
_LIST_SECONDS = 10.0
# A signature may wait for a person: ssh-add -c, a password manager, a touch.
_SIGN_SECONDS = 60.0
# OpenSSH's own bound (authfd.c).
_MOST_BYTES = 256 << 10


class SshAgentError(Exception):
    """The agent cannot be reached, answers as none does, or refuses."""


class AgentKey(NamedTuple):
    """A key that an agent holds, and the comment by which people know it."""

    key: PublicKey
    comment: str


def keys(path: str) -> list[AgentKey]:
    """Return what the agent at the socket `path` holds.

    Raises:
        SshAgentError: says what is the matter with it.
    """
    with _asking(path, bytes([_REQUEST_IDENTITIES]), _IDENTITIES_ANSWER, _LIST_SECONDS) as answer:
        count = answer.uint32()
        return [AgentKey(PublicKey.from_blob(answer.string()), answer.text()) for _ in range(count)]


def sign(path: str, key: PublicKey, data: bytes, algorithm: str) -> bytes:
    """Return the agent's signature of `data` with a key of its own.

    Raises:
        SshAgentError: as for `keys`, or its person refuses.
    """
    flags = _FLAGS.get(algorithm.removesuffix("-cert-v01@openssh.com"), 0)
    request = bytes([_SIGN_REQUEST]) + string(key.blob) + string(data) + struct.pack(">I", flags)
    with _asking(path, request, _SIGN_RESPONSE, _SIGN_SECONDS) as answer:
        return answer.string()


@contextmanager
def _asking(path: str, request: bytes, wanted: int, seconds: float) -> Iterator[Reader]:
    """Give the answer, to be read within: what is wrong with it is the agent's fault."""
    try:
        answer = _ask(path, request, seconds)
        if answer[0] != wanted:
            raise SshAgentError("it refuses")
        yield Reader(answer[1:])
    except OSError as error:
        raise SshAgentError(error.strerror or str(error)) from error
    except ValueError as error:
        raise SshAgentError(f"it does not answer as an agent does: {error}") from error


def _ask(path: str, request: bytes, seconds: float) -> bytes:
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(seconds)
        connection.connect(path)
        connection.sendall(string(request))
        size = struct.unpack(">I", _receive(connection, 4))[0]
        if not 0 < size <= _MOST_BYTES:
            raise ValueError(f"a message of {size} bytes")
        return _receive(connection, size)


def _receive(connection: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = connection.recv(size)
        if not part:
            raise ValueError("it hung up")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
