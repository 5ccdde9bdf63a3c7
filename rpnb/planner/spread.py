"""How dirtiness spreads from what changed to what must run again.

A step is dirty when it is new, changed, gone or run again. From a dirty step it
spreads *forwards*, in the new program and in the order in which the old one ran,
to steps that read or bind what it binds or changes, or bind or change what it
reads; and *backwards*, to the old steps whose work it spoiled: that bound or
changed what it bound or changed, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Collection, Sequence

from .footprints import PROBED_MASK, Footprint


@dataclass
class _Sum:
    """Several footprints as one."""

    reads: int = 0
    binds: int = 0
    changes: int = 0
    data: int = 0

    def add(self, other: Footprint) -> None:
        self.reads |= other.reads
        self.binds |= other.binds
        self.changes |= other.changes
        self.data |= other.data

    def meets(self, later: Footprint) -> int:
        """The names over which one of these and `later` depend on their order."""
        return (
            self.binds & (later.reads | later.binds)
            | self.changes & (later.data | later.changes)
            | self.reads & later.binds
            | self.data & later.changes
        )

    def spoils(self, earlier: Footprint) -> int:
        """The names that `earlier` made and one of these changed; probed ones are restored."""
        return self.binds & earlier.binds & ~PROBED_MASK | self.changes & (
            earlier.data_binds | earlier.changes
        )


@dataclass(frozen=True)
class Hit:
    """A kept step became dirty: over these names, because of a step of the new or old program."""

    names: int
    cause: int
    is_old: bool
    is_move: bool = False


class Spread:
    """Which steps of the new program still stand for old ones.

    `kept` maps new positions to old ones; `fixed` are new positions that other
    steps never make dirty; `hits` says why a position left `kept`.
    """

    def __init__(
        self,
        old: Sequence[Footprint],
        new: Sequence[Footprint],
        kept: dict[int, int],
        fixed: Collection[int],
    ) -> None:
        self.old, self.new, self.kept = old, new, dict(kept)
        self.hits: dict[int, Hit] = {}
        # Fixed positions that would have become dirty.
        self.held: set[int] = set()
        self._fixed = frozenset(fixed)
        self._new_of = {i: j for j, i in kept.items()}
        self._dirty = [j not in kept for j in range(len(new))]
        self._gone = [i not in self._new_of for i in range(len(old))]

    def run(self) -> None:
        """Spread until nothing more becomes dirty."""
        self._drop_moved()
        count = -1
        while count != len(self.kept):
            count = len(self.kept)
            everywhere_new, everywhere_old = range(len(self.new)), range(len(self.old))
            self._sweep(self.new, self._dirty, everywhere_new, _Sum.meets, is_old=False)
            self._sweep(self.old, self._gone, everywhere_old, _Sum.meets, is_old=True)
            self._sweep(self.old, self._gone, everywhere_old[::-1], _Sum.spoils, is_old=True)

    @property
    def gone(self) -> list[int]:
        """Old positions whose effects are to be undone."""
        return [i for i, is_gone in enumerate(self._gone) if is_gone]

    @property
    def dirty(self) -> list[int]:
        """New positions that are to run."""
        return [j for j, is_dirty in enumerate(self._dirty) if is_dirty]

    def _sweep(
        self,
        prints: Sequence[Footprint],
        dirty: list[bool],
        order: range,
        test: Callable[[_Sum, Footprint], int],
        *,
        is_old: bool,
    ) -> None:
        """Walk in `order`; what depends on any dirty step already passed becomes dirty."""
        so_far = _Sum()
        for index in order:
            if not dirty[index]:
                names = test(so_far, prints[index])
                if names:
                    cause = self._cause(prints, dirty, order, index, test)
                    position = self._new_of[index] if is_old else index
                    self._drop(position, Hit(names, cause, is_old))
            if dirty[index]:
                so_far.add(prints[index])

    @staticmethod
    def _cause(
        prints: Sequence[Footprint],
        dirty: list[bool],
        order: range,
        until: int,
        test: Callable[[_Sum, Footprint], int],
    ) -> int:
        for index in order:
            if index == until:
                break
            if dirty[index]:
                alone = _Sum()
                alone.add(prints[index])
                if test(alone, prints[until]):
                    return index
        raise AssertionError("a sum meets what none of its parts meets")

    def _drop(self, position: int, hit: Hit) -> None:
        if position in self._fixed:
            self.held.add(position)
            return
        self._gone[self.kept.pop(position)] = True
        self._dirty[position] = True
        self.hits[position] = hit

    def _drop_moved(self) -> None:
        """A pair that ran in the other order is dirty if it depends on its order."""
        order = sorted(self.kept)
        highest = -1
        for place, later in enumerate(order):
            ran = self.kept[later]
            if ran > highest:
                highest = ran
                continue
            for earlier in order[:place]:
                if self.kept.get(earlier, -1) > ran:
                    self._drop_pair(earlier, later)
                if later not in self.kept:
                    break

    def _drop_pair(self, earlier: int, later: int) -> None:
        one = _Sum()
        one.add(self.new[earlier])
        names = one.meets(self.new[later])
        if names:
            self._drop(earlier, Hit(names, self.kept[later], is_old=True, is_move=True))
            self._drop(later, Hit(names, self.kept[later], is_old=True, is_move=True))
