"""What jobs have left in the process: it stands as long as the code that stored it."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Collection, Iterable, Sequence

from ..planner import kinds, plan
from ..planner.local import Local
from ..planner.plan import STATE, JobWrite, Modules, Step, is_state
from ..planner.torch_modules import top
from .worker_attributes import Attributes
from .worker_kept import Kept
from .worker_probe import Prober, Probes, differing
from .worker_release import are_plain
from .worker_running import Background


class Served:
    """The writes of jobs that still stand, and how the process was before them."""

    def __init__(self, watch: kinds.Watch, prober: Prober, background: Background) -> None:
        self._watch, self._prober, self._background = watch, prober, background
        self.writes: tuple[JobWrite, ...] = ()
        # The probed resources before the jobs whose writes stand.
        self.before: Probes = {}
        # The same when the last sync ended.
        self._calm: Probes = {}
        # Of the jobs that ran since the last plan: the step that registered their
        # handler, and the names that were bound while they ran.
        self._start: Step | None = None
        self._kept = Kept(watch.namespace)
        self._attributes = Attributes(watch.namespace)
        self._bound: frozenset[str] = frozenset()
        # What jobs of this process have set in libraries.
        self._set: frozenset[str] = frozenset()
        # Names that `taken_along` has returned.
        self._told: set[str] = set()

    def note(self, start: Step | None) -> None:
        """Note that a job has ended, and the step that registered its handler.

        What it wrote is worked out when it matters, at the next plan.
        """
        self._watch.look()
        self._bound |= self._watch.rebound()
        self._watch.mark()
        self._start = start or self._start

    def work_out(
        self, steps: Sequence[Step], local: Local, texts: Callable[[frozenset[str]], Modules]
    ) -> None:
        """Add to `writes` what the jobs since the last time have left; `steps` have run.

        `texts` gives the statements of the local modules that are asked for.
        """
        settings, found = plan.settings(steps), list[JobWrite]()
        if self._start is not None:
            self._set |= plan.settings_of_libraries(steps)
            written = differing(self._calm, self._prober.read())
            seen = self._bound | {f"${resource}" for resource in written}
            moved, new = self._kept.moved(local.tops())
            states = frozenset(name for each in moved for name in each.names | each.makers)
            near = new | {name[len(STATE) :] for name in filter(is_state, states)}
            found += plan.served(
                steps, self._start, self._watch.kinds, seen, moved, texts(near) if near else {}
            )
            found = [_with_importers(job, local) for job in found]
            found = [self._with_attributes(job) for job in found]
        for name in self._background.functions():
            # It stands as long as what it runs, and what may have started it.
            for each in {name, *plan.mentioning(steps, name)}:
                found.append(JobWrite(frozenset({each}), runs=name))
        found = [replace(job, settings=settings) for job in found]
        self.writes = tuple(dict.fromkeys([*self.writes, *found]))
        self._start, self._bound = None, frozenset()

    def lost_setting(self, steps: Sequence[Step]) -> str | None:
        """Return what jobs set in a library and those of `steps` would not, if there is any."""
        return (
            min(self._set - plan.settings_of_libraries(steps), default=None) if self._set else None
        )

    def lost_runs(self, kept: Iterable[JobWrite]) -> set[str]:
        """Functions that jobs left running, and that do not stand any more."""
        return {write.runs for write in {*self.writes} - {*kept} if write.runs}

    def taken_along(
        self, kept: Iterable[JobWrite], undone: Collection[str], handler: Collection[str]
    ) -> list[str]:
        """Return the values that go for no other reason than that the handler filled them itself.

        `undone` are the names of the statements that go, `handler` what start() was given.
        Each name is returned once: a person who leaves it so knows.
        """
        gone = [(write, write.functions.intersection(undone)) for write in {*self.writes} - {*kept}]
        filled = {
            name
            for write, lost in gone
            if lost and lost <= {*handler}
            for name in write.binds | write.changes - write.undone
        }
        space = self._watch.namespace
        new = sorted((filled & space.keys()) - self._told - {*handler})
        found = [name for name in new if not are_plain([space[name]])]
        self._told.update(found)
        return found

    def rest(self, steps: Sequence[Step], start: Step | None, local: Local) -> None:
        """Note how things are before jobs run; what earlier jobs wrote still stands.

        `steps` have run, `start` is the one that registered the handler.
        """
        self._watch.mark()
        self._kept.mark(local.tops())
        sets = plan.set_by_jobs(steps, start, self._watch.kinds) if start else frozenset[str]()
        set_since = frozenset[str]().union(*(job.sets for job in self.writes))
        self._attributes.note(sets, set_since, local.tops())
        self._calm = self._prober.read()
        standing = {name[1:] for job in self.writes for name in job.binds}
        kept = {name: state for name, state in self.before.items() if name in standing}
        self.before = {**self._calm, **kept}

    def set_back(self, attributes: Iterable[str]) -> None:
        """Let attributes that jobs have set be what they were before."""
        self._attributes.set_back(attributes)

    def _with_attributes(self, job: JobWrite) -> JobWrite:
        """Of an object whose attributes cannot all be set back, none is."""
        lost = {top(path) for path in job.sets if path not in self._attributes}
        kept = (path for path in job.sets if top(path) not in lost)
        return replace(job, sets=frozenset(kept))

    def forgive_environment(self) -> None:
        """Whoever changed the environment just now, no job did."""
        self._calm = {**self._calm, "environ": self._prober.read()["environ"]}


def _with_importers(job: JobWrite, local: Local) -> JobWrite:
    """A module that was changed comes anew with those that have imported it."""
    states = {name[len(STATE) :] for name in job.binds if is_state(name)}
    if not states:
        return job
    near = [each for each in local.tops() if not states.isdisjoint(local.load(each).reached)]
    return replace(job, binds=job.binds | {STATE + each for each in near})
