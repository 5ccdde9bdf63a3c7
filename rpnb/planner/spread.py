"""How dirtiness spreads from what changed to what must run again.

A step is dirty when it is new, changed, gone or run again. From a dirty step it
spreads *forwards*, in the new program and in the order in which the old one ran,
to steps that read or bind what it binds or changes, or bind or change what it
reads; and *backwards*, to the old steps whose work it spoiled: that bound or
changed what it bound or changed, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Collection, Mapping, Sequence, Union

from .footprints import Footprint
from .masks import PROBED_MASK


@dataclass
class _Sum:
    """Several footprints as one."""

    reads: int = 0
    binds: int = 0
    changes: int = 0
    data: int = 0
    firm: int = 0
    spoils: int = 0

    def add(self, other: Footprint) -> None:
        self.reads |= other.reads
        self.binds |= other.binds
        self.firm |= other.firm
        self.changes |= other.changes
        self.data |= other.data
        self.spoils |= other.spoils


def _meets(one: _Sum | Footprint, later: Footprint) -> int:
    """The names over which `one` and `later` depend on their order."""
    # As `_reaches`, which is not called: this is asked most of all.
    binds = one.firm & later.reads | (one.binds | one.reads) & later.binds
    return binds | one.changes & later.data | (one.changes | one.data) & later.changes


def _reaches(one: _Sum | Footprint, later: Footprint) -> int:
    """Like `_meets`, for steps whose effects are undone: what they read no longer matters."""
    binds = one.firm & later.reads | one.binds & later.binds
    return binds | one.changes & (later.data | later.changes)


def _spoils(one: _Sum | Footprint, earlier: Footprint) -> int:
    """The names that `earlier` made and `one` changed; probed resources are restored."""
    return one.binds & earlier.binds & ~PROBED_MASK | one.spoils & (
        earlier.data_binds | earlier.changes
    )


_Test = Callable[[Union[_Sum, Footprint], Footprint], int]


@dataclass(frozen=True)
class Hit:
    """A kept step became dirty: over these names, because of a step of the new or old program.

    `names` is 0 where the step only has to come after the cause: it overwrites what that reads.
    """

    names: int
    cause: int
    is_old: bool
    is_move: bool = False


@dataclass(frozen=True)
class _Suspects:
    """What a hit is found from, if anybody asks: the first `count` of the dirty steps passed."""

    index: int
    prints: Sequence[Footprint]
    passed: list[int]
    count: int
    test: _Test
    is_old: bool


class Spread:
    """Which steps of the new program still stand for old ones.

    `kept` maps new positions to old ones; `fixed` are new positions that other
    steps never make dirty; `ran` tells for old positions when they ran, in order;
    `unset` are new positions before which something else was set than is to be, and why.
    """

    def __init__(
        self,
        old: Sequence[Footprint],
        new: Sequence[Footprint],
        kept: dict[int, int],
        fixed: Collection[int],
        ran: Sequence[int],
        unset: Mapping[int, Hit | None],
    ) -> None:
        self.old, self.new, self.kept = old, new, dict(kept)
        self._hits: dict[int, Hit | _Suspects | None] = {}
        # Fixed positions that would have become dirty.
        self.held: set[int] = set()
        self._fixed = frozenset(fixed)
        self._ran, self._unset = ran, unset
        # Old position -> new position of the same text, dirty or not.
        self.matched = {i: j for j, i in kept.items()}
        self._dirty = [j not in kept for j in range(len(new))]
        self._gone = [i not in self.matched for i in range(len(old))]

    def run(self) -> None:
        """Spread until nothing more becomes dirty."""
        for position, hit in self._unset.items():
            self._drop(position, hit)
        self._drop_moved()
        count = -1
        while count != len(self.kept):
            count = len(self.kept)
            everywhere_new, everywhere_old = range(len(self.new)), range(len(self.old))
            self._sweep(self.new, self._dirty, everywhere_new, _meets, is_old=False)
            self._sweep(self.old, self._gone, everywhere_old, _reaches, is_old=True)
            self._sweep(self.old, self._gone, everywhere_old[::-1], _spoils, is_old=True)

    @property
    def gone(self) -> list[int]:
        """Old positions whose effects are to be undone."""
        return [i for i, is_gone in enumerate(self._gone) if is_gone]

    @property
    def dirty(self) -> list[int]:
        """New positions that are to run."""
        return [j for j, is_dirty in enumerate(self._dirty) if is_dirty]

    def is_dirty(self, position: int) -> bool:
        """Tell whether a new position is to run."""
        return self._dirty[position]

    def _sweep(
        self,
        prints: Sequence[Footprint],
        dirty: list[bool],
        order: range,
        test: _Test,
        *,
        is_old: bool,
    ) -> None:
        """Walk in `order`; what depends on any dirty step already passed becomes dirty."""
        so_far, passed = _Sum(), list[int]()
        for index in order:
            if not dirty[index] and test(so_far, prints[index]):
                position = self.matched[index] if is_old else index
                self._drop(position, _Suspects(index, prints, passed, len(passed), test, is_old))
            if dirty[index]:
                so_far.add(prints[index])
                passed.append(index)

    def hit(self, position: int) -> Hit | None:
        """Return why a new position left `kept`; None where nothing but its own text did it."""
        found = self._hits.get(position)
        if found is None or isinstance(found, Hit):
            return found
        passed = found.passed[: found.count]
        edited = [i for i in passed if self._is_edited(i, is_old=found.is_old)]
        later = found.prints[found.index]
        # An edited step is the better answer than one that is dirty because of it.
        for cause in (*edited, *passed):
            if found.test(found.prints[cause], later):
                # Where it only overwrites what the cause reads, no name says why.
                blame = _spoils if found.test is _spoils else _reaches
                return Hit(blame(found.prints[cause], later), cause, found.is_old)
        raise AssertionError("a sum meets what none of its parts meets")

    def _is_edited(self, index: int, *, is_old: bool) -> bool:
        return index not in self.matched if is_old else index not in self._hits

    def _drop(self, position: int, hit: Hit | _Suspects | None) -> None:
        if position in self._fixed:
            self.held.add(position)
            return
        self._gone[self.kept.pop(position)] = True
        self._dirty[position] = True
        self._hits[position] = hit

    def _drop_moved(self) -> None:
        """A pair that ran in the other order is dirty if it depends on its order."""
        # A step that stays whatever happens ran when it ran: nothing can be put before it.
        order = sorted(set(self.kept) - self._fixed)
        highest = -1
        for place, later in enumerate(order):
            ran = self._ran[self.kept[later]]
            if ran > highest:
                highest = ran
                continue
            for earlier in order[:place]:
                if earlier in self.kept and self._ran[self.kept[earlier]] > ran:
                    self._drop_pair(earlier, later)
                if later not in self.kept:
                    break

    def _drop_pair(self, earlier: int, later: int) -> None:
        names = _meets(self.new[earlier], self.new[later])
        if names:
            self._drop(earlier, Hit(names, self.kept[later], is_old=True, is_move=True))
            self._drop(later, Hit(names, self.kept[later], is_old=True, is_move=True))
