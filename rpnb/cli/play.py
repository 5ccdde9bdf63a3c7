"""Run jobs one after the other on one worker, and show how they go."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from ..errors import LinkLost, ProgramError
from ..session import updates
from ..session.away import sentence
from ..session.logs import Lost, hole
from ..session.pretty import shown
from ..session.result import Result
from ..transport.text import harmless

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..program.steps import Program
    from ..session.run import Run
    from ..session.session import Session
    from .progress import Progress


# How long a job that is left is waited for where there is no link.
_LEAVE = 10.0


def play(
    session: Session,
    program: Program,
    job: Mapping[str, Any],
    *,
    progress: Progress,
    timeout: float | None = None,
) -> Result:
    """Return what came of the job; a set-up step that raised is a FAILED job, too.

    Raises:
        ProgramError: the worker's Python cannot read the program.
    """
    run = session.submit(program, job=job, timeout=timeout)
    try:
        return _follow(run, str(job["id"]), progress)
    except KeyboardInterrupt:
        # As often it comes while an update is shown, and the job knows nothing of it.
        progress.line(_left(run))
        raise


def _left(run: Run) -> str:
    """Cancel a run that goes on, wait for its end, and return what a person is told."""
    try:
        run.leave(_LEAVE)
    except LinkLost as error:
        return str(error)
    return "cancelled"


def _follow(run: Run, job: str, progress: Progress) -> Result:
    result: Result | None = None
    for update in run.watched():
        if isinstance(update, updates.Finished):
            result = update.result
        elif isinstance(update, updates.Failed):
            result = result or _failed(update, job)
        else:
            _show(update, progress)
    return result or Result(job, "FAILED", problem="the request ended without a result")


def _show(update: updates.Update, progress: Progress) -> None:
    if isinstance(update, updates.Logged):
        progress.log(update.text)
    elif isinstance(update, updates.LeftOut):
        progress.log(hole(Lost(update.size_bytes, None)))
    elif isinstance(update, updates.Waiting):
        progress.line(update.text)
    elif isinstance(update, updates.Planned) and update.restart:
        progress.line(f"the worker restarts: {update.restart}")
    elif isinstance(update, updates.Planned) and update.run:
        progress.now("set-up")
    elif isinstance(update, updates.Synced):
        for note in update.notes:
            progress.line(note)
    elif isinstance(update, updates.JobStarted):
        progress.now(f"job {update.job}")
    elif isinstance(update, updates.Progressed):
        progress.line(f"progress: {shown(update.value)}")
    elif isinstance(update, updates.LinkChanged):
        _show_link(update, progress)


def _show_link(changed: updates.LinkChanged, progress: Progress) -> None:
    text = sentence(changed)
    progress.now(text)
    if changed.is_news:
        progress.line(text)


def _failed(failed: updates.Failed, job: str) -> Result:
    raised = failed.exception
    where = f"{raised.where}: " if raised.where else ""
    if failed.phase == "plan":
        raise ProgramError(f"{where}{raised}")
    status = "CANCELLED" if failed.phase == "cancelled" else "FAILED"
    return Result(job, status, problem=f"{where}{raised}", exception=raised)


def report(result: Result, *, as_json: bool, label: str, progress: Progress) -> None:
    """Print the result: one JSON object a line, or the output below its line for people."""
    if as_json:
        print(json.dumps(result.to_dict(), ensure_ascii=False), flush=True)
        return
    sys.stdout.flush()
    progress.line(line(result, label))
    if result.left_out:
        progress.line(result.shortfall)
    if result.stream and not result.output:
        for chunk in result.stream:
            print(_plain(chunk))
    if result.output is not None and not (result.stream and result.output == []):
        print(_plain(result.output), flush=True)


def line(result: Result, label: str) -> str:
    """Return the one line of a result, the target first."""
    seconds = result.metrics.get("seconds")
    time = f" {seconds:.2f} s" if isinstance(seconds, (int, float)) else ""
    if result.ok:
        count = len(result.stream) + result.left_out.get("stream", 0)
        chunks = f" │ {count} chunks" if count else ""
        return f"{label} │ job {result.id} │ ✓{time}{chunks}"
    return f"{label} │ job {result.id} │ ✗ {result.status}{time} │ {reason(result)}"


def reason(result: Result) -> str:
    """Return why a job did not complete, on one line."""
    if result.exception is not None:
        where = f" — {result.exception.where}" if result.exception.where else ""
        return f"{result.exception}{where}".replace("\n", " ")
    return _plain(result.problem or result.error).replace("\n", " ")


def _plain(value: Any) -> str:
    """A short text as it is, so that a stream of words reads as one; else JSON."""
    text = shown(value)
    is_whole = text == json.dumps(value, ensure_ascii=False)
    return harmless(value if isinstance(value, str) and is_whole else text)
