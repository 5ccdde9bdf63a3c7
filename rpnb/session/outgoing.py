"""The sending half of a link: whole frames, from a thread of their own."""

from __future__ import annotations

import contextlib
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from ..errors import ProtocolError, RpnbError
from ..protocol import messages

if TYPE_CHECKING:
    from ..transport.stream import Stream

# A stream that is cut closes at once; one that hangs may take for ever.
_FAREWELL = 0.5
# Handed over at once: how far a large frame is shows with each.
_SLICE = 1 << 16
# What is on its way below this is no upload: a ping that only a kernel has seen proves nothing.
_LARGE = 1 << 15
# A person's requests and what an agent may ask are a few; of pongs this many are 2 MB.
MOST_WAITING = 10_000


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

    What waits already is not queued again: an agent that asks on and on and never reads
    makes it hold each open request, and each block of a small value, once. Every message
    says the same however often it comes, by its id.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._sending = Sending(stream)
        self._frames: SimpleQueue[bytes | None] = SimpleQueue()
        # What is in the queue; what is being sent is not.
        self._waiting: set[bytes] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._work, name="rpnb send", daemon=True).start()

    def put(self, message: messages.Message) -> None:
        """Send a message when those before it are sent; lost where the stream ends first.

        Raises:
            ProtocolError: it is larger than an agent accepts, or too much waits.
        """
        frame = messages.encode(message)
        with self._lock:
            if frame in self._waiting:
                return
            if len(self._waiting) >= MOST_WAITING:
                raise ProtocolError("the agent asks on and on, and does not read the answers")
            self._waiting.add(frame)
            self._frames.put(frame)

    @property
    def waiting_bytes(self) -> int:
        """How much waits to be sent."""
        with self._lock:
            return sum(map(len, self._waiting))

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
                # Before: what is said once its last byte is away answers something newer.
                with self._lock:
                    self._waiting.discard(frame)
                self._sending.send(frame)
            return
        hang_up(self._stream)


def hang_up(stream: Stream, *, within: float = _FAREWELL) -> None:
    """Close a stream, and wait for that only a moment: one that hangs is closed, too."""
    closing = threading.Thread(target=stream.close, name="rpnb hang up", daemon=True)
    closing.start()
    closing.join(within)
