"""The `bridge` verb: standard input and output, joined to a unix socket.

The fall-back for servers that forward no unix sockets.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

_CHUNK = 1 << 18


def main(path: str) -> int:
    """Copy in both directions until either side ends; 1 where nobody listens on the socket."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError as error:
        # Standard output is the stream: what is no frame has no place on it.
        print(f"no agent listens on {path}: {error.strerror}", file=sys.stderr)
        return 1
    # Two threads: a side that does not read must not hold up the other direction.
    threading.Thread(target=_send, args=(connection,), daemon=True).start()
    try:
        while data := connection.recv(_CHUNK):
            _write(1, data)
    except OSError:
        pass  # either side is gone: that is the end
    return 0


def _send(connection: socket.socket) -> None:
    try:
        while data := os.read(0, _CHUNK):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        connection.close()


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
