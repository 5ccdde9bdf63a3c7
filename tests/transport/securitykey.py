"""An ssh agent with a security key in it (OpenSSH's PROTOCOL.u2f), for want of a device."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct
import threading
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rpnb.transport.keys import PublicKey
from rpnb.transport.wire import Reader, string

_KIND = b"sk-ssh-ed25519@openssh.com"
_APPLICATION = b"ssh:"
_TOUCHED = b"\x01"


class SecurityKeyAgent:
    """Listens at `path`; holds `key`, and signs with it as a device does that is touched."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._device = Ed25519PrivateKey.generate()
        public = self._device.public_key().public_bytes_raw()
        self.key = PublicKey(_KIND.decode(), string(_KIND) + string(public) + string(_APPLICATION))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, connection.makefile("rb") as incoming:
                    # Who only looks whether it is there asks nothing.
                    if size := int.from_bytes(incoming.read(4), "big"):
                        connection.sendall(string(self._answer(incoming.read(size))))

    def _answer(self, request: bytes) -> bytes:
        if request[0] == 11:
            return b"\x0c" + struct.pack(">I", 1) + string(self.key.blob) + string(b"a device")
        reader = Reader(request[1:])
        reader.string()
        message, counter = reader.string(), struct.pack(">I", 7)
        application, digest = (hashlib.sha256(x).digest() for x in (_APPLICATION, message))
        signature = self._device.sign(application + _TOUCHED + counter + digest)
        return b"\x0e" + string(string(_KIND) + string(signature) + _TOUCHED + counter)
