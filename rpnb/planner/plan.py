"""The plan: what to drop, what to run, what to restore, whether to start anew, and why.

How a worker uses it::

    while True:
        todo = plan(executed, steps(text, modules), kinds=watch.kinds,
                    models=models(namespace), job_writes=job_writes)
        if todo.restart: leave; the fresh worker has nothing executed
        if todo.is_settled: executed = [executed[old] for _, old in todo.keep]; break
        restore each of todo.restore, set back todo.unset
        watch.drop(todo.drop); free memory; purge todo.purge
        executed = [executed[old] for old in sorted(old for _, old in todo.keep)]
        job_writes = todo.job_writes
        executed += one Executed for each step that it runs now, until one raises

and then runs the `always` steps. It asks again because a step may show, when it
runs, effects that its text did not show (`exec`, `import *`, a library that sets
`os.environ`). `executed` is in the order in which the steps ran; once a plan is
settled, the order of the program is as good, and that is what `keep` gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Collection, Iterable, Iterator, Mapping, Sequence

from .answers import Answers
from .causes import Causes
from .constants import Constants
from .effects import RANDOM, WORLD
from .footprints import Footprint, Footprints
from .halves import half_written
from .kinds import RANK
from .local import Local
from .masks import mask_of, module_mask, names_in, resource_mask
from .matching import binders, edited_classes, match, may_repeat
from .names import Names
from .outlines import told_anew
from .parts import fixed, unchanging
from .reasons import Reason
from .served import (
    STATE,
    JobWrite,
    Modules,
    Moved,
    is_left,
    is_state,
    looked_up,
    mentioning,
    served,
    set_by_jobs,
    settings_of_libraries,
    stands,
)
from .spared import Spared, kind_kept
from .spread import Hit, Spread
from .steps import Executed, Settings, Step, is_known, settings, steps

__all__ = [
    "STATE",
    "Executed",
    "JobWrite",
    "Local",
    "Modules",
    "Moved",
    "Plan",
    "Reason",
    "Rerun",
    "Step",
    "fixed",
    "half_written",
    "is_known",
    "is_state",
    "mentioning",
    "plan",
    "served",
    "set_by_jobs",
    "settings",
    "settings_of_libraries",
    "steps",
    "unchanging",
]


_NOTHING = Footprint(0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Rerun:
    """Step `index` of the new program is to be run, because of `reason`."""

    index: int
    reason: Reason


@dataclass(frozen=True)
class Plan:
    """What makes the warm namespace equal to a fresh process; apply it in this order."""

    # Not None: start a new worker; nothing else of the plan counts.
    restart: Reason | None = None
    # Names to delete first, before anything is loaded.
    drop: frozenset[str] = frozenset()
    # Local modules to remove from sys.modules, with their submodules and what they import.
    purge: frozenset[str] = frozenset()
    # Resource -> index in `executed`: restore to what was probed before that step ran; the
    # index behind the last stands for the jobs.
    restore: Mapping[str, int] = field(default_factory=dict)
    # Attributes (`pipe.scheduler`) that jobs have set: set them back.
    unset: frozenset[str] = frozenset()
    # Steps to run, in order.
    run: tuple[Rerun, ...] = ()
    # (index in the new program, index in `executed`) of the steps that stay warm.
    keep: tuple[tuple[int, int], ...] = ()
    # Writes of jobs that still stand; pass them to the next plan.
    job_writes: tuple[JobWrite, ...] = ()
    # Of the steps that stay warm: classes whose edited methods take their places in them.
    swapped: tuple[Rerun, ...] = ()
    # New indexes whose pragma changed the plan, for the person's line.
    obeyed: tuple[int, ...] = ()

    @property
    def is_settled(self) -> bool:
        """Nothing is left to do but the steps that always run (`serverless.start`)."""
        undo = self.restart or self.drop or self.restore or self.purge or self.unset
        return not undo and all(r.reason.kind == "always" for r in self.run)


def plan(
    executed: Sequence[Executed],
    new: Sequence[Step],
    *,
    kinds: Mapping[str, str],
    models: Mapping[str, Collection[str]] | None = None,
    job_writes: Sequence[JobWrite] = (),
    local: Sequence[Local] = (),
    settled: int | None = None,
) -> Plan:
    """Return what to do so that the namespace is what a fresh run of `new` would make.

    `kinds` is `Watch.kinds`, `models` is `known.models(namespace)` with what is
    `parts.unchanging` of them, `local` are the
    local modules as they were when `executed` ran and as they are now. The first
    `settled` of `executed` (default: all) ran before the jobs of `job_writes`.
    """
    count = len(executed) if settled is None else settled
    return _Planning(executed, new, kinds, models or {}, job_writes, local, count).plan()


class _Planning:
    """One plan in the making."""

    def __init__(
        self,
        executed: Sequence[Executed],
        new: Sequence[Step],
        kinds: Mapping[str, str],
        models: Mapping[str, Collection[str]],
        job_writes: Sequence[JobWrite],
        local: Sequence[Local],
        settled: int,
    ) -> None:
        # A start step has no effects: it is no part of the spreading.
        self.executed, self.new, self.jobs = executed, new, list(job_writes)
        self.settled = settled
        self.kinds = kinds
        every = [*(e.step.facts for e in executed), *(step.facts for step in new)]
        unique = list({id(facts): facts for facts in every}.values())
        self._seen_binds = frozenset[str]().union(*(e.binds for e in executed))
        self.names = Names(unique, local, _stars(executed), self._seen_binds)
        self.constants = Constants(self.names)
        self.match = match(executed, new)
        self.edited = edited_classes(executed, new, self.match, self.names)
        self.edited.update(told_anew(executed, new, self.match, self.names))
        self.match.update({j: i for j, (i, _) in self.edited.items()})
        self.observed = [self._observed(e) for e in executed]
        self._every_step = [*(e.step for e in executed), *new]
        # What a comment calls pure.
        said = (step for step in self._every_step if "pure" in step.statement.pragmas)
        self._pure = {self.names.number(step.facts) for step in said}
        self._reached = looked_up(new) if job_writes else set[str]()
        self.unknown: set[str] = set()
        self.answers = Answers(self.names, executed, models)
        self._binders = binders(unique)
        self._idle = set(self._repeats())

    def plan(self) -> Plan:
        """Spread until the names whose values will be new are known, then write it down."""
        assumed = self._known_kinds(), self.answers.known(self.unknown)
        while True:
            spread = self._spread(*assumed)
            spread.run()
            binds = 0
            for j in spread.dirty:
                binds |= spread.new[j].binds
            self.unknown |= {n for n in names_in(binds) if not n.startswith("$")}
            # Names that get a new value of the kind that they had change nothing.
            known = self.answers.known(self.unknown)
            before, assumed = assumed, (self._known_kinds(), known)
            if assumed == before:
                return self._written(spread)

    def _repeats(self) -> Iterator[int]:
        """Steps that are gone, and only imported once more what one that stands had imported.

        Of names that nothing but this import ever binds, they made nothing.
        """
        stands = {
            self.executed[i].step.identity: i for i in sorted(self.match.values(), reverse=True)
        }
        for i in set(range(len(self.executed))) - set(self.match.values()):
            e = self.executed[i]
            facts, first = e.step.facts, stands.get(e.step.identity, i)
            if first >= i or not may_repeat(e) or e.step.imported.identity or not e.ok or e.writes:
                continue
            others = [o.binds for o in self.executed if o.step.facts is not facts]
            others += [job.binds | job.changes for job in self.jobs]
            if all(len(self._binders[n]) == 1 for n in facts.binds) and not any(
                facts.binds & binds for binds in others
            ):
                yield i

    def _unset(self, new: Sequence[Footprint]) -> dict[int, Hit | None]:
        """Kept steps that look at what local modules set now otherwise than when they ran."""
        found: dict[int, Hit | None] = {}
        now = settings(())
        for j, step in enumerate(self.new):
            then = self.executed[self.match[j]].settings if j in self.match else now
            names = new[j].reads & _parted(then, now)
            if names:
                found[j] = self._setter(names)
            now += settings([step])
        return found

    def _setter(self, names: int) -> Hit | None:
        """The import that sets one of these resources: one that changed, if any did.

        None where it was undone before, and something failed since then.
        """
        matched = set(self.match.values())
        every = [(j in self.match, False, j, step) for j, step in enumerate(self.new)]
        every += [(i in matched, True, i, e.step) for i, e in enumerate(self.executed)]
        setters = [each for each in every if resource_mask(each[3].imported.again) & names]
        if not setters:
            return None
        _, is_old, cause, _ = min(setters, key=lambda each: each[:3])
        return Hit(names, cause, is_old)

    def _observed(self, executed: Executed) -> int:
        facts = executed.step.facts
        if facts.is_start or facts.is_inert:
            return 0
        seen, made = executed.writes, mask_of(executed.binds) | module_mask(executed.modules)
        if not seen:
            return made
        if facts.imports and not facts.has_calls:
            # What a library sets while it is imported goes with the library.
            local = executed.step.imported
            seen &= {WORLD} | (RANDOM | local.writes if local.identity else set())
        found = resource_mask(seen)
        found &= ~resource_mask(RANDOM) | self.names.seeded
        return found | made

    def _spread(self, kinds: Mapping[str, str], known: Collection[int]) -> Spread:
        prints = Footprints(
            self.names,
            kinds,
            self._pure,
            known,
            self.answers.fixed(self.unknown),
            self.constants,
            self.answers.plain(self.unknown),
            self.answers.unchanged,
        )
        number = self.names.number
        ran, come = _sets(e.step for e in self.executed), _sets(self.new)
        old = [
            _NOTHING
            if e.did_nothing or i in self._idle
            else prints.widened(number(e.step.facts), seen | binds, reads, again)
            for i, (e, seen) in enumerate(zip(self.executed, self.observed))
            for binds, reads, again in [_imported(e.step, come, self.names.stored_modules)]
        ]
        same = {j: i for j, i in self.match.items() if self._is_same(j, i)}
        new = [
            old[same[j]]
            if j in same
            else prints.widened(number(step.facts), binds | self._seen(j), reads, again)
            for j, step in enumerate(self.new)
            for binds, reads, again in [_imported(step, ran, self.names.stored_modules)]
        ]
        jobs = [
            prints.of_job(job.functions, job.binds, job.changes, job.undone) for job in self.jobs
        ]
        self._spare(prints, (old, new), jobs)
        now, kept = settings(self.new), dict(self.match)
        for k, job in enumerate(self.jobs):
            is_unset = jobs[k].reads & _parted(job.settings, now)
            touched = names_in(jobs[k].binds | jobs[k].changes)
            is_lost = is_unset or is_left(job, touched, self._reached)
            if stands(job, self.new, self.kinds) and not is_lost:
                kept[len(new) + k] = len(old) + k
        fixed = [j for j, step in enumerate(self.new) if "keep" in step.statement.pragmas]
        order = [i if i < self.settled else i + len(jobs) for i in range(len(old))]
        order += range(self.settled, self.settled + len(jobs))
        has_settings = now or any(e.settings for e in self.executed)
        unset = self._unset(new) if has_settings else {}
        unset.update((place, hit) for place, hit in self._running_edited(prints) if place in kept)
        return Spread([*old, *jobs], [*new, *jobs], kept, fixed, order, unset)

    def _spare(
        self,
        found: Footprints,
        prints: tuple[list[Footprint], list[Footprint]],
        jobs: Sequence[Footprint],
    ) -> None:
        """Let readers of settings' fields not depend on what other fields are."""
        steps = [e.step for e in self.executed], self.new
        every = [*prints[0], *jobs], [*prints[1], *jobs]
        spared = Spared(steps, every, self.match, self.names.stand_for)
        for j, i in self.match.items():
            facts, unheld = self.new[j].facts, every[1][j].reads & found.unheld
            is_reader = unheld or self.executed[i].fixed
            if not is_reader or self.executed[i].step.facts is not facts:
                continue
            for name in {*self.executed[i].fixed, *names_in(unheld)}:
                taken = found.taken(self.names.number(facts), name)
                pair = spared.without(name, j, taken) if taken is not None else None
                if pair is not None:
                    for side, place, one in zip((0, 1), (i, j), pair):
                        prints[side][place] = every[side][place] = one

    def _is_same(self, j: int, i: int) -> bool:
        """Tell whether a matched step does what it did, whatever it imports."""
        ran, facts = self.executed[i], self.new[j].facts
        return ran.step.facts is facts and not (facts.loads or ran.did_nothing)

    def _running_edited(self, prints: Footprints) -> Iterator[tuple[int, Hit]]:
        """Yield the kept steps, and jobs behind them, that ran a method that is another now."""
        for j, (i, methods) in self.edited.items():
            facts = self.executed[i].step.facts, self.new[j].facts
            numbers = [self.names.number(each) for each in facts]
            hit = Hit(mask_of(self.new[j].facts.binds), j, is_old=False)
            for place, step in enumerate(self.new):
                number = self.names.number(step.facts)
                units = 0 if place == j or place not in self.match else prints.units(number)
                if not any(units & 1 << each for each in numbers):
                    continue
                found = self.names.methods(units, number)
                if any(not methods.isdisjoint(found.get(each, methods)) for each in numbers):
                    yield place, hit
            for k, job in enumerate(self.jobs):
                if any(self.names.code(job.functions) & 1 << each for each in numbers):
                    yield len(self.new) + k, hit

    def _seen(self, j: int) -> int:
        return self.observed[self.match[j]] if j in self.match else 0

    def _known_kinds(self) -> dict[str, str]:
        """Kinds now; a name that gets a new value has the kind that its text shows, if any."""
        kinds = dict(self.kinds)
        for name in self.unknown:
            before = self.kinds.get(name, "imm")
            shown = self._shown_kind(name)
            if shown is None and name in self.kinds:
                kept = kind_kept(name, self._every_step, self.names.stand_for)
                shown = before if kept == "" else kept
            if shown is None:
                kinds.pop(name, None)
            else:
                kinds[name] = shown if RANK[shown] >= RANK[before] else before
        return kinds

    def _shown_kind(self, name: str) -> str | None:
        every = (self.names.every[place] for place in self._binders.get(name, ()))
        shown = {self.names.kind_of(facts.kinds.get(name)) for facts in every}
        return shown.pop() if len(shown) == 1 else None

    def _written(self, spread: Spread) -> Plan:
        count = len(self.new)
        causes = Causes(self.executed, self.new, self.jobs, spread)
        restart = causes.restart()
        if restart and not self._held(spread):
            run = tuple(Rerun(j, restart) for j in range(count))
            return Plan(restart=restart, run=run)
        steps = [e.step for e in self.executed]
        gone = [i for i in spread.gone if i < len(steps) and not steps[i].facts.is_start]
        keep = tuple((j, i) for j, i in sorted(spread.kept.items()) if j < count)
        return Plan(
            drop=self._dropped(spread),
            purge=self._purged(spread, gone),
            restore=self._restore(spread, gone),
            unset=frozenset[str]().union(*(job.sets for job in self._lost(spread))),
            run=tuple(Rerun(j, causes.of(j)) for j in spread.dirty if j < count),
            keep=keep,
            job_writes=tuple(job for k, job in enumerate(self.jobs) if count + k in spread.kept),
            swapped=tuple(
                Rerun(j, Reason("method", "`, `".join(sorted(methods) or self.new[j].names)))
                for j, (_, methods) in sorted(self.edited.items())
                if j in spread.kept
            ),
            obeyed=tuple(j for j in range(count) if self._is_obeyed(j, spread)),
        )

    def _purged(self, spread: Spread, gone: Sequence[int]) -> frozenset[str]:
        """What undone steps imported, or may have when they were called, and no kept one has."""
        kept = [self.executed[i] for j, i in spread.kept.items() if j < len(self.new)]
        used = frozenset[str]().union(*(each.modules for each in kept))
        used = used.union(*(e.step.imported.reached for e in kept if e.step.facts.loads))
        undone = [self.executed[i] for i in gone]
        found = frozenset[str]().union(*(each.modules for each in undone))
        parts = (each.step.imported for each in undone)
        found = found.union(*(part.modules | part.setters for part in parts)) - used
        binds = (name for job in self._lost(spread) for name in job.binds)
        return found | {name[len(STATE) :] for name in binds if is_state(name)}

    def _held(self, spread: Spread) -> set[str]:
        """Names that `# rpnb: keep` holds on to."""
        held = set[str]()
        for j, i in spread.kept.items():
            if j < len(self.new) and "keep" in self.new[j].statement.pragmas:
                held |= self.new[j].facts.binds | self.executed[i].binds
        return held

    def _dropped(self, spread: Spread) -> frozenset[str]:
        drop = set[str]()
        for i in spread.gone:
            drop |= {n for n in names_in(spread.old[i].binds) if not n.startswith("$")}
        bound = {name for step in self.new for name in step.facts.binds}
        for e in self.executed:
            # A start step binds `runpod` at most, which others may bind, too.
            drop |= e.step.facts.binds - bound if e.step.facts.is_start else set()
        # `exec` may bind anything; what every module has of itself was not its work.
        own = {name for name in drop - self._seen_binds if self.names.is_builtin(name)}
        return frozenset(drop - own - self._held(spread))

    def _restore(self, spread: Spread, gone: Sequence[int]) -> dict[str, int]:
        """Each resource goes back to what it was before the first undone step that wrote it."""
        seeded = {n[1:] for n in names_in(self.names.seeded)}
        found: dict[str, int] = {}
        writes = [(i, self.executed[i].writes - {WORLD}) for i in gone]
        place = sum(i < self.settled for i in gone)
        for job in self._lost(spread):
            writes.insert(place, (len(self.executed), job.resources))
        for i, resources in writes:
            for resource in resources:
                if resource not in RANDOM or resource in seeded:
                    found.setdefault(resource, i)
        return found

    def _lost(self, spread: Spread) -> list[JobWrite]:
        """Writes of jobs that do not stand any more."""
        return [j for k, j in enumerate(self.jobs) if len(self.new) + k not in spread.kept]

    def _is_obeyed(self, j: int, spread: Spread) -> bool:
        """`pure` counts wherever it stands, `keep` where something else wanted a reload."""
        pragmas = self.new[j].statement.pragmas
        return "pure" in pragmas or ("keep" in pragmas and j in spread.held)


