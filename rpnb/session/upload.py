"""Sending the blocks of values that an agent lacks, beside the traffic that must stay quick."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from ..errors import CannotCapture, LinkLost, ProtocolError, RpnbError
from ..protocol import messages
from ..protocol.blobs import block_count, blocks, is_digest
from ..protocol.blobs import digest as digest_of
from .outgoing import Sending, hang_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ..transport.stream import Stream
    from .dialogue import OpenRequest
    from .line import Line

    Bulk = Callable[[], AbstractContextManager[Stream]]

# Up to here values share the control stream, with what waits there; more gets a transport of
# its own, for a ping behind an upload waited 1.3 s at 20 Mbit/s (facts/ssh.md).
SMALL_BYTES = 1 << 20
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
        control: Line,
        bulk: Bulk,
        again: Callable[[], None],
    ) -> None:
        self._missing, self._opened = missing, opened
        self._control, self._bulk, self._again = control, bulk, again
        self._stream: Stream | None = None
        self._sending: Sending | None = None
        self._is_stopped = self._is_over = False
        # Since anything arrived, in seconds.
        self._still = 0.0

    def start(self) -> None:
        """Begin; trouble with the values goes to the inbox of the request."""
        threading.Thread(target=self._work, name="rpnb upload", daemon=True).start()

    def is_under_way(self, line: Line) -> bool:
        """Tell whether this line's agent gets, or was refused, what it asks for already."""
        return self._control is line and not self._is_over

    def stop(self) -> None:
        """Send nothing more."""
        self._is_stopped = True
        if self._stream is not None:
            hang_up(self._stream, within=0)

    def has_moved(self, elapsed: float) -> bool:
        """Tell whether bytes have arrived in the `elapsed` seconds since the last look.

        Where none has for too long the upload is begun anew.
        """
        if self._sending is None:
            return False
        moved = self._sending.has_moved()
        self._still = 0.0 if moved else self._still + elapsed
        if self._still > STALLED and self._stream is not None:
            self._still = 0.0
            # The thread finds its stream closed, and asks again.
            hang_up(self._stream, within=0)
        return moved

    def _work(self) -> None:
        try:
            self._send()
            self._is_over = True
        except (CannotCapture, ProtocolError) as error:
            self._opened.inbox.put(error)
        except (OSError, RpnbError):
            time.sleep(_PAUSE)
            self._is_over = True
            if not self._is_stopped:
                self._again()

    def _send(self) -> None:
        self._check()
        size = sum(len(self._opened.blobs[digest]) for digest in self._missing)
        if size + self._control.waiting_bytes <= SMALL_BYTES:
            self._each_block(self._control.put)
            return
        with self._bulk() as stream:
            self._stream = stream
            try:
                self._send_beside(stream)
            finally:
                self._stream = self._sending = None

    def _check(self) -> None:
        """See that the agent asks for blocks of this request's values, each once."""
        for digest, wanted in self._missing.items():
            if not is_digest(digest) or not isinstance(wanted, list):
                raise ProtocolError(f"expected {{digest: [index, …]}}, got {digest[:12]!r}")
            data = self._opened.blobs.get(digest)
            if data is None:
                raise CannotCapture(
                    f"the target no longer has a value that the program needs ({digest[:8]}). "
                    "Run the cell that defines it here again."
                )
            if not set(range(block_count(len(data)))).issuperset(map(_index, wanted)):
                raise ProtocolError(f"expected blocks of {len(data)} bytes, got others")
            if len(set(wanted)) < len(wanted):
                raise ProtocolError("expected each block once")

    def _send_beside(self, stream: Stream) -> None:
        self._still, self._sending = 0.0, (sending := Sending(stream))
        sending.send(messages.encode(messages.Hello("bulk", "bulk")))
        _hear(stream)  # its Welcome: the agent listens
        self._each_block(lambda blob: sending.send(messages.encode(blob)))
        # A stream that is closed loses what is still on its way: wait for the echo.
        sending.send(messages.encode(messages.Ping(0)))
        _hear(stream)

    def _each_block(self, send: Callable[[messages.Blob], None]) -> None:
        for digest, wanted in self._missing.items():
            data = self._opened.blobs[digest]
            for index, block in blocks(data, wanted):
                if self._is_stopped:
                    return
                sent = bytes(block)
                # A piece of an array is its own memory, and its digest of some time ago.
                if isinstance(data, memoryview) and digest_of(sent) != digest:
                    raise CannotCapture(
                        "a value was changed while it was being sent: run the cell again"
                    )
                send(messages.Blob(digest, len(data), index, sent))


def _index(wanted: Any) -> int:
    # True is a 1 to a set.
    if type(wanted) is not int:
        raise ProtocolError(f"expected the number of a block, got a {type(wanted).__name__}")
    return wanted


def _hear(stream: Stream) -> None:
    if not stream.receive():
        raise LinkLost("the stream for values ended")
