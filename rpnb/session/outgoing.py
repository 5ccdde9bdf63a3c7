"""The sending half of a link: whole frames, from a thread of their own."""

from __future__ import annotations

import contextlib
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from ..errors import RpnbError
from ..protocol import messages

if TYPE_CHECKING:
    from ..transport.stream import Stream

# A stream that is cut closes at once; one that hangs may take for ever.
_FAREWELL = 0.5
# Handed over at once: how far a large frame is shows with each.
_SLICE = 1 << 16
# What is on its way below this is no upload: a ping that only a kernel has seen proves nothing.
_LARGE = 1 << 15


class Sending:
    """The bytes sent on a stream, and whether they arrive."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._begun = self._handed = 0
        # At the last look: what the other machine had, and what was on its way.
        self._there = self._waiting = 0
        # Whether that is much, or the rest of it.
        self._is_large = False

    def send(self, frame: bytes) -> None:
        """Send a frame; blocks while the other side does not read.

        Raises:
            LinkLost: the stream has ended.
        """
        self._begun += len(frame)
        view = memoryview(frame)
        for start in range(0, len(view), _SLICE):
            part = view[start : start + _SLICE]
            self._stream.send(part)
            self._handed += len(part)

    def has_moved(self) -> bool:
        """Tell whether some of much that was on its way has arrived since the last look."""
        there = self._handed - self._stream.unacknowledged()
        moved = self._is_large and there > self._there
        self._there, self._waiting = there, self._begun - there
        self._is_large = self._waiting >= _LARGE or (self._is_large and self._waiting > 0)
        return moved


class Outgoing:
    """Sends what is put in, in order.

    The thread is why Ctrl-C cannot cut a frame in half, why two threads never mix
    theirs, and why a stream that takes nothing any more keeps nobody waiting.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._sending = Sending(stream)
        self._frames: SimpleQueue[bytes | None] = SimpleQueue()
        threading.Thread(target=self._work, name="rpnb send", daemon=True).start()

    def put(self, message: messages.Message) -> None:
        """Send a message when those before it are sent; lost where the stream ends first.

        Raises:
            ProtocolError: it is larger than an agent accepts.
        """
        self._frames.put(messages.encode(message))

    def has_moved(self) -> bool:
        """Tell whether a large message is arriving, as `Sending.has_moved`."""
        return self._sending.has_moved()

    def close(self) -> None:
        """End the stream; what is not sent is dropped."""
        self._frames.put(None)
        hang_up(self._stream)

    def _work(self) -> None:
        # A cut is the reader's business: it redials, and the link repeats what is open.
        with contextlib.suppress(OSError, RpnbError):
            while (frame := self._frames.get()) is not None:
                self._sending.send(frame)
            return
        hang_up(self._stream)


def hang_up(stream: Stream, *, within: float = _FAREWELL) -> None:
    """Close a stream, and wait for that only a moment: one that hangs is closed, too."""
    closing = threading.Thread(target=stream.close, name="rpnb hang up", daemon=True)
    closing.start()
    closing.join(within)
