"""What the relay writes into the journal for a worker that can no longer do it."""

from __future__ import annotations

from typing import Any

from .directory import RunDirectory
from .generation import describe
from .journal import Journal
from .record import Record, Trace
from .requests import Request

# The code with which a worker asks for a fresh one to take over.
RESTART = 75
_LAST_WORDS = 2000


class Obituary:
    """The last events of one dead worker; only while no worker is alive."""

    def __init__(self, directory: RunDirectory, record: Record, ended: dict[str, Any]) -> None:
        self._record, self._ended = record, ended
        self._journal = Journal(directory.journal)
        self._sizes = record.sizes()

    def exited(self, reason: str | None) -> None:
        """Write that the process ended."""
        self._append("exited", {**self._ended, "reason": reason}, None)

    def failed(self, request: str, trace: Trace | None, stopped: Request | None) -> None:
        """End a request: `stopped` is given where it was killed on demand."""
        phase, kind, text = "worker", "WorkerDied", self._explain()
        if stopped is not None and stopped.cancel is not None:
            phase, kind, text = "cancelled", "JobCancelled", stopped.cancel.reason or "cancelled"
        status = "CANCELLED" if phase == "cancelled" else "FAILED"
        for job in list(trace.jobs) if trace is not None else []:
            body = {"job": job, "status": status, "problem": text, "exception": None}
            self._append("finished", {**body, "stop": False, "metrics": {}}, request)
        error = {"type": kind, "message": text, "frames": [], "traceback": []}
        self._append("failed", {"phase": phase, "error": error, "cell": None}, request)

    def done(self, request: str) -> None:
        """End a request of the relay's own: a restart or a stop."""
        self._append("done", {}, request)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _explain(self) -> str:
        text = describe(self._ended)
        born = self._record.born
        if born is not None and born.body["generation"] == self._ended["generation"]:
            return text
        size = min(self._sizes["err"], _LAST_WORDS)
        words = self._record.read_log("err", self._sizes["err"] - size, size)
        return f"{text}, before it was ready\n{words.decode('utf-8', 'replace')}".rstrip()

    def _append(self, kind: str, body: dict[str, Any], request: str | None) -> None:
        out, err = self._sizes["out"], self._sizes["err"]
        self._journal.append(kind, body, request=request, out=out, err=err)
