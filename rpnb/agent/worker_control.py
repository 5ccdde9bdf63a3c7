"""The worker's ear: a thread that owns the control socket and only hands over."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import Callable

from ..errors import ProtocolError
from ..protocol.frames import FrameReader
from ..protocol.messages import Message, decode, encode
from .channel import is_own

_CHUNK = 1 << 20


class Control:
    """Serves one relay after the other; `receive` is called in its thread."""

    def __init__(self, path: Path, receive: Callable[[Message], None]) -> None:
        self._receive = receive
        self._peer: socket.socket | None = None
        self._sending = threading.Lock()
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self._listener = socket.socket(socket.AF_UNIX)
        # Nobody else may connect, not even for a moment.
        mask = os.umask(0o177)
        try:
            self._listener.bind(os.fspath(path))
        finally:
            os.umask(mask)
        self._listener.listen(4)

    def start(self) -> None:
        """Begin to listen, in a thread that does not keep the process alive."""
        threading.Thread(target=self._serve, name="rpnb-control", daemon=True).start()

    def tell(self, message: Message) -> None:
        """Send the relay a small message; no relay, no harm: it reads the journal."""
        with self._sending, contextlib.suppress(OSError):
            if self._peer is not None:
                # Never waits: a relay that does not read has enough to wake up by. So
                # small a message is taken whole or not at all.
                self._peer.send(encode(message), socket.MSG_DONTWAIT)

    def _serve(self) -> None:
        while True:
            peer, _ = self._listener.accept()
            if not is_own(peer):
                peer.close()
                continue
            with self._sending:
                self._peer = peer
            with peer, contextlib.suppress(OSError, ProtocolError):
                self._read(peer)
            with self._sending:
                self._peer = None

    def _read(self, peer: socket.socket) -> None:
        reader = FrameReader()
        while True:
            data = peer.recv(_CHUNK)
            if not data:
                return
            for frame in reader.receive_data(data):
                self._receive(decode(frame))
