"""Pieces of text that remember where each of their lines was typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Passage:
    """Lines in a row; `places` holds each line's number in its cell, 0 where rpnb wrote it.

    `cell` is the remote cell's id, "" for an ordinary cell, which only has a label.
    """

    lines: tuple[str, ...]
    places: tuple[int, ...]
    cell: str = ""
    label: str = ""

    @classmethod
    def typed(cls, text: str, first_line: int, *, cell: str = "", label: str = "") -> Passage:
        """Return text that stands in a cell from `first_line` on."""
        lines = tuple(text.split("\n"))
        return cls(lines, tuple(range(first_line, first_line + len(lines))), cell, label)

    @classmethod
    def written(cls, text: str) -> Passage:
        """Return text that nobody typed."""
        lines = tuple(text.split("\n"))
        return cls(lines, (0,) * len(lines))

    @property
    def text(self) -> str:
        """The lines, joined."""
        return "\n".join(self.lines)

    def without(self, numbers: Iterable[int]) -> Passage:
        """Return the passage less these lines (1-based, counted in the passage)."""
        gone = set(numbers)
        return self._chosen(lambda number: number not in gone)

    def followed_by(self, *lines: str) -> Passage:
        """Return the passage with lines below it that nobody typed."""
        places = (*self.places, *[0] * len(lines))
        return replace(self, lines=(*self.lines, *lines), places=places)

    def part(self, first: int, last: int) -> Passage:
        """Return the lines from `first` to `last` (1-based, both included)."""
        return self._chosen(lambda number: first <= number <= last)

    def stripped(self) -> Passage:
        """Return the passage without blank lines at its ends."""
        full = [number for number, line in enumerate(self.lines, 1) if line.strip()]
        return self.part(full[0], full[-1]) if full else self.part(1, 0)

    def _chosen(self, wanted: Callable[[int], bool]) -> Passage:
        kept = [n for n in range(len(self.lines)) if wanted(n + 1)]
        return replace(
            self,
            lines=tuple(self.lines[n] for n in kept),
            places=tuple(self.places[n] for n in kept),
        )
