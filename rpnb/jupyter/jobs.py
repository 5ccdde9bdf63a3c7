"""One job of this notebook: which input, run and drawn, remembered, and its failure raised."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import JobFailed, ProgramError, RpnbError
from ..session import pretty
from . import display, lines
from .inputs import Chosen, whole_job
from .running import Outcome, follow

if TYPE_CHECKING:
    from ..program.steps import Program
    from ..session.history import PastJob
    from ..session.result import Result
    from ..session.run import Run
    from .notebook import Notebook
    from .screen import Screen

# Of what an exception or a handler says, this much stands on the line.
_LONGEST_REASON = 200


def run_job(
    notebook: Notebook,
    program: Program,
    chosen: Chosen,
    screen: Screen,
    *,
    timeout: float | None = None,
    remember: bool = True,
    notes: Sequence[str] = (),
) -> Result:
    """Run one input through the handler, drawn as it goes; return what came of it.

    The next handler cell runs the input again, unless not `remember`. `notes` are
    told before.

    Raises:
        RemoteError: a set-up step raised. A failed job is in the result.
    """
    from .connecting import attached

    session = attached(notebook)
    job, note = whole_job(chosen.value)
    if note:
        screen.line((notebook.target, note))
    screen.lead((notebook.target, "handler", f"running · input: {chosen.source}"), final=False)
    tell(notebook, notes, screen)
    run = session.submit(program, job=job, timeout=timeout)
    result = watch_job(notebook, run, job, chosen.source, screen)
    if remember:
        notebook.remember(job)
    return result


def tell(notebook: Notebook, notes: Sequence[str], screen: Screen) -> None:
    """Draw what the person should know of cells that came and went, and a program's notes.

    What is to be said of a line of another cell was said when that cell ran.
    """
    others = tuple(
        f"{cell.label}, line " for cell in notebook.cells if cell.label != notebook.label
    )
    for note in (*notebook.cells.told(), *(each for each in notes if not each.startswith(others))):
        screen.line((note,))


def watch_job(
    notebook: Notebook,
    run: Run,
    job: Mapping[str, Any],
    source: str,
    screen: Screen,
    *,
    record: bool = True,
) -> Result:
    """Follow a job to its end: draw it, record it (unless not `record`), bind `_result`.

    Raises:
        RemoteError: it ended before the handler was called.
    """
    outcome = followed(notebook, run, screen)
    result = outcome.result
    if result is None:
        raise unfinished(notebook, outcome, screen, "handler")
    _draw(outcome, result, source, screen)
    if not result.ok:
        _tell_what_lacks(notebook, screen)
    if record:
        notebook.record_job(job, result)
    notebook.shell.user_ns["_result"] = result
    return result


def watch_past(notebook: Notebook, past: PastJob, screen: Screen) -> Result:
    """Follow a job that was begun before from its start, whether it has ended or not."""
    from ..session.attach import attach
    from .connecting import attached

    run = attach(attached(notebook), past.request)
    return watch_job(notebook, run, {"id": past.id}, "", screen, record=False)


def watch_quietly(notebook: Notebook, run: Run, job: Mapping[str, Any], screen: Screen) -> Result:
    """Follow a job called from Python: its log is shown, its result only returned.

    Raises:
        RemoteError: it ended before the handler was called.
        KeyboardInterrupt: Ctrl-C was pressed; the job is cancelled by then.
    """
    outcome = followed(notebook, run, screen)
    if outcome.interrupted:
        raise KeyboardInterrupt
    if outcome.result is None:
        raise unfinished(notebook, outcome, screen, "handler")
    notebook.record_job(job, outcome.result)
    notebook.shell.user_ns["_result"] = outcome.result
    return outcome.result


def followed(notebook: Notebook, run: Run, screen: Screen) -> Outcome:
    """Draw a run to its end; return its outcome, of which note was taken."""
    outcome = follow(run, screen, notebook.target)
    if outcome.left_out and notebook.session is not None:
        where = notebook.session.info.get("directory", "")
        screen.line(lines.left_out(notebook.target, outcome.left_out, where))
    if outcome.result is not None and outcome.result.left_out:
        screen.line((notebook.target, outcome.result.shortfall))
    settle(notebook, outcome, run.request)
    return outcome


def settle(notebook: Notebook, outcome: Outcome, request: str) -> None:
    """Take over what a run said of the worker: its names, and what is warm."""
    if outcome.result is not None or outcome.failed is not None:
        notebook.memory.saw(request)
    if outcome.is_unsent:
        notebook.cells.take_back()
    if outcome.is_gone:
        notebook.renewed()
    if outcome.synced is None:
        return
    if notebook.base is not None:
        notebook.reasons.note(outcome.plans, notebook.base)
    notebook.kept, notebook.gpus = outcome.kept, list(outcome.synced.gpus)
    notebook.cells.fared.update(outcome.synced.cells)
    if outcome.synced.cells:
        # The worker's program is this notebook's now.
        notebook.memory.forget("dropped")
    if notebook.session is not None:
        notebook.session.names = outcome.synced.names


def unfinished(notebook: Notebook, outcome: Outcome, screen: Screen, what: str) -> RpnbError:
    """Draw the line of a run that came to nothing; return the error that stands for it."""
    from ..errors import RemoteError
    from ..program.skew import unread
    from ..session.session import raised

    target = outcome.target
    if outcome.failed is None:
        screen.lead((target, what, "the run ended without a result"))
        return RemoteError("the run ended without a result")
    if outcome.is_unsent:
        screen.lead(lines.not_reloaded(target, notebook.kept))
        return RemoteError("cancelled before the reload")
    if outcome.failed.phase == "cancelled":
        screen.lead(_cut_short(outcome))
        return RemoteError("cancelled")
    exception = outcome.failed.exception
    reason = reason_of(exception.type, exception.message, exception.where)
    screen.lead((target, what, f"✗ failed after {outcome.seconds:.1f} s", reason))
    other = notebook.cells.get(outcome.failed.cell or "")
    if other is not None and other.label != notebook.label:
        drop = f"%runpod_drop {other.name or repr(other.label)}"
        screen.line((target, f"{other.label} is part of the program: mend it, or `{drop}`"))
    said = notebook.base and unread(notebook.base, exception.source, exception.message)
    if said:
        screen.line((target, said))
    else:
        _tell_what_lacks(notebook, screen)
    error = raised(outcome.failed)
    return ProgramError(str(error)) if outcome.failed.phase == "plan" else error


def _tell_what_lacks(notebook: Notebook, screen: Screen) -> None:
    """Name files that the program may have missed."""
    from ..program.data_files import left_behind

    program = notebook.base
    said = program and left_behind(program.text, program.files, notebook.folder)
    if said:
        screen.line((notebook.target, said))


def failure(result: Result) -> JobFailed:
    """Return the error of a job that did not complete; its traceback is the handler's own."""
    said = result.problem or result.error
    if result.exception is not None:
        where = result.exception.where
        return JobFailed(f"{result.exception}{f' ({where})' if where else ''}", result)
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    return JobFailed(text if said is not None else f"the job ended {result.status}", result)


