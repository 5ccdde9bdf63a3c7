"""The program: one text, where each of its lines was typed, and the files beside it."""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from ..errors import ProtocolError
from .cells import KINDS, Cell


@dataclass(frozen=True)
class Origin:
    """`count` lines of the text, from `first_line` on, and where they were typed.

    `cell` is the remote cell's id; None for a line that rpnb wrote and for one
    captured from an ordinary cell, whose `label` is then all there is.
    """

    first_line: int
    count: int
    cell: str | None = None
    cell_line: int = 0
    label: str = ""


@dataclass(frozen=True)
class Where:
    """A line as the person knows it: "cell 3", its line there, and what stands on it."""

    label: str
    cell_id: str | None
    line: int
    source: str

    def __str__(self) -> str:
        return f"{self.label}, line {self.line}"


@dataclass(frozen=True)
class Capture:
    """How one name of an ordinary cell is written in the text, kept for a kernel's next life.

    `kind` is "import", "source", "literal" or "value"; `now` are names that must
    be bound before it, `later` those that it looks up when called; `files` are
    the paths that it needs, `lines` pairs of (lines, first line in its cell).

    What it asks of the target: `bytecode` is the path inside of code that has no
    source, `asks` are (top-level module, what asks for it, its version here where
    objects depend on that), `by_name` what it takes from modules, as "module:name" where
    their text tells whether they have it, else the top-level "module"; `use` is who uses it first.
    """

    name: str
    kind: str
    text: str
    label: str = ""
    lines: tuple[tuple[int, int], ...] = ()
    now: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    bytecode: str = ""
    asks: tuple[tuple[str, str, str], ...] = ()
    by_name: tuple[str, ...] = ()
    use: str = ""

    @property
    def places(self) -> tuple[int, ...]:
        """The line in its cell of each line of `text`; 0 where rpnb wrote it."""
        known = [n + offset if n else 0 for count, n in self.lines for offset in range(count)]
        return tuple(known or [0] * (self.text.count("\n") + 1))


