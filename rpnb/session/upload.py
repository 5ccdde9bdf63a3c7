"""Sending the blocks of values that an agent lacks, beside the traffic that must stay quick."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from ..errors import CannotCapture, LinkLost, RpnbError
from ..protocol import messages
from ..protocol.blobs import blocks
from .outgoing import Outgoing, hang_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ..transport.stream import Stream
    from .link import OpenRequest

    Bulk = Callable[[], AbstractContextManager[Stream]]

# Up to here a value shares the control stream; more gets a transport of its own,
# for a ping behind an upload waited 1.3 s at 20 Mbit/s (facts/ssh.md).
SMALL_BYTES = 1 << 20
# Sent at once: the clock of a slow upload advances with each.
_SLICE = 1 << 16
# An upload that moves nothing for so long is begun anew.
STALLED = 20.0
# Before the agent is asked again what it lacks: whatever was in the way may pass.
_PAUSE = 0.5


class Upload:
    """Sends what one request lacks, {digest: [index, …]}, from a thread.

    `again` asks the agent anew what is missing: what has arrived is not sent twice.
    """

    def __init__(
        self,
        missing: dict[str, Any],
        opened: OpenRequest,
        control: Outgoing,
        bulk: Bulk,
        again: Callable[[], None],
    ) -> None:
        self._missing, self._opened = missing, opened
        self._control, self._bulk, self._again = control, bulk, again
        self._stream: Stream | None = None
        self._is_stopped = False
        self._moved = time.monotonic()

    def start(self) -> None:
        """Begin; trouble with the values goes to the inbox of the request."""
        threading.Thread(target=self._work, name="rpnb upload", daemon=True).start()

    def stop(self) -> None:
        """Send nothing more."""
        self._is_stopped = True
        if self._stream is not None:
            hang_up(self._stream)

    def check(self) -> None:
        """Begin anew where nothing has moved for too long."""
        if self._stream is not None and time.monotonic() - self._moved > STALLED:
            self._moved = time.monotonic()
            # The thread finds its stream closed, and asks again.
            hang_up(self._stream)

    def _work(self) -> None:
        try:
            self._send()
        except CannotCapture as error:
            self._opened.inbox.put(error)
        except (OSError, RpnbError):
            time.sleep(_PAUSE)
            if not self._is_stopped:
                self._again()

    def _send(self) -> None:
        for digest in self._missing:
            if digest not in self._opened.blobs:
                raise CannotCapture(
                    f"the target no longer has a value that the program needs ({digest[:8]}). "
                    "Run the cell that defines it here again."
                )
        if sum(len(self._opened.blobs[digest]) for digest in self._missing) <= SMALL_BYTES:
            self._each_block(self._control.put)
            return
        with self._bulk() as stream:
            self._stream = stream
            try:
                self._send_beside(stream)
            finally:
                self._stream = None

    def _send_beside(self, stream: Stream) -> None:
        stream.send(messages.encode(messages.Hello("bulk", "bulk")))
        _hear(stream)  # its Welcome: the agent listens
        self._each_block(lambda blob: self._in_slices(stream, messages.encode(blob)))
        # A stream that is closed loses what is still on its way: wait for the echo.
        stream.send(messages.encode(messages.Ping(0)))
        _hear(stream)

    def _each_block(self, send: Callable[[messages.Blob], None]) -> None:
        for digest, wanted in self._missing.items():
            data = self._opened.blobs[digest]
            for index, block in blocks(data, wanted):
                if self._is_stopped:
                    return
                send(messages.Blob(digest, len(data), index, bytes(block)))

    def _in_slices(self, stream: Stream, frame: bytes) -> None:
        view = memoryview(frame)
        for start in range(0, len(view), _SLICE):
            stream.send(view[start : start + _SLICE])
            self._moved = time.monotonic()


def _hear(stream: Stream) -> None:
    if not stream.receive():
        raise LinkLost("the stream for values ended")