def reason_of(kind: str, message: str, where: str | None) -> str:
    """One line on an exception: "KeyError 'prompt' — cell 6, line 3"."""
    plain = kind.removeprefix("<class '").removesuffix("'>").rpartition(".")[2]
    first = (message.splitlines() or [""])[0][:_LONGEST_REASON]
    return f"{plain} {first}".strip() + (f" — {where}" if where else "")


def _draw(outcome: Outcome, result: Result, source: str, screen: Screen) -> None:
    screen.lead(_line(outcome, result, source))
    for bundle in display.result_bundles(result):
        screen.draw(bundle)
    size = lines.json_size(result.size_bytes)
    if size:
        screen.line((outcome.target, size))


def _plain(said: Any) -> str:
    """A sentence as it is, up to its first line's end; any other error as JSON."""
    if isinstance(said, str) and said:
        return said.splitlines()[0][:_LONGEST_REASON]
    return pretty.shown(said)


def _cut_short(outcome: Outcome, why: str = "cancelled") -> lines.Line:
    if outcome.is_gone:
        return lines.killed(outcome.target, outcome.chunks, why)
    return lines.cancelled(outcome.target, outcome.chunks, outcome.kept, why)


def _line(outcome: Outcome, result: Result, source: str) -> lines.Line:
    if result.ok:
        inside = float(result.metrics.get("seconds") or 0.0)
        times = lines.Times(outcome.seconds, inside, outcome.setup_seconds)
        warm = " · ".join(
            part for part in (lines.keeping(outcome.stayed), lines.reran(outcome.reran)) if part
        )
        return lines.completed(outcome.target, times, warm, source)
    if result.status == "CANCELLED":
        return _cut_short(outcome, result.problem or "cancelled")
    exception = result.exception
    if exception is not None:
        reason = reason_of(exception.type, exception.message, exception.where)
    else:
        reason = _plain(result.problem or result.error)
    seconds = float(result.metrics.get("seconds") or outcome.seconds)
    return lines.failed(outcome.target, result.status, seconds, reason)
