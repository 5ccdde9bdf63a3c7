"""The cold check: the same program in a fresh process, on the same jobs, compared."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import RemoteError
from ..session.updates import Failed, Finished, JobStarted, Synced
from .compare import results_differ
from .room import fits_beside
from .state import digests, names_that_differ

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..program.steps import Program
    from ..session.result import Result
    from ..session.run import Run
    from ..session.session import Session

Recorded = tuple["Mapping[str, Any]", "Result"]


@dataclass(frozen=True)
class Verified:
    """How many recorded jobs had equal results in a fresh process.

    `differences` has one line for each job that did not: its id, and where the
    two results first differ; then one with the names whose values differ.
    `cold_start_seconds` runs from nothing to the first job's start. `replaced` says that
    the fresh process is the session's worker now: both models found no room beside each other.
    """

    equal: int
    total: int
    differences: tuple[str, ...]
    cold_start_seconds: float
    replaced: bool = False

    @property
    def proved(self) -> bool:
        """Whether every job was equal, and there was one."""
        return self.equal == self.total > 0

    @property
    def summary(self) -> str:
        """One line, such as "verified: 4 of 4 recorded jobs equal in a fresh process …"."""
        jobs = "job" if self.total == 1 else "jobs"
        head = "verified" if self.proved else "not proved"
        place = "; it is the warm one now" if self.replaced else ""
        return (
            f"{head}: {self.equal} of {self.total} recorded {jobs} equal in a fresh process "
            f"(cold start {self.cold_start_seconds:.1f} s{place})"
        )


def verify(
    session: Session,
    program: Program,
    recorded: Sequence[Recorded],
    *,
    on_progress: Callable[[str], None] | None = None,
) -> Verified:
    """Run the recorded jobs in a fresh process and compare.

    It is a worker beside the session's own, stopped at the end. Where the GPU has no room
    for both, the session's own ends first, and the fresh process takes its place. A job that
    kills it counts as different, and the next one gets another.

    Raises:
        RemoteError: a step raised there, so that no job could run.
        TargetError: the fresh worker could not be started.
    """
    tell = on_progress or (lambda _text: None)
    replaces = bool(recorded) and not fits_beside(session)
    if replaces:
        tell("the GPU has no room for two: the warm worker ends, and the fresh one takes its place")
    # Once it has ended nobody can ask it.
    before = digests(session) if replaces else None
    began = time.monotonic()
    fresh = _fresh(session, replaces=replaces)
    try:
        checked = _check(fresh, program, recorded, tell)
        there = digests(fresh) if checked.differences else {}
    finally:
        if not replaces:
            fresh.stop()
    differences = list(checked.differences)
    if differences:
        names = names_that_differ(before if before is not None else digests(session), there)
        differences += [f"state that differs: {', '.join(names)}"] if names else []
    total = len(recorded)
    seconds = checked.started - began if checked.started else 0.0
    equal = total - len(checked.differences)
    return Verified(equal, total, tuple(differences), seconds, replaces)


def _fresh(session: Session, *, replaces: bool) -> Session:
    """A session on a fresh process; one that was left over from a check cut off is none."""
    fresh = session if replaces else session.beside("verify")
    if replaces or fresh.adopted is not None:
        fresh.restart()
    return fresh


@dataclass(frozen=True)
class _Checked:
    """What differed, and when the first job started; 0 without one."""

    differences: tuple[str, ...]
    started: float


def _check(
    fresh: Session, program: Program, recorded: Sequence[Recorded], tell: Callable[[str], None]
) -> _Checked:
    differences, first = [], 0.0
    for number, (job, expected) in enumerate(recorded, 1):
        tell(f"verifying job {number} of {len(recorded)}")
        got, started = _again(fresh.submit(program, job=job))
        first = first or started
        found = results_differ(expected, got)
        if found:
            differences.append(f"job {expected.id}: {found}")
    return _Checked(tuple(differences), first)


def _again(run: Run) -> tuple[Result, float]:
    """The run's result, and when its job started (or when the namespace was ready)."""
    result, started = None, time.monotonic()
    for update in run.watched():
        if isinstance(update, (Synced, JobStarted)):
            started = time.monotonic()
        elif isinstance(update, Finished):
            result = update.result
        elif isinstance(update, Failed) and result is None:
            where = f" ({update.exception.where})" if update.exception.where else ""
            raise RemoteError(
                f"in a fresh process the program failed: {update.exception}{where}",
                update.exception,
            )
    if result is None:
        raise RemoteError("in a fresh process the job ended without a result")
    return result, started
