"""From how dirtiness spread to the reason that a person reads."""

from __future__ import annotations

from typing import Collection, Sequence

from .effects import is_standard
from .footprints import Footprint
from .masks import WORLD_MASK, names_in, resource_mask
from .reasons import Reason
from .spread import Hit, Spread
from .steps import Executed, Step
from .writes import JobWrite

_BEFORE_IMPORTS = WORLD_MASK | resource_mask(["environ"])


class Causes:
    """Names the cause of each step that runs, and of a restart."""

    def __init__(
        self,
        executed: Sequence[Executed],
        new: Sequence[Step],
        jobs: Sequence[JobWrite],
        spread: Spread,
    ) -> None:
        self._executed, self._new, self._jobs, self._spread = executed, new, jobs, spread
        self._identities = {step.identity for step in new}

    def of(self, index: int) -> Reason:
        """Return why the new step `index` runs."""
        step, hit = self._new[index], self._spread.hit(index)
        if step.facts.is_start:
            return Reason("always", line=step.line, cause=_head(step))
        if hit is None:
            return self._changed(step)
        name = _readable(hit.names, self._made_by(hit), step.facts.reads | step.facts.binds)
        if not hit.names and hit.cause < len(self._executed if hit.is_old else self._new):
            cause = self._executed[hit.cause].step if hit.is_old else self._new[hit.cause]
            return Reason("after", "", cause.line, _head(cause))
        if not hit.is_old:
            cause = self._new[hit.cause]
            return Reason("uses", name, cause.line, _head(cause))
        if hit.is_move:
            return Reason("moved", _label(step), step.line, _head(step))
        if hit.cause >= len(self._executed):
            return Reason("job", name, step.line, _head(step))
        return self._undone(hit.cause, name)

    def _made_by(self, hit: Hit) -> frozenset[str]:
        """Return the names that a cause's own text, or job, has to do with."""
        steps = [e.step for e in self._executed] if hit.is_old else self._new
        if hit.cause >= len(steps):
            job = self._jobs[hit.cause - len(steps)]
            return job.binds | job.changes
        facts = steps[hit.cause].facts
        return facts.binds | facts.changes

    def restart(self) -> Reason | None:
        """Return why only a new worker will do, if so."""
        for i in self._spread.gone:
            found = self._spread.old[i]
            if i >= len(self._executed) or not found.binds & WORLD_MASK:
                continue
            if found.firm & WORLD_MASK or self._is_early(i):
                return self._undone(i, "$world")
        old, new = [e.step for e in self._executed], self._new
        gone, dirty = self._spread.gone, self._spread.dirty
        staying = self._identities & {step.identity for step in old}
        return _before_import(old, self._spread.old, gone, staying) or _before_import(
            new, self._spread.new, dirty, staying
        )

    def _is_early(self, index: int) -> bool:
        """Tell whether a step that runs now may see what the old one set, or raise before it is.

        A function that imports a module sets nothing where it is defined.
        """
        sets = self._executed[index].step.imported.sets
        for j, step in enumerate(self._new):
            if step.facts.loads and step.imported.sets >= sets:
                return False
            if self._spread.is_dirty(j) and not step.facts.is_definition:
                return True
        return True

    def _changed(self, step: Step) -> Reason:
        label = _label(step)
        same = [e for e in self._executed if e.step.identity == step.identity and not e.ok]
        if same:
            return Reason("failed", label, step.line, _head(step))
        names = step.facts.binds
        gone = [self._executed[i].step for i in self._spread.gone if i < len(self._executed)]
        if names and any(names & other.facts.binds for other in gone):
            return Reason("changed", label, step.line, _head(step))
        return Reason("new", label, step.line, _head(step))

    def _undone(self, index: int, name: str) -> Reason:
        step = self._executed[index].step
        if step.identity in self._identities:
            return Reason("rerun", name, step.line, _head(step))
        kind = "edited" if self._has_successor(index) else "removed"
        return Reason(kind, name, step.line, _head(step))

    def _has_successor(self, index: int) -> bool:
        """A changed step stands where the old one stood: after the same kept neighbour."""
        matched = self._spread.matched
        before = [matched[i] for i in range(index) if i in matched]
        place = max(before, default=-1) + 1
        return place < len(self._new) and self._new[place].identity not in {
            e.step.identity for e in self._executed
        }


def _before_import(
    steps: Sequence[Step], prints: Sequence[Footprint], dirty: Sequence[int], staying: set[str]
) -> Reason | None:
    """A library that has been imported read the environment then: importing again does nothing."""
    is_dirty = set(dirty)
    writer: Step | None = None
    for index, step in enumerate(steps):
        if writer and step.identity in staying and _imports_library(step):
            return Reason("imports", "$environ", writer.line, _head(writer))
        if index in is_dirty and prints[index].firm & _BEFORE_IMPORTS:
            writer = step
    return None


def _imports_library(step: Step) -> bool:
    loaded = {path.split(".")[0] for path in step.facts.loads} - step.modules
    loaded |= step.imported.libraries
    return any(not is_standard(module) for module in loaded)


def _readable(names: int, made: Collection[str], used: Collection[str]) -> str:
    """The name that carried it: one that the cause made and the step uses, if any did.

    Of names that share parts each is hit; a person's own name comes before a resource.
    """
    found = sorted(names_in(names), key=lambda n: (n[:1] == "$", n not in made, n not in used, n))
    return found[0] if found else ""


def _label(step: Step) -> str:
    return step.names[0] if step.names else _head(step)


def _head(step: Step) -> str:
    """The step's first line, cut where it is long."""
    line = step.statement.text.split("\n")[0].rstrip()
    return line if len(line) <= 60 else line[:59] + "…"
