"""What the cells use of ordinary cells, transitively, and before which cell it must stand."""

from __future__ import annotations

import difflib
import types
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..errors import CannotCapture, MissingName, ProgramError
from .capture import alias, begun, capture, element, together
from .cells import Cell
from .functions import shared_variables
from .names import Names
from .own import Own
from .prepare import Prepared
from .sources import Captured
from .steps import Capture, Program
from .ties import Ties, ties
from .uses import BUILTINS, Uses, uses

_NOT_THERE = {
    "display": "is IPython's: the target shows a cell's last expression by itself",
    "get_ipython": "is IPython's: the target has none",
}


@dataclass(frozen=True)
class Need:
    """Who needs a name: a line of a remote cell, or a captured definition on its behalf.

    `taker` is the cell or the capture from before that names it; None for what the
    notebook holds itself.
    """

    cell: str
    place: str
    via: str = ""
    taker: Cell | Capture | None = None

    def __str__(self) -> str:
        return f"{self.place} (through `{self.via}`)" if self.via else self.place


@dataclass
class Resolved:
    """Captures by the id of the cell before which they stand, in order.

    `foreign` are names that came with a worker and are not known to be from here;
    `withheld` are, by the cell, names of here that it named and did not get.
    """

    before: dict[str, list[Captured]] = field(default_factory=dict)
    problems: list[ProgramError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)
    withheld: dict[str, list[str]] = field(default_factory=dict)

    @property
    def all(self) -> list[Captured]:
        """Every capture, in the order of the text."""
        return [each for placed in self.before.values() for each in placed]


@dataclass(frozen=True)
class Known:
    """What is bound before the first cell: by `program`, and names that are no one's question."""

    given: frozenset[str] = frozenset()
    program: frozenset[str] = frozenset()


def resolve(
    cells: Sequence[Prepared],
    names: Names,
    base: Program | None,
    *,
    lazy_annotations: bool = False,
    known: Known | None = None,
    own: Own | None = None,
) -> Resolved:
    """Return the captures that the cells need; what is missing is among the problems.

    `own` tells which of them may take names of here along; without it all may.
    """
    told = Ties()
    while True:
        resolver = _Resolver(cells, names, base, lazy_annotations, known or Known(), told, own)
        found = resolver.resolve()
        if own is not None and resolver.owed:
            # They travel anyway: the cells from before see the same.
            own = own.granting(resolver.owed)
            continue
        more = ties(resolver.own_captures, names, resolver.refused)
        if more.names() <= told.names():
            return found
        told = told.with_more(more)


def needs(cells: Sequence[Prepared], *, lazy_annotations: bool = False) -> dict[str, Need]:
    """Return the names that the cells use and none of them binds, with the first use of each.

    Those that they can do without are among them, and builtins: whoever binds
    such a name gives it to the cells.
    """
    resolver = _Resolver(cells, Names({}), None, lazy_annotations, Known(), Ties())
    resolver.resolve()
    return resolver.wanted


def in_reading_order(captures: Sequence[Captured]) -> list[Captured]:
    """Return captures with what a definition uses above it, where a cycle allows it.

    What must be bound before always is; what is only looked up when a function
    is called comes first unless that would put it before its own needs.
    """
    known = {each.capture.name: each for each in captures}
    placed: dict[str, Captured] = {}
    open_names: set[str] = set()

    def must_precede(name: str, seen: set[str], *, called: bool = False) -> set[str]:
        if name in known and name not in seen and name not in placed:
            seen.add(name)
            each = known[name].capture
            # What is bound before may be called at once, as a decorator is.
            for wanted in (*each.now, *(each.later if called else ())):
                must_precede(wanted, seen, called=True)
        return seen

    def place(name: str) -> None:
        if name not in known or name in placed or name in open_names:
            return
        open_names.add(name)
        for each in known[name].capture.now:
            place(each)
        for each in known[name].capture.later:
            if not must_precede(each, set()) & open_names:
                place(each)
        open_names.discard(name)
        placed[name] = known[name]

    for name in known:
        place(name)
    return list(placed.values())


