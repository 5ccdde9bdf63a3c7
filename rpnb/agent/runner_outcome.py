"""What became of a job: what production would have posted, or why it would have posted nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from ..protocol.frames import MAX_BUFFERS
from .runner_lost import first_not_finite, first_unsendable
from .runner_sdk import Recording
from .worker_cancel import JobCancelled

# json.dumps writes these without quotes, and no JSON has them.
_NOT_FINITE = (b"NaN", b"Infinity")


@dataclass(frozen=True)
class Outcome:
    """How a job ended; `posted` is None where production would post nothing."""

    status: str
    posted: bytes | None = None
    problem: str | None = None
    error: BaseException | None = None
    stop: bool = False
    notes: tuple[str, ...] = ()
    # The exit code where production's worker process would have ended.
    exit_code: int | None = None


def refuse(job: Any) -> Outcome | None:
    """Return the outcome of what production's worker would not take as a job, None for a job."""
    if not isinstance(job, dict):
        return Outcome("FAILED", problem=f"a job is an object, and this is a {type(job).__name__}")
    missing = [key for key in ("id", "input") if key not in job]
    if missing:
        return Outcome(
            "FAILED", problem=f'the job has no "{missing[0]}": production\'s worker drops it'
        )
    return None


def judge(recording: Recording, raised: BaseException | None, *, cancelled: str | None) -> Outcome:
    """Return the outcome of a job whose `handle_job` returned, or raised `raised`.

    `cancelled` is why it was cancelled, None if nobody asked for it.
    """
    if isinstance(raised, SystemExit):
        return _left(f"the handler called sys.exit({_code_text(raised)})", _exit_code(raised))
    if isinstance(raised, KeyboardInterrupt) and not isinstance(raised, JobCancelled):
        return _left("the handler raised KeyboardInterrupt", 130)
    if recording.done is not None:
        return _sent(recording)
    if cancelled is not None and isinstance(raised, (JobCancelled, asyncio.CancelledError)):
        return Outcome("CANCELLED", problem=cancelled or None)
    return _lost(recording, raised)


def _left(what: str, code: int) -> Outcome:
    return Outcome(
        "FAILED", problem=f"{what}: production's worker ends without a result", exit_code=code
    )


def _sent(recording: Recording) -> Outcome:
    if recording.sent_to != recording.id:
        change = f"from {recording.id!r} to {recording.sent_to!r}"
        return Outcome(
            "FAILED",
            problem=f'the handler changed job["id"] {change}: '
            "production posts the result under that id, where nobody waits for it, "
            "and its worker takes no further job",
        )
    posted = recording.done or b""
    if len(posted) > MAX_BUFFERS:
        size = f"{len(posted) / 1e6:.0f} MB"
        return Outcome(
            "FAILED", problem=f"the result has {size} as JSON; RunPod takes 20 MB at most"
        )
    result = recording.result
    return Outcome(
        "FAILED" if "error" in result else "COMPLETED",
        recording.done,
        error=recording.error,
        stop=bool(result.get("stopPod")),
        notes=(*_lost_pieces(recording), *_not_finite(recording)),
    )


def _lost(recording: Recording, raised: BaseException | None) -> Outcome:
    return Outcome(
        "FAILED",
        problem=f"{_reason(recording, raised)}; production posts nothing, and the job never ends",
        error=raised if raised is not None and not recording.has_result else None,
        notes=_lost_pieces(recording),
    )


def _reason(recording: Recording, raised: BaseException | None) -> str:
    if isinstance(recording.job, dict) and "id" not in recording.job:
        return 'the handler removed job["id"]'
    if recording.has_result:
        if not isinstance(recording.id, str):
            return f"the job's id is {recording.id!r}, not a string"
        found = first_unsendable(recording.result)
        if found is not None:
            return str(found)
        said = recording.said[-1] if recording.said else ""
        return f"the result could not be sent ({raised or said})"
    if isinstance(raised, asyncio.CancelledError):
        return "the handler raised asyncio.CancelledError, which the SDK takes for a stop"
    if raised is None:
        return "the SDK sent no result"
    name, text = type(raised).__name__, str(raised)
    if isinstance(raised, Exception) and raised.__context__ is not None:
        # The SDK asks the handler's exception for its text, and that raised.
        return f"str() of the handler's {type(raised.__context__).__name__} raised {name}: {text}"
    if isinstance(raised, Exception):
        return f"the SDK failed with {name}: {text}"
    return (
        f"the handler raised {name}({text}), which is no Exception and which the SDK does not catch"
    )


def _lost_pieces(recording: Recording) -> tuple[str, ...]:
    notes = []
    for kind, value in recording.lost:
        posted = {"output": value} if kind == "progress" else value
        found = first_unsendable(posted)
        why = str(found) if found else "JSON cannot carry it"
        notes.append(f"production loses a {kind}: {why}")
    return tuple(notes)


def _not_finite(recording: Recording) -> tuple[str, ...]:
    if recording.done is None or not any(word in recording.done for word in _NOT_FINITE):
        return ()
    found = first_not_finite(recording.result)
    return (f"{found}: production posts it as it is, and that is not JSON",) if found else ()


def _exit_code(error: SystemExit) -> int:
    code: Any = error.code
    return code if isinstance(code, int) else 0 if code is None else 1


def _code_text(error: SystemExit) -> str:
    return "" if error.code is None else repr(error.code)
