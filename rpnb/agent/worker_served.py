"""What jobs have left in the process: it stands as long as the code that stored it."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable, Sequence

from ..planner import kinds, plan
from ..planner.plan import JobWrite, Step
from .worker_probe import Prober, Probes, differing
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
        self._bound: frozenset[str] = frozenset()

    def note(self, start: Step | None) -> None:
        """Note that a job has ended, and the step that registered its handler.

        What it wrote is worked out when it matters, at the next plan.
        """
        self._watch.look()
        self._bound |= self._watch.rebound()
        self._watch.mark()
        self._start = start or self._start

    def work_out(self, steps: Sequence[Step]) -> None:
        """Add to `writes` what the jobs since the last time have left; `steps` have run."""
        settings, found = plan.settings(steps), list[JobWrite]()
        if self._start is not None:
            written = differing(self._calm, self._prober.read())
            seen = self._bound | {f"${resource}" for resource in written}
            found += plan.served(steps, self._start, self._watch.kinds, seen)
        for name in self._background.functions():
            # It stands as long as what it runs, and what may have started it.
            for each in {name, *plan.mentioning(steps, name)}:
                found.append(JobWrite(frozenset({each}), runs=name))
        found = [replace(job, settings=settings) for job in found]
        self.writes = tuple(dict.fromkeys([*self.writes, *found]))
        self._start, self._bound = None, frozenset()

    def lost_runs(self, kept: Iterable[JobWrite]) -> set[str]:
        """Functions that jobs left running, and that do not stand any more."""
        return {write.runs for write in {*self.writes} - {*kept} if write.runs}

    def rest(self) -> None:
        """Note how things are before jobs run; what earlier jobs wrote still stands."""
        self._watch.mark()
        self._calm = self._prober.read()
        standing = {name[1:] for job in self.writes for name in job.binds}
        kept = {name: state for name, state in self.before.items() if name in standing}
        self.before = {**self._calm, **kept}

    def forgive_environment(self) -> None:
        """Whoever changed the environment just now, no job did."""
        self._calm = {**self._calm, "environ": self._prober.read()["environ"]}
