"""What the relay writes into the journal for a worker that can no longer do it."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from . import death
from .directory import RunDirectory
from .journal import Journal
from .known import Trace
from .record import Record
from .requests import Request

_LAST_WORDS = 4000
_MOST_LINES, _LINE = 5, 200
# What the kernel said of a process's end is not older.
_LAST_SECONDS = 60.0


class Obituary:
    """The last events of one dead worker; only while no worker is alive.

    `prospect` is a sentence on what comes next, "" where that needs no word.
    """

    def __init__(
        self, directory: RunDirectory, record: Record, ended: dict[str, Any], prospect: str = ""
    ) -> None:
        self._record, self._ended, self._prospect = record, ended, prospect
        self._directory = directory
        self._journal = Journal(directory.journal)
        self._sizes = record.sizes()

    def exited(self, reason: str | None) -> None:
        """Write that the process ended."""
        self._append("exited", {**self._ended, "reason": reason}, None)

    def failed(self, request: str, trace: Trace | None, stopped: Request | None) -> None:
        """End a request: `stopped` is given where it was killed on demand."""
        if stopped is not None and stopped.cancel is not None:
            self._cancelled(request, trace, stopped.cancel.reason or "cancelled")
            return
        for job, began in list(trace.jobs.items()) if trace is not None else []:
            account = self._account(trace, f" in job {job!r}{_after(began)}")
            self._finished(request, job, "FAILED", account["message"], account)
        error = self._account(trace, "")
        self._append("failed", {"phase": "worker", "error": error, "cell": None}, request)

    def done(self, request: str) -> None:
        """End a request of the relay's own: a restart or a stop."""
        self._append("done", {}, request)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _cancelled(self, request: str, trace: Trace | None, text: str) -> None:
        for job in list(trace.jobs) if trace is not None else []:
            self._finished(request, job, "CANCELLED", text, None)
        error = {"type": "JobCancelled", "message": text, "frames": [], "traceback": []}
        self._append("failed", {"phase": "cancelled", "error": error, "cell": None}, request)

    def _account(self, trace: Trace | None, where: str) -> dict[str, Any]:
        """Return the death as an exception: what happened, and at which of the person's lines."""
        ended = self._ended
        frames = death.crash_frames(self._crash(), os.fspath(self._directory.app))
        parts = [f"{death.describe(ended, where or self._early())}."]
        parts += [text for text in (death.remedy(ended), self._prospect) if text]
        for text in self._kernel():
            parts.append(f"The kernel's log says: {text}")
        last = [line[:_LINE] for line in self._words(trace).splitlines() if line.strip()]
        if last:
            parts += ["Its last log lines:", *(f"    {line}" for line in last[-_MOST_LINES:])]
        return {
            "type": "WorkerDied",
            "message": "\n".join(parts),
            "frames": frames,
            "traceback": death.traceback(frames, parts[0]),
        }

    def _early(self) -> str:
        born = self._record.known.born
        was_born = born is not None and born["generation"] == self._ended["generation"]
        return "" if was_born else " before it was ready"

    def _crash(self) -> str:
        if self._ended.get("signal") is None:
            return ""
        with contextlib.suppress(OSError):
            return self._directory.crash.read_text("utf-8", "replace")
        return ""

    def _kernel(self) -> list[str]:
        if self._ended.get("signal") is None or not self._ended.get("pid"):
            return []
        # A clock that was set back while it lived must not hide its end.
        lived = max(time.time() - self._ended["since"], _LAST_SECONDS)
        return death.kernel_says(self._ended["pid"], lived)

    def _words(self, trace: Trace | None) -> str:
        """Return the end of what the worker wrote to its error log, within this request."""
        size = self._sizes["err"]
        first = trace.starts["err"] if trace is not None else 0
        start = max(first, size - _LAST_WORDS)
        return self._record.logs["err"].read(start, size - start).decode("utf-8", "replace")

    def _finished(self, request: str, job: str, status: str, problem: str, exception: Any) -> None:
        body = {"job": job, "status": status, "problem": problem, "exception": exception}
        self._append("finished", {**body, "stop": False, "metrics": {}}, request)

    def _append(self, kind: str, body: dict[str, Any], request: str | None) -> None:
        out, err = self._sizes["out"], self._sizes["err"]
        self._journal.append(kind, body, request=request, out=out, err=err)


def _after(began: float) -> str:
    """Return how long a job ran, "" where the clock was set back since."""
    seconds = time.time() - began
    return f", after {seconds:.0f} s" if seconds >= 0 else ""