@dataclass(frozen=True)
class Program:
    """What the worker runs and the export writes.

    `files` maps a path beside the text to (digest, size), `blobs` holds those
    bytes that are here; what is in `pieces` by its digest lies there as (digest, size)
    of each. `handler` is the handler's expression, "" for a program
    without one; `python` is the version that its pickled functions are bound to,
    "" where there are none; `needs` is what the target must have, as `Capture.by_name`.
    Not sent are `notes`, remarks for the person, and `foreign`,
    names of captures that came with the worker and are not known to be from here.
    """

    text: str = ""
    origins: tuple[Origin, ...] = ()
    cells: tuple[Cell, ...] = ()
    files: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    handler: str = ""
    python: str = ""
    requirements: tuple[str, ...] = ()
    captures: tuple[Capture, ...] = ()
    needs: tuple[str, ...] = ()
    pieces: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict, repr=False)
    blobs: Mapping[str, bytes | memoryview] = field(default_factory=dict, repr=False, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    foreign: frozenset[str] = field(default=frozenset(), compare=False)

    def where(self, line: int) -> Where | None:
        """Return where a line of the text was typed; None for one that nobody typed."""
        at = bisect_right(self._starts, line) - 1
        if at < 0:
            return None
        origin = self.origins[at]
        offset = line - origin.first_line
        if offset >= origin.count or not origin.cell_line:
            return None
        source = self._lines[line - 1] if line <= len(self._lines) else ""
        label = origin.label or self._labels.get(origin.cell or "", "")
        return Where(label, origin.cell, origin.cell_line + offset, source)

    def content(self, path: str) -> bytes | None:
        """Return the bytes of one of `files`, None where they are not here."""
        digest, size = self.files[path]
        parts = [self.blobs.get(each) for each, _ in self.pieces.get(digest, ((digest, size),))]
        return None if None in parts else b"".join(filter(None, parts))

    def without_blobs(self) -> Program:
        """Return the program as it is remembered: its values are where the worker is."""
        return dataclasses.replace(self, blobs={})

    @cached_property
    def _starts(self) -> list[int]:
        return [origin.first_line for origin in self.origins]

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _labels(self) -> dict[str, str]:
        return {cell.id: cell.label for cell in self.cells}

    def to_wire(self) -> dict[str, Any]:
        """Return the program as JSON can hold it; its blobs travel by digest."""
        return {
            "text": self.text,
            "origins": [[o.first_line, o.count, o.cell, o.cell_line] for o in self.origins],
            "cells": [_typed(cell) for cell in self.cells],
            "files": {path: list(found) for path, found in self.files.items()},
            "pieces": {digest: [list(each) for each in of] for digest, of in self.pieces.items()},
            "env": dict(self.env),
            "handler": self.handler,
            "python": self.python,
            "requirements": list(self.requirements),
            "captures": [_capture_to_wire(each) for each in self.captures],
            "needs": list(self.needs),
            "labels": {str(o.first_line): o.label for o in self.origins if o.label},
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Program:
        """Return the program that `to_wire` wrote; its blobs stay where they are.

        Raises:
            ProtocolError: that is not a program.
        """
        try:
            labels = wire.get("labels") or {}
            _check_wire(wire)
            return cls(
                text=str(wire["text"]),
                origins=tuple(
                    Origin(first, count, cell, line, labels.get(str(first), ""))
                    for first, count, cell, line in wire["origins"]
                ),
                cells=tuple(Cell(**{**each, "send": ()}) for each in wire["cells"]),
                files={path: (found[0], found[1]) for path, found in wire["files"].items()},
                pieces={
                    digest: tuple((name, size) for name, size in of)
                    for digest, of in (wire.get("pieces") or {}).items()
                },
                env=dict(wire["env"]),
                handler=str(wire.get("handler") or ""),
                python=str(wire.get("python") or ""),
                requirements=tuple(wire.get("requirements") or ()),
                captures=tuple(_capture_from_wire(each) for each in wire.get("captures") or ()),
                needs=tuple(wire.get("needs") or ()),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolError(f"the worker's program cannot be read: {error!r}") from error


def _typed(cell: Cell) -> dict[str, Any]:
    """A cell as the target keeps it; what may be sent is decided here at each run."""
    return {key: value for key, value in dataclasses.asdict(cell).items() if key != "send"}


def _check_wire(wire: Mapping[str, Any]) -> None:
    """See that a program says no more of its lines than it has, and names no file elsewhere."""
    _check_kinds(wire)
    lines = wire["text"].count("\n") + 1
    counted = [(first, count) for first, count, _, _ in wire["origins"]]
    if any(first < 1 or not 0 <= count <= lines for first, count in counted):
        raise ProtocolError("expected origins of the program's lines, got others")
    for capture in wire.get("captures") or ():
        counts = [count for count, _ in capture.get("lines") or ()]
        if min(counts, default=0) < 0 or sum(counts) > capture["text"].count("\n") + 1:
            raise ProtocolError("expected the lines of a capture, got others")
    for path in wire["files"]:
        parts = PurePosixPath(path)
        is_inside = bool(parts.parts) and not parts.is_absolute() and ".." not in parts.parts
        if not is_inside or "\0" in path:
            raise ProtocolError(f"expected a file of the program, got {path[:40]!r}")


def _check_kinds(wire: Mapping[str, Any]) -> None:
    """See that what is text is text: cells and captures become part of a program here."""
    said: list[Any] = [wire["text"], *(wire.get("requirements") or ()), *(wire.get("needs") or ())]
    said += [each for pair in wire["env"].items() for each in pair]
    for cell in wire["cells"]:
        said += [cell[key] for key in ("id", "kind", "name", "label", "source")]
        if cell["kind"] not in KINDS or not 0 <= cell.get("first_line", 1) < 1 << 31:
            raise ProtocolError("expected a cell, got another thing")
    for capture in wire.get("captures") or ():
        said += [capture.get(key, "") for key in ("name", "kind", "text", "label")]
        said += [capture.get(key, "") for key in ("bytecode", "use")]
        for key in ("now", "later", "imports", "future", "files"):
            said += capture.get(key, ())
        for asked in capture.get("asks", ()):
            said += asked
    if not all(isinstance(each, str) for each in said):
        raise ProtocolError("expected texts in the worker's program, got others")


def _capture_to_wire(capture: Capture) -> dict[str, Any]:
    found = dataclasses.asdict(capture)
    # The wire's plain lists and no empty entries: there may be hundreds of captures.
    return {key: value for key, value in found.items() if value or key in ("name", "kind", "text")}


def _capture_from_wire(wire: Mapping[str, Any]) -> Capture:
    values: dict[str, Any] = {
        key: tuple(each) if isinstance(each, list) else each for key, each in wire.items()
    }
    values["lines"] = tuple((count, first) for count, first in wire.get("lines", ()))
    values["asks"] = tuple(tuple(each) for each in wire.get("asks", ()))
    return Capture(**values)


def runs(places: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return consecutive line numbers as (how many, the first); 0 stands for "nowhere"."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found:
            count, first = found[-1]
            if (place == first + count and first) or (not place and not first):
                found[-1] = (count + 1, first)
                continue
        found.append((1, place))
    return tuple(found)
