"""The two logs as text: pieces in order, holes counted, and what is kept of a long one."""

from __future__ import annotations

import codecs
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..transport.text import LogText
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


@dataclass(frozen=True)
class Lost:
    """Output that is not there: its bytes, and its lines where somebody had them to count."""

    size_bytes: int = 0
    lines: int | None = 0

    @classmethod
    def of(cls, text: str) -> Lost:
        """Return what is lost with a text."""
        return cls(bytes_of(text), text.count("\n"))

    def __add__(self, other: Lost) -> Lost:
        uncounted = self.lines is None or other.lines is None
        lines = None if uncounted else (self.lines or 0) + (other.lines or 0)
        return Lost(self.size_bytes + other.size_bytes, lines)

    def __bool__(self) -> bool:
        return self.size_bytes > 0

    def __str__(self) -> str:
        held = size(self.size_bytes)
        return f"{self.lines:,} lines ({held})" if self.lines else held


class Piece(NamedTuple):
    """Text of a log; that of a hole says what is lost."""

    stream: str
    text: str
    lost: Lost = Lost()


class Tail:
    """The last `most` characters of a log. Iterate over it for its pieces, holes among them."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._pieces: deque[Piece] = deque()
        self._before = Lost()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Piece]:
        if self._before:
            yield Piece("out", hole(self._before), self._before)
        yield from self._pieces

    @property
    def lost(self) -> Lost:
        """All that is lost before and among the pieces."""
        return sum((each.lost for each in self._pieces), self._before)

    def add(self, piece: Piece) -> None:
        """Add text; what was there longest gives way, a hole as a whole."""
        self._pieces.append(piece)
        self._size += len(piece.text)
        while self._size > self._most:
            self._shorten(self._pieces.popleft())

    def _shorten(self, first: Piece) -> None:
        over = self._size - self._most
        if first.lost or len(first.text) <= over:
            self._before += first.lost or Lost.of(first.text)
            self._size -= len(first.text)
        else:
            self._before += Lost.of(first.text[:over])
            self._pieces.appendleft(first._replace(text=first.text[over:]))
            self._size -= over


class KeptLog:
    """A log's beginning and end, and how much of its middle was left out."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._half = most // 2
        self._head: list[str] = []
        self._head_size = 0
        self._tail = Tail(self._half)

    def add(self, text: str) -> None:
        """Add what was printed."""
        if not self._tail and self._head_size < self._half:
            room = self._half - self._head_size
            self._head.append(text[:room])
            self._head_size += len(self._head[-1])
            text = text[room:]
        if text:
            self._tail.add(Piece("out", text))

    def leave_out(self, size_bytes: int) -> None:
        """Take note of a hole."""
        lost = Lost(size_bytes, None)
        if self._tail or self._head_size >= self._half:
            self._tail.add(Piece("out", hole(lost), lost))
        else:
            self._head.append(hole(lost))
            self._head_size += len(self._head[-1])

    def text(self) -> str:
        """Return what was kept; each hole says its size."""
        return "".join([*self._head, *(piece.text for piece in self._tail)])


def bytes_of(text: str) -> int:
    """Return the size of a text as UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def hole(lost: Lost) -> str:
    """Return the line that stands for output that is not there."""
    return f"\n[… {lost} of output left out here …]\n"