class _Resolver:
    def __init__(
        self,
        cells: Sequence[Prepared],
        names: Names,
        base: Program | None,
        lazy: bool,
        known: Known,
        told: Ties,
        own: Own | None = None,
    ) -> None:
        self.cells, self.names, self.told, self.own = cells, names, told, own
        # Names that one part did not get, and that another one takes along.
        self.owed: set[str] = set()
        self._kept_back: set[str] = set()
        # Names that cannot be captured, as far as this look shows.
        self.refused: list[str] = []
        self.base = {each.name: each for each in base.captures} if base else {}
        self.found = Resolved({each.cell.id: [] for each in cells})
        self.missing: dict[str, Need] = {}
        self.wanted: dict[str, Need] = {}
        self._uses: list[tuple[Prepared, list[Uses]]] = [
            (each, [uses(s, lazy_annotations=lazy) for s in each.statements]) for each in cells
        ]
        # What a translated `!command` needs stands at the top of the file.
        written = [line.split()[1] for each in cells for line in each.imports]
        self._binders = dict.fromkeys((*known.program, *written), "the program")
        for each, found in self._uses:
            for one in found:
                for name in one.binds | one.sets:
                    self._binders.setdefault(name, each.cell.label)
        self._set_later = {n for _, found in self._uses for one in found for n in one.sets}
        self._open = any(one.open for _, found in self._uses for one in found)
        self._bound: set[str] = {*written, *known.given, *known.program}
        self._done: set[str] = set(known.given)

    def resolve(self) -> Resolved:
        for prepared, found in self._uses:
            for one in found:
                self._statement(prepared, one)
                self._bound |= one.binds
        self._note_both_sides()
        self._refuse_shared()
        for cell, placed in self.found.before.items():
            self.found.before[cell] = in_reading_order(placed)
        return self.found

    @property
    def own_captures(self) -> list[Captured]:
        """The captures less those whose name stands for something else here."""
        return [each for each in self.found.all if each.capture.name not in self._kept_back]

    def _statement(self, prepared: Prepared, one: Uses) -> None:
        def need(line: int) -> Need:
            where = prepared.body.places[line - 1]
            place = f"{prepared.cell.label}, line {where}"
            return Need(prepared.cell.id, place, taker=prepared.cell)

        for name, line in one.now.items():
            if name not in self._bound:
                self._need(name, need(line))
        for name, line in one.later.items():
            if name not in self._binders or name in self._set_later - self._bound:
                self._need(name, need(line), optional=name in self._set_later)
        for name, line in one.optional.items():
            if name not in self._bound:
                self._need(name, need(line), optional=True)

    def _need(self, name: str, need: Need, *, optional: bool = False) -> None:
        self.wanted.setdefault(name, need)
        if name in self._kept_back and self._may_take(name, need):
            self.owed.add(name)
        if name in self._done or (name in BUILTINS and not self._is_own(name, need)):
            return
        captured = self._captured(name, need)
        if captured is None:
            if not optional and not self._open and name not in self.missing:
                self._miss(name, need)
            return
        self._place(name, captured, need)

    def _place(self, name: str, captured: Captured, need: Need) -> None:
        """Put a capture before the cell that needs it, after what it needs itself."""
        self._done.add(name)
        if name in self.told.held or name in self.told.alias:
            captured = self._tied(name) or captured
        self.found.notes += [captured.note] if captured.note else []
        inner = Need(need.cell, need.place, name, self._taker(captured.capture))
        for each in captured.before:
            self._place(each.capture.name, each, need)
        for wanted in captured.capture.now:
            if wanted not in self._bound:
                self._need(wanted, inner)
        used = replace(captured.capture, use=captured.capture.use or str(need))
        self.found.before[need.cell].append(replace(captured, capture=used))
        for wanted in captured.capture.later:
            if wanted not in self._binders:
                self._need(wanted, inner, optional=wanted in captured.optional)

    def _is_own(self, name: str, need: Need | None = None) -> bool:
        """A builtin's name counts as the person's only where a cell of theirs bound it."""
        is_here = name in self.names and (need is None or self._may_take(name, need))
        return name in self.base or (is_here and bool(self.names.definition(name)))

    def _may_take(self, name: str, need: Need) -> bool:
        return self.own is None or need.taker is None or self.own.may_take(need.taker, name)

    def _taker(self, placed: Capture) -> Capture | None:
        """A capture that is as the worker has it; None for one that was made now."""
        return placed if self.base.get(placed.name) is placed else None

    def _from_before(self, name: str, need: Need) -> Captured | None:
        """A name as the worker has it; what is here of that name stays here."""
        if name in self.names:
            self._kept_back.add(name)
            self.found.withheld.setdefault(need.cell, []).append(f"`{name}`")
        if name not in self.base:
            return None
        if self.own is not None and not self.own.knows(self.base[name]):
            self.found.foreign.add(name)
        return Captured(self.base[name])

    def _tied(self, name: str) -> Captured | None:
        """How a name travels that has something in common with another."""
        told = self.told
        if name in told.held:
            return element(name, *told.held[name])
        if name in told.holders:
            return together(name, told.holders[name], self.names)
        if name in told.begun:
            return begun(name, told.begun[name], self.names)
        return alias(name, told.alias[name]) if name in told.alias else None

    def _looked_at(self, name: str) -> Captured:
        try:
            return capture(name, self.names)
        except ProgramError:
            raise
        except Exception as error:
            # A proxy without its object, for one, raises whatever one asks of it.
            raise CannotCapture(
                f"`{name}` cannot travel to the target: looking at it raised "
                f"{type(error).__name__}: {error}. Remedy: make it in a remote cell",
                name=name,
                path=name,
            ) from error

    def _in_order(self, name: str, found: Captured) -> Captured:
        """A definition that registers itself stands below the one that did so before it."""
        now = {*found.capture.now, *self.told.above(name)}
        return replace(found, capture=replace(found.capture, now=tuple(sorted(now))))

    def _captured(self, name: str, need: Need) -> Captured | None:
        try:
            tied = self._tied(name)
            if tied is None and not (name in self.names and self._may_take(name, need)):
                return self._from_before(name, need)
            return tied or self._in_order(name, self._looked_at(name))
        except ProgramError as problem:
            self._done.add(name)
            self.refused.append(name)
            problem.args = (f"{problem}\n  {need} uses it.",)
            self.found.problems.append(problem)
            return Captured(Capture(name, "literal", f"{name} = None"))

    def _miss(self, name: str, need: Need) -> None:
        self.missing[name] = need
        told = _kept_back(name, need) if name in self._kept_back else self._missing_text(name)
        self.found.problems.append(MissingName(f"{need}: {told}"))

    def _missing_text(self, name: str) -> str:
        if name in _NOT_THERE:
            return f"`{name}` {_NOT_THERE[name]}"
        if name in self._binders:
            return f"`{name}` is used before {self._binders[name]} gives it a value"
        known = [*self._binders, *(n for n in self.names.namespace if n in self.names)]
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        meant = f" Did you mean `{close[0]}`?" if close else ""
        return (
            f"nothing defines `{name}`: no remote cell binds it and there is no such name "
            f"here.{meant} Run the cell that defines it, or define it in a remote cell"
        )

    def _note_both_sides(self) -> None:
        used = {name for _, found in self._uses for one in found for name in one.all}
        for name in sorted(used & set(self._binders)):
            if name in self.names and name not in self._done and self._differs(name):
                self.found.notes.append(
                    f"`{name}` exists here, too: remote cells use the one of {self._binders[name]}"
                )

    def _refuse_shared(self) -> None:
        closures = {
            name: self.names[name]
            for name in sorted(self._done - set(self.refused) - self._kept_back)
            if name in self.names and isinstance(self.names[name], types.FunctionType)
        }
        for variable, sharing in shared_variables(closures):
            listed = " and ".join(f"`{each}`" for each in sharing)
            self.found.problems.append(
                CannotCapture(
                    f"{listed} share the variable `{variable}` of the function that made them, "
                    "and would each get one of their own: make them in a remote cell",
                    name=sharing[0],
                    path=f"{sharing[0]}'s {variable}",
                )
            )

    def _differs(self, name: str) -> bool:
        if name in BUILTINS and not self._is_own(name):
            return False
        value = self.names[name]
        definition = self.names.definition(name)
        imported = definition is not None and definition.is_import
        return not imported and type(value).__name__ != "module"


def _kept_back(name: str, need: Need) -> str:
    """Why a name of here does not travel, and what to do where it should."""
    if isinstance(need.taker, Cell):
        came, remedy = "the cell", "If the cell is yours, run it here: then it may use"
    else:
        came, remedy = f"`{need.via}`", f"If `{need.via}` is yours, run the cell that defines it:"
        remedy += " then it may use"
    return (
        f"`{name}` of this notebook stays here: {came} came with the worker, and nothing here "
        f"says that it was sent there with `{name}`. {remedy} `{name}`; else take the cell out "
        "with %runpod_drop"
    )