def _parted(then: Settings, now: Settings) -> int:
    """The resources of which local modules set something else, or in another order."""
    return 0 if then == now else resource_mask(r for _, again in (*then, *now) for r in again)


def _sets(steps: Iterable[Step]) -> frozenset[str]:
    """Library calls at the top of local modules: made again unchanged, they change nothing."""
    return frozenset[str]().union(*(step.imported.sets for step in steps if step.facts.loads))


def _imported(step: Step, others: Collection[str], stored: Collection[str]) -> tuple[int, int, int]:
    """Return what a step binds, reads and binds `again` by importing local modules.

    Two steps that import the same one depend on each other: both get it anew. What the
    program has `stored` into one, another may look at while it is imported.
    """
    found = step.imported
    if not step.facts.loads or not found.identity:
        return 0, 0, 0
    binds = module_mask(found.modules) | resource_mask(found.writes)
    again = resource_mask(found.again)
    if not found.sets <= set(others):
        binds, again = binds | again, 0
    reads = resource_mask(found.reads)
    return binds, reads | module_mask(found.reached.intersection(stored)), again


def _stars(executed: Sequence[Executed]) -> dict[str, str]:
    """Names that `from module import *` bound -> what they stand for."""
    return {
        name: f"{each.step.facts.imports['*'][:-2]}.{name}"
        for each in executed
        if "*" in each.step.facts.imports
        for name in each.binds
    }
