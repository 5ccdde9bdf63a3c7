"""The two logs as text: pieces in order, holes counted, and what is kept of a long one."""

from __future__ import annotations

import codecs
from collections import deque
from typing import TYPE_CHECKING

from .plain import LogText
from .pretty import size
from .updates import LeftOut, Logged

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of a job's log this much is in `Result.logs`, half from its start and half from its end:
# more than anybody reads, little beside what a kernel holds.
MOST_KEPT = 16_000_000


class Decoder:
    """Turns pieces of the two logs into news for a run."""

    def __init__(self) -> None:
        self._decoders = {
            name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("out", "err")
        }
        self._texts = {name: LogText() for name in self._decoders}

    def read(self, stream: str, missed: int, data: bytes) -> Iterator[Logged | LeftOut]:
        """Yield what a piece says; `missed` bytes before it do not come."""
        decoder = self._decoders[stream]
        if missed:
            # Half a character before the hole has no other half.
            decoder.reset()
            self._texts[stream] = LogText()
            yield LeftOut(stream, missed)
        text = self._texts[stream].read(decoder.decode(data))
        if text:
            yield Logged(stream, text)


class KeptLog:
    """A log's beginning and end, and how much of its middle was left out."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._half = most // 2
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._head_size = self._tail_size = 0
        self._left_out = 0

    def add(self, text: str) -> None:
        """Add what was printed."""
        if not self._tail and self._head_size < self._half:
            room = self._half - self._head_size
            self._head.append(text[:room])
            self._head_size += len(self._head[-1])
            text = text[room:]
        if text:
            self._tail.append(text)
            self._tail_size += len(text)
            self._trim()

    def leave_out(self, size_bytes: int) -> None:
        """Take note of a hole."""
        self.add(hole(size_bytes))

    def text(self) -> str:
        """Return what was kept; the hole says its size."""
        middle = [hole(self._left_out)] if self._left_out else []
        return "".join([*self._head, *middle, *self._tail])

    def _trim(self) -> None:
        while self._tail_size > self._half:
            first = self._tail.popleft()
            over = first[: self._tail_size - self._half]
            self._left_out += bytes_of(over)
            self._tail_size -= len(over)
            if len(over) < len(first):
                self._tail.appendleft(first[len(over) :])


def bytes_of(text: str) -> int:
    """Return the size of a text as UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def hole(size_bytes: int) -> str:
    """Return the line that stands for output that is not there."""
    return f"\n[… {size(size_bytes)} of output left out here …]\n"
