"""What each step of a set of programs touches, once names are followed through functions."""

from __future__ import annotations

from typing import Collection, Iterable, Mapping, NamedTuple

from .constants import Constants
from .effects import PURE_BUILTINS
from .masks import AMBIENT_MASK, RANDOM_MASK, bit, bits, mask, names_in
from .names import Names, masks_of

_NOT_TOLD = (0, 0)
# Names read, bound, changed, and data names that may share parts from now on.
_Draft = tuple[int, int, int, int]


class Footprint(NamedTuple):
    """Names read, bound, changed (whole alias classes); `data*`: those that can be changed."""

    reads: int
    binds: int
    changes: int
    data: int
    data_binds: int
    # What it binds, but for what is set again as it was.
    firm: int
    # What it changes, but for what is undone by setting an attribute back.
    spoils: int


class Footprints:
    """Footprints under one assumption about the names' kinds."""

    def __init__(
        self,
        names: Names,
        kinds: Mapping[str, str],
        pure: Collection[int],
        known: Collection[int],
        partial: Mapping[int, frozenset[str]],
        constants: Constants,
        plain: frozenset[str],
        unchanged: Mapping[int, frozenset[str]],
    ) -> None:
        """`pure` statements change nothing as a comment says; `known` ones as their looks do.

        `partial` tells for statements of which names they read only what nothing can change;
        `constants` tells of which names nobody holds more than parts; `plain` are names of
        libraries' values that hold no code of the program's; `unchanged` tells of what
        calls of statements that have run were given and left as it was.
        """
        self._plain, self._unchanged = plain, unchanged
        self._partial = partial
        self._names, self._kinds, self._known = names, kinds, known
        fixed = active = self._every = self._shadowing = names.loggers = 0
        for name in names_in(names.all):
            found = kinds.get(name) or ("imm" if names.is_builtin(name) else "active")
            if found == "log":
                names.loggers |= bit(name)
            if found in ("imm", "mod", "log") and name not in names.registries:
                fixed |= bit(name)
            elif found == "code" and not bit(name) & names.stored and name not in names.registries:
                # What the program stores into is no mere code: `C.limit = 3`.
                fixed |= bit(name)
            elif found == "active":
                active |= bit(name)
            elif found == "names":
                self._every |= bit(name)
            if name in PURE_BUILTINS and found not in ("imm", "mod") and name in kinds:
                self._shadowing |= bit(name)
        # Where names may be read that are not named, anything may be held.
        self._constants = constants
        self.unheld = 0 if self._every else constants.unheld
        unchanging = frozenset(name for name, found in kinds.items() if found == "imm")
        names.narrow(unchanging, partial, known)
        # What modules keep is data, like any value.
        self._data, self._active = names.all & ~fixed | names.modules, active
        drafts = [self._draft(i, is_pure=i in pure) for i in range(len(names.every))]
        self._classes = _classes(draft[3] for draft in drafts)
        self.every = [self._finish(*draft) for draft in drafts]

    def widened(self, number: int, binds: int, reads: int = 0, again: int = 0) -> Footprint:
        """Return a statement's footprint with more that it binds (as was seen) and reads."""
        found = self.every[number]
        if not (reads or again or (binds | found.binds) & RANDOM_MASK or binds & ~found.binds):
            return found
        firm = binds | found.binds
        binds = firm | again
        # Whoever was seen to move a random generator has read it, too.
        reads |= found.reads | (binds & RANDOM_MASK)
        data = found.data | reads & self._names.modules
        return found._replace(
            reads=reads, binds=binds, data=data, data_binds=binds & self._data, firm=firm
        )

    def units(self, number: int) -> int:
        """Return the statements (one bit each) whose deferred code a statement may run at once."""
        names, facts, m = self._names, self._names.every[number], self._names.masks[number]
        partial = self._partial.get(number)
        units = names.code(facts.reads - partial if partial else facts.reads)
        # What only wraps the functions of a class calls none of them.
        if (m.deferred_reads or m.has_deferred) and facts.has_calls and facts.plain is None:
            units |= names.code(facts.deferred_reads) | 1 << number
        return units

    def taken(self, number: int, name: str) -> Collection[str] | None:
        """Return the parts of a value that a statement, and what it calls, take.

        None where they may take more of it, or parts that can be changed.
        """
        facts, units = self._names.every[number], self.units(number)
        is_blind = facts.is_opaque or facts.has_star or units & self._names.opaque
        later = [self._names.every[unit] for unit in bits(units)]
        later = [each for each in later if name in each.deferred_reads]
        if is_blind or (later and not bit(name) & self.unheld):
            return None
        users = [facts, *later] if name in facts.reads else later
        if not all(name in each.all_parts for each in users):
            return None
        found = {part for each in users for part in each.all_parts[name]}
        return None if later and not self._constants.are(name, found) else found

    def _constant(self, number: int, reads: int) -> int:
        """Return the settings, as a mask, of which a statement takes constants only."""
        if not reads & self.unheld:
            return 0
        found = ((name, self.taken(number, name)) for name in names_in(reads & self.unheld))
        return mask(name for name, parts in found if parts and self._constants.are(name, parts))

    def _given(self, reads: int, later: int) -> int:
        """Return what a `print` or `len` of the program's own may change of what is given."""
        found = reads if reads & self._shadowing else 0
        return found | (later if later & self._shadowing else 0)

    def of_job(
        self,
        functions: Collection[str],
        binds: Collection[str],
        changes: Collection[str],
        undone: Collection[str],
    ) -> Footprint:
        """Return the footprint of what jobs stored, which depends on what these functions use.

        What they changed of `undone` is undone by setting attributes back.
        """
        units = self._names.code(functions)
        # What they drew depends on where the generator stood.
        reads = mask(functions) | self._names.deferred(units).reads | self._names.drawn(units)
        if units & self._names.opaque:
            reads |= self._names.all | self._names.modules
        reads |= self._names.quiet(mask(functions), _NOT_TOLD) | AMBIENT_MASK
        bound = mask(binds) & (~RANDOM_MASK | self._names.seeded)
        found = self._finish(reads, bound, mask(changes), 0)
        spoiled = self._finish(0, 0, mask(n for n in changes if n not in undone), 0)
        return found._replace(spoils=spoiled.changes)

    def _finish(self, reads: int, binds: int, changes: int, _touched: int) -> Footprint:
        whole = changes & self._data
        for together in self._classes if whole else ():
            if together & whole:
                whole |= together
        return Footprint(reads, binds, whole, reads & self._data, binds & self._data, binds, whole)

    def _draft(self, number: int, *, is_pure: bool) -> _Draft:
        names = self._names
        facts, m = names.every[number], names.masks[number]
        if facts.is_start:
            return 0, 0, 0, 0
        if facts.is_inert:
            return m.reads, 0, 0, 0
        if facts.is_definition:
            return m.reads, m.binds, 0, 0
        if is_pure:
            return m.reads | AMBIENT_MASK, m.binds, 0, 0
        if facts.is_kept and not m.reads & self._every:
            return self._of_keeping(number)
        looked = self._of_looks(number) if number in self._known else None
        return looked or self._of_text(number)

    def _of_text(self, number: int) -> _Draft:
        """What a statement does as far as its text shows."""
        names = self._names
        facts, m = names.every[number], names.masks[number]
        done, partial = names.done(number), self._partial.get(number, frozenset())
        apart, stayed = mask(partial) if partial else 0, self._unchanged.get(number)
        reads = m.reads & ~apart | done.reads
        given = m.calls & ~mask(stayed) if stayed else m.calls
        binds, changes = m.binds, (m.changes | given) & ~apart | done.changes
        units = self.units(number)
        more = names.deferred(units, number)
        reads, binds, changes = reads | more.reads, binds | more.writes, changes | more.changes
        if self._shadowing:
            changes |= self._given(m.reads & ~apart, more.reads)
        changes |= names.through(facts.results) if facts.results else 0
        constants = self._constant(number, reads)
        changes = (changes | reads & self._active) & ~constants
        is_blind = facts.is_opaque or reads & self._every or units & names.opaque
        if facts.is_display:
            # What the functions in it do, a call of them does.
            binds, changes, is_blind = m.binds, 0, False
        if is_blind:
            every = names.all | names.modules
            reads, binds, changes = reads | every, binds | every, every
        elif facts.has_star:
            reads |= names.starred(facts)
        is_blind = is_blind or facts.has_star
        reads |= names.quiet(reads, _NOT_TOLD) if is_blind else names.quiet(m.reads, m.told)
        # What binds and changes nothing leaves nothing that could share parts.
        held = reads & ~constants | binds
        touched = held & self._data & ~names.modules if binds or changes else 0
        touched |= done.shares | more.shares
        if facts.loads:
            touched |= names.loaded(facts)
        return reads | apart | self._ambient(number, units), binds | done.writes, changes, touched

    def _ambient(self, number: int, units: int) -> int:
        """Return the settings that may decide what a statement does."""
        facts, m = self._names.every[number], self._names.masks[number]
        # A property and an operator of the program's own are code, too.
        if units or (m.reads & self._data and (facts.has_calls or facts.has_operators)):
            return AMBIENT_MASK
        return self._names.asked(facts.asks) if facts.asks else 0

    def _of_keeping(self, number: int) -> _Draft:
        """What is kept is shared with what keeps it, whose code runs when that is called."""
        names, m = self._names, self._names.masks[number]
        done, more = names.done(number), names.deferred(self.units(number), number)
        shared = (m.reads | m.binds) & self._data & ~names.modules | done.shares | more.shares
        reads = m.reads | done.reads | more.reads | names.quiet(m.reads, m.told) | AMBIENT_MASK
        return reads, m.binds | done.writes, done.changes, shared

    def _of_looks(self, number: int) -> _Draft | None:
        """What is asked stays as it is; what the question is asked with may be called.

        None where that may read and bind any name.
        """
        names, facts = self._names, self._names.every[number].whole
        m = masks_of(facts)
        partial = self._partial.get(number, frozenset())
        apart = mask(partial)
        roots = {name for name, _ in facts.looks} | partial
        known = roots | self._plain | facts.entered
        others = (n for n in facts.reads - known if self._kinds.get(n) != "imm")
        units = names.code(others)
        if units & names.opaque:
            return None
        more = names.deferred(units, number)
        reads, binds, changes = more.reads | m.reads, more.writes | m.binds, more.changes
        changes |= self._given(m.reads & ~apart, more.reads)
        constants = self._constant(number, reads)
        held = reads & ~constants & ~apart | binds
        shared = held & self._data & ~mask(facts.receivers)
        changes = (changes | m.reads & ~apart & self._active) & ~constants
        done = names.done(number)
        reads |= names.quiet(m.reads, m.told) | self._ambient(number, units)
        # What is only asked keeps nothing of what it is asked with: only a name could share parts.
        shared = shared if binds or more.changes else 0
        shared |= done.shares | more.shares
        return reads, binds | done.writes, changes | done.changes, shared


def _classes(touched: Iterable[int]) -> list[int]:
    """Unite the data names that statements touch together, into disjoint alias classes."""
    classes: list[int] = []
    seen = 0
    for found in touched:
        if not found & (found - 1):
            continue
        if found & seen:
            apart = []
            for together in classes:
                if together & found:
                    found |= together
                else:
                    apart.append(together)
            classes = apart
        classes.append(found)
        seen |= found
    return classes
