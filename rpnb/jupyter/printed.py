"""Log text on its way to a page: a long one is drawn at its start and at its end.

A page keeps what it draws, and so does the notebook's file: a gigabyte would freeze the
one and break the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..session.logs import Lost, Piece, Tail, hole

# Some 5000 lines; JupyterLab scrolls through them smoothly.
MOST_DRAWN = 250_000
_END = 50_000
# Text reaches the page at most this often, and counts: each is a message of its own.
_TEXT_SECONDS, _COUNT_SECONDS = 0.05, 0.25


class Printed:
    """What was printed in one output.

    `write` takes a stream and text for it, `flush` brings both to the page, and `count`
    is told how many bytes wait for the end.
    """

    def __init__(
        self,
        write: Callable[[str, str], None],
        flush: Callable[[], None],
        count: Callable[[int], None],
    ) -> None:
        self._write, self._flush, self._count = write, flush, count
        self._drawn = 0
        self._end = Tail(_END)
        self._flushed_at = self._counted_at = 0.0
        # What was not drawn and will not be; the holes say the same.
        self.lost = Lost()

    def add(self, stream: str, text: str) -> None:
        """Draw text while there is room, else keep its end for `settle`."""
        room = MOST_DRAWN - self._drawn
        if room > 0 and not self._end:
            head, text = text[:room], text[room:]
            self._drawn += len(head)
            self._write(stream, head)
            # Else a kernel does so by itself after 0.2 s.
            if text or time.monotonic() - self._flushed_at > _TEXT_SECONDS:
                self._flushed_at = time.monotonic()
                self._flush()
        if text:
            self._end.add(Piece(stream, text))
            self._tell()

    def leave_out(self, stream: str, size_bytes: int) -> None:
        """Draw a hole in the log, where it is."""
        lost = Lost(size_bytes, None)
        self._end.add(Piece(stream, hole(lost), lost))
        if self._drawn < MOST_DRAWN:
            self.settle()

    def settle(self) -> None:
        """Draw the end of what was too long, and how much is missing before it."""
        if not self._end:
            return
        for stream, text, _ in self._end:
            self._write(stream, text)
        self.lost += self._end.lost
        self._flush()
        self._end = Tail(_END)

    def _tell(self) -> None:
        if time.monotonic() - self._counted_at > _COUNT_SECONDS:
            self._counted_at = time.monotonic()
            self._count(self._end.lost.size_bytes + len(self._end))
