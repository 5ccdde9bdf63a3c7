"""The cold check: the same program in a fresh process, on the same jobs, compared."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import RemoteError
from ..session.updates import Failed, Finished, JobStarted, Synced
from .compare import results_differ
from .state import names_that_differ

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
    `cold_start_seconds` runs from nothing to the first job's start.
    """

    equal: int
    total: int
    differences: tuple[str, ...]
    cold_start_seconds: float

    @property
    def proved(self) -> bool:
        """Whether every job was equal, and there was one."""
        return self.equal == self.total > 0

    @property
    def summary(self) -> str:
        """One line, such as "verified: 4 of 4 recorded jobs equal in a fresh process …"."""
        jobs = "job" if self.total == 1 else "jobs"
        head = "verified" if self.proved else "not proved"
        return (
            f"{head}: {self.equal} of {self.total} recorded {jobs} equal in a fresh process "
            f"(cold start {self.cold_start_seconds:.1f} s)"
        )


def verify(
    session: Session,
    program: Program,
    recorded: Sequence[Recorded],
    *,
    on_progress: Callable[[str], None] | None = None,
) -> Verified:
    """Run the recorded jobs in a fresh worker beside the session's own, and compare.

    The fresh worker is stopped at the end. A job that kills it counts as
    different, and the next one gets another.

    Raises:
        RemoteError: a step raised there, so that no job could run.
        TargetError: the fresh worker could not be started.
    """
    differences: list[str] = []
    began = time.monotonic()
    fresh = session.beside("verify")
    try:
        if fresh.adopted is not None:
            # Left over from a check that was cut off: it is not fresh.
            fresh.restart()
            began = time.monotonic()
        cold_start = 0.0
        for number, (job, expected) in enumerate(recorded, 1):
            if on_progress is not None:
                on_progress(f"verifying job {number} of {len(recorded)}")
            got, started = _again(fresh.submit(program, job=job))
            cold_start = cold_start or started - began
            found = results_differ(expected, got)
            if found:
                differences.append(f"job {expected.id}: {found}")
        names = names_that_differ(session, fresh) if differences else []
    finally:
        fresh.stop()
    total, differing = len(recorded), len(differences)
    if names:
        differences.append(f"state that differs: {', '.join(names)}")
    return Verified(total - differing, total, tuple(differences), cold_start)


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
