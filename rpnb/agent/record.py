"""What a worker has said so far: its journal, indexed by number, and its two logs.

Nothing said is held in memory: of each event only where it lies (24 bytes),
of each request what the relay must know to go on after any process was killed.
"""

from __future__ import annotations

import os
import time
from array import array
from dataclasses import dataclass, field
from typing import Any, Iterator

from ..protocol.messages import Event
from .directory import RunDirectory
from .journal import JournalReader

STREAMS = ("out", "err")
_ENDS = ("done", "failed")


@dataclass
class Trace:
    """What the journal says of one request."""

    request: str
    at: float
    seqs: array[int] = field(default_factory=lambda: array("Q"))
    # Jobs that began and did not finish yet, oldest first: {id: when it began}.
    jobs: dict[str, float] = field(default_factory=dict)
    job: Any = None
    status: str = "IN_PROGRESS"
    restart: str | None = None
    ended: bool = False

    def see(self, event: Event) -> None:
        """Take note of one of the request's events."""
        self.seqs.append(event.seq)
        if event.kind == "planned":
            self.restart = event.body["restart"]
        elif event.kind == "job":
            self.job = event.body["job"]
            self.jobs[_job_id(self.job)] = event.at
        elif event.kind == "finished":
            self.jobs.pop(_job_id(event.body["job"]), None)
            self.status = event.body["status"]
        elif event.kind in _ENDS:
            self.ended = True
            if self.status == "IN_PROGRESS" or event.kind == "failed":
                self.status = _status(event)

    def summary(self) -> dict[str, Any]:
        """Return what Welcome says of the request."""
        return {"request": self.request, "job": self.job, "status": self.status, "at": self.at}


class Record:
    """The journal and the logs of one directory, as far as they were polled."""

    def __init__(self, directory: RunDirectory) -> None:
        self._reader = JournalReader(directory.journal)
        self._logs = {
            name: os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            for name, path in zip(STREAMS, (directory.out, directory.err))
        }
        # By number - 1: the end of each frame, and the logs' sizes that it names.
        self._ends, self._outs, self._errs = array("Q"), array("Q"), array("Q")
        self.traces: dict[str, Trace] = {}
        # The logs' sizes just before the journal was polled: what lies below belongs
        # before every event that is still to come, what lies above perhaps not.
        self.settled = self.sizes()
        # Of the worker that was born last.
        self.born: Event | None = None
        self.is_synced = False
        # Its last `synced` of a program: what is warm.
        self._synced: Event | None = None
        # The generation whose end the journal knows.
        self.exited = 0

    @property
    def seq(self) -> int:
        """The number of the last event."""
        return len(self._ends)

    def poll(self) -> Iterator[Event]:
        """Yield each new event, without its buffers, after taking note of it."""
        self.settled = self.sizes()
        for place, event in self._reader.places():
            self._ends.append(place.end)
            self._outs.append(event.out)
            self._errs.append(event.err)
            self._note(event)
            yield event

    def open_requests(self) -> list[Trace]:
        """Return the requests that began and did not end."""
        return [trace for trace in self.traces.values() if not trace.ended]

    def warm(self) -> dict[str, Any]:
        """Return what the worker holds, as `Welcome.warm` says; empty where it holds nothing."""
        if self._synced is None:
            return {}
        body, since = self._synced.body, max(time.time() - self._synced.at, 0.0)
        kept = [{**each, "age": each["age"] + since} for each in body["kept"]]
        return {"kept": kept, "names": body["names"], "gpus": body["gpus"]}

    def frame(self, seq: int) -> tuple[int, int]:
        """Return where an event's bytes begin in the journal, and their end."""
        return (self._ends[seq - 2] if seq > 1 else 0), self._ends[seq - 1]

    def offsets(self, seq: int) -> dict[str, int]:
        """Return the sizes of the logs that an event names."""
        return {"out": self._outs[seq - 1], "err": self._errs[seq - 1]}

    def read_journal(self, start: int, size: int) -> bytes:
        """Return bytes of the journal."""
        return self._reader.read(start, size)

    def sizes(self) -> dict[str, int]:
        """Return the logs' sizes now."""
        return {name: os.fstat(file).st_size for name, file in self._logs.items()}

    def read_log(self, stream: str, offset: int, size: int) -> bytes:
        """Return bytes of a log."""
        return os.pread(self._logs[stream], size, offset)

    def close(self) -> None:
        """Close the files."""
        self._reader.close()
        for file in self._logs.values():
            os.close(file)

    def _note(self, event: Event) -> None:
        if event.kind == "born":
            self.born, self.is_synced, self._synced = event, False, None
        elif event.kind == "exited":
            self.exited, self._synced = event.body["generation"], None
        elif event.kind == "synced":
            self.is_synced = True
            # One of a scratch cell's has only something to say.
            self._synced = event if event.body["cells"] else self._synced
        if event.request is not None and event.kind != "exited":
            trace = self.traces.get(event.request)
            if trace is None:
                trace = self.traces[event.request] = Trace(event.request, event.at)
            trace.see(event)


def _job_id(job: Any) -> str:
    return str(job.get("id")) if isinstance(job, dict) else str(job)


def _status(event: Event) -> str:
    if event.kind == "done":
        return "COMPLETED"
    return "CANCELLED" if event.body["phase"] == "cancelled" else "FAILED"
