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


class Outgoing:
    """Sends what is put in, in order.

    The thread is why Ctrl-C cannot cut a frame in half, why two threads never mix
    theirs, and why a stream that takes nothing any more keeps nobody waiting.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._frames: SimpleQueue[bytes | None] = SimpleQueue()
        threading.Thread(target=self._work, name="rpnb send", daemon=True).start()

    def put(self, message: messages.Message) -> None:
        """Send a message when those before it are sent; lost where the stream ends first.

        Raises:
            ProtocolError: it is larger than an agent accepts.
        """
        self._frames.put(messages.encode(message))

    def close(self) -> None:
        """End the stream; what is not sent is dropped."""
        self._frames.put(None)
        hang_up(self._stream)

    def _work(self) -> None:
        # A cut is the reader's business: it redials, and the link repeats what is open.
        with contextlib.suppress(OSError, RpnbError):
            while (frame := self._frames.get()) is not None:
                self._stream.send(frame)
            return
        hang_up(self._stream)


def hang_up(stream: Stream) -> None:
    """Close a stream, and wait for that only a moment: one that hangs is closed, too."""
    closing = threading.Thread(target=stream.close, name="rpnb hang up", daemon=True)
    closing.start()
    closing.join(_FAREWELL)
