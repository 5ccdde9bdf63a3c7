"""A listener on a unix socket that answers, and the bridge command that leads to it."""

from __future__ import annotations

import contextlib
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

_BRIDGE = """
import os, socket, sys, threading
there = socket.socket(socket.AF_UNIX)
there.connect(sys.argv[1])
def out():
    while data := there.recv(1 << 18):
        sys.stdout.buffer.write(data); sys.stdout.buffer.flush()
    os._exit(0)
threading.Thread(target=out).start()
while data := os.read(0, 1 << 18):
    there.sendall(data)
os._exit(0)
"""


def bridge(path: Path) -> str:
    """The command line of a bridge from stdin and stdout to the socket at `path`."""
    return shlex.join([sys.executable, "-c", _BRIDGE, str(path)])


def echo(peer: socket.socket) -> None:
    """Send back what comes."""
    while data := peer.recv(1 << 18):
        peer.sendall(data)


def four_events(peer: socket.socket) -> None:
    """Answer each request by four small writes, a moment apart, as the agent does."""
    while peer.recv(1 << 18):
        for _ in range(4):
            peer.sendall(b"event")
            time.sleep(0.002)  # else sshd reads them as one


class Listener:
    """Serves `answer` to each client of the socket at `path`, in threads."""

    def __init__(self, path: Path, answer: Callable[[socket.socket], None] = echo) -> None:
        self.path = path
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._peers: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End it and its clients."""
        for one in (self._socket, *self._peers):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                self._peers.append(peer)
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._answer(peer)
        peer.close()
