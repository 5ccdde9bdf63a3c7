"""What of a program is this notebook's own, and may take along what it names here.

A worker hands its program over when a kernel connects. Who has changed the agent can put
cells into it that nobody here wrote; what those name must not travel. So what did not run
in this kernel takes only what is known to have gone to that target before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .cells import Cell

if TYPE_CHECKING:
    from .steps import Capture, Program

# Of several programs' texts: a target may hold the one before the last. 70 kB on disk.
_MOST = 2000
# Nobody types more; 200 kB of text that is made to be slow take 3 s to read.
_MOST_FOREIGN = 200_000


@dataclass(frozen=True)
class Sent:
    """What went to a target, the newest first: digests of `texts` and settings, and `names`.

    The texts are those of remote cells and of captures, the names those of ordinary
    cells that travelled with them.
    """

    texts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Sent:
        """Return what `facts` wrote."""
        return cls(tuple(facts.get("texts") or ()), tuple(facts.get("names") or ()))

    def facts(self) -> dict[str, list[str]]:
        """Return it as JSON can hold it."""
        return {"texts": list(self.texts), "names": list(self.names)}

    def has(self, part: Cell | Capture) -> bool:
        """Whether this cell's or capture's text went there."""
        return _digest(part) in self._texts

    def less_foreign(self, program: Program) -> Program:
        """Return a program from before with what went there from here, and no more."""
        cells = tuple(filter(self.has, program.cells))
        captures = tuple(filter(self.has, program.captures))
        return replace(program, cells=cells, captures=captures)

    def is_too_foreign(self, program: Program) -> bool:
        """Whether a program from before has more text of others than anybody types."""
        cells = (each.source for each in program.cells if not self.has(each))
        captures = (each.text for each in program.captures if not self.has(each))
        return sum(map(len, (*cells, *captures))) > _MOST_FOREIGN

    def has_setting(self, name: str, value: str) -> bool:
        """Whether this plain setting went there."""
        return _setting(name, value) in self._texts

    def with_program(self, program: Program, own: Own, settings: Mapping[str, str]) -> Sent:
        """Return this and what goes there with `program`; `settings` are its own ones."""
        captures = [each for each in program.captures if each.name not in program.foreign]
        parts: list[Cell | Capture] = [*filter(own.knows, program.cells), *captures]
        texts = [*map(_digest, parts), *(_setting(*each) for each in settings.items())]
        return Sent(_first(texts, self.texts), _first([c.name for c in captures], self.names))

    @cached_property
    def _texts(self) -> frozenset[str]:
        return frozenset(self.texts)


@dataclass(frozen=True)
class Own:
    """Tells a notebook's own parts of a program from those that came with a worker.

    `from_before` are ids of cells that did not run in this kernel, `sent` is what is
    known of them; `granted` are names that travel anyway, as the notebook's own want them.
    """

    from_before: Collection[str] = frozenset()
    sent: Sent = Sent()
    granted: frozenset[str] = frozenset()

    def knows(self, part: Cell | Capture) -> bool:
        """Whether a cell ran here, or the very text was sent from here."""
        return self._ran(part) or self.sent.has(part)

    def may_take(self, part: Cell | Capture, name: str) -> bool:
        """Whether the cell, or a capture from before, may have a name of ordinary cells."""
        if name in self.granted or self._ran(part):
            return True
        return name in self.sent.names and self.sent.has(part)

    def granting(self, names: Collection[str]) -> Own:
        """Return the same with further names that travel anyway."""
        return replace(self, granted=self.granted | frozenset(names))

    def _ran(self, part: Cell | Capture) -> bool:
        return isinstance(part, Cell) and part.id not in self.from_before


def _digest(part: Cell | Capture) -> str:
    """Of all that decides what a part takes along; its place in the notebook does not."""
    if isinstance(part, Cell):
        return _hash("cell", part.kind, part.source.rstrip())
    said = (part.now, part.later, part.imports, part.future, part.files)
    return _hash("capture", part.name, part.kind, part.text, said)


def _setting(name: str, value: str) -> str:
    return _hash("setting", name, value)


def _hash(*said: Any) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


def _first(new: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*new, *known]))[: max(_MOST, len(new))]
