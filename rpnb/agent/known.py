"""What is known of a worker: of each request what the relay must know to go on.

It follows from the journal and is written down beside it, so that a new relay
reads the journal's end alone, and knows of runs that are no longer kept.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..protocol.messages import Event
from .directory import RunDirectory, read_json, write_file
from .journal import segments

_ENDS = ("done", "failed")
# Runs whose ids are remembered when the rest of them is not: none of them runs twice.
_MOST_FORGOTTEN = 10_000


@dataclass
class Trace:
    """What the journal says of one request; `starts` and `ends` are the logs' sizes."""

    request: str
    at: float
    first: int
    starts: dict[str, int]
    ends: dict[str, int]
    last: int = 0
    # Jobs that began and did not finish yet, oldest first: {id: when it began}.
    jobs: dict[str, float] = field(default_factory=dict)
    job: Any = None
    status: str = "IN_PROGRESS"
    restart: str | None = None
    ended_at: float | None = None

    @property
    def ended(self) -> bool:
        """Whether the request came to its end."""
        return self.ended_at is not None

    def see(self, event: Event) -> None:
        """Take note of one of the request's events."""
        if event.kind == "planned":
            self.restart = event.body["restart"]
        elif event.kind == "job":
            self.job = event.body["job"]
            self.jobs[_job_id(self.job)] = event.at
        elif event.kind == "finished":
            self.jobs.pop(_job_id(event.body["job"]), None)
            self.status = event.body["status"]
        elif event.kind in _ENDS:
            self.ended_at = event.at
            if self.status == "IN_PROGRESS" or event.kind == "failed":
                self.status = _status(event)

    def summary(self) -> dict[str, Any]:
        """Return what Welcome says of the request."""
        return {"request": self.request, "job": self.job, "status": self.status, "at": self.at}


@dataclass
class Known:
    """What is known after the event with number `seq`."""

    seq: int = 0
    # The generation whose end the journal knows.
    exited: int = 0
    # What the worker that was born last said of itself, and its last sync of a program.
    born: dict[str, Any] | None = None
    is_synced: bool = False
    synced: dict[str, Any] | None = None
    synced_at: float = 0.0
    # By id, oldest first.
    traces: dict[str, Trace] = field(default_factory=dict)
    # Of runs that are no longer kept: how each ended.
    forgotten: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: RunDirectory) -> Known:
        """Return what an earlier relay has written down, as far as it is of this journal."""
        there = segments(directory.journal)
        saved = read_json(directory.index) or {}
        if saved.keys() != {each.name for each in fields(cls)}:
            return cls()
        try:
            traces = {each["request"]: Trace(**each) for each in saved.pop("traces", ())}
            known = cls(**saved, traces=traces)
        except (KeyError, TypeError):
            return cls()
        # What came after it may fill whole segments: a worker writes on where no relay is.
        return known if there and there[0] <= known.seq + 1 else cls()

    def write(self, directory: RunDirectory) -> None:
        """Write it down.

        Raises:
            NoSpace: the disk is full; what was there stays.
        """
        traces = [asdict(trace) for trace in self.traces.values()]
        write_file(directory.index, json.dumps({**self.__dict__, "traces": traces}).encode())

    def see(self, event: Event) -> None:
        """Take note of an event."""
        if event.kind == "born":
            self.born, self.is_synced, self.synced = event.body, False, None
        elif event.kind == "exited":
            self.exited, self.synced = event.body["generation"], None
        elif event.kind == "synced":
            self.is_synced = True
            # One of a scratch cell's has only something to say.
            if event.body["cells"]:
                self.synced, self.synced_at = event.body, event.at
        if event.request in self.traces and event.kind != "exited":
            self.traces[event.request].see(event)

    def forget(self, trace: Trace) -> None:
        """Let go of a run, but for its id and how it ended."""
        del self.traces[trace.request]
        self.forgotten[trace.request] = trace.status
        while len(self.forgotten) > _MOST_FORGOTTEN:
            del self.forgotten[next(iter(self.forgotten))]


def _job_id(job: Any) -> str:
    return str(job.get("id")) if isinstance(job, dict) else str(job)


def _status(event: Event) -> str:
    if event.kind == "done":
        return "COMPLETED"
    return "CANCELLED" if event.body["phase"] == "cancelled" else "FAILED"
