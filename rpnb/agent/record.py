"""What a worker has said so far: its journal and its two logs, as a relay reads them.

Nothing said is held in memory; what is known of it is (known.py).
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Iterator

from ..errors import NoSpace
from ..protocol.messages import Event
from .directory import RunDirectory
from .journal import Entry, JournalReader, path_of, segments
from .known import Known, Trace
from .logfile import LogFile

STREAMS = ("out", "err")
# These come by the million, and say nothing that a relay must know.
_MANY = ("chunk", "progress")


class Record:
    """The journal and the logs of one directory, as far as they were polled."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        paths = zip(STREAMS, (directory.out, directory.err))
        self.logs = {name: LogFile(path) for name, path in paths}
        self.known = Known.read(directory)
        self._reader = JournalReader(directory.journal, self.known.seq)
        there = segments(directory.journal)
        # The first event of each segment that was begun to be read.
        self.segments = [each for each in there if each <= self.seq + 1] or there[:1] or [1]
        # The logs' sizes just before the journal was polled: what lies below belongs
        # before every event that is still to come, what lies above perhaps not.
        self.settled = self.sizes()

    @property
    def seq(self) -> int:
        """The number of the last event."""
        return self.known.seq

    @property
    def traces(self) -> dict[str, Trace]:
        """What is known of each request that is kept, by its id; oldest first."""
        return self.known.traces

    def poll(self) -> Iterator[Event]:
        """Yield each new event, without its buffers, after taking note of it.

        Chunks and progress are only noted.
        """
        self.settled = self.sizes()
        while True:
            for entry in self._reader.entries():
                event = self._note(entry)
                if event is not None:
                    yield event
            if not self._reader.next_segment():
                break
            self._begin_segment()

    def reader(self, after: int) -> JournalReader:
        """Return a reader of the events after this number; the caller closes it."""
        return JournalReader(self._directory.journal, after)

    def open_requests(self) -> list[Trace]:
        """Return the requests that began and did not end."""
        return [trace for trace in self.traces.values() if not trace.ended]

    def warm(self) -> dict[str, Any]:
        """Return what the worker holds, as `Welcome.warm` says; empty where it holds nothing."""
        body = self.known.synced
        if body is None:
            return {}
        since = max(time.time() - self.known.synced_at, 0.0)
        kept = [{**each, "age": each["age"] + since} for each in body["kept"]]
        return {"kept": kept, "names": body["names"], "gpus": body["gpus"]}

    def sizes(self) -> dict[str, int]:
        """Return the logs' sizes now."""
        return {name: log.size for name, log in self.logs.items()}

    def forget(self, traces: list[Trace]) -> None:
        """Let go of the oldest runs, and of the journal before the first that stays.

        Raises:
            NoSpace: the disk is full; nothing was removed.
        """
        for trace in traces:
            self.known.forget(trace)
        self.known.write(self._directory)
        stays = next(iter(self.traces.values()), None)
        for first in self.below(stays.first if stays is not None else self.seq + 1):
            path_of(self._directory.journal, first).unlink(missing_ok=True)
            self.segments.remove(first)

    def below(self, seq: int) -> list[int]:
        """Return the segments whose events are all numbered below `seq`; never the last one."""
        after = self.segments[1:]
        return [first for first, following in zip(self.segments, after) if following <= seq]

    def close(self) -> None:
        """Close the files."""
        self._reader.close()
        for log in self.logs.values():
            log.close()

    def _begin_segment(self) -> None:
        self.segments.append(self.seq + 1)
        # What is not written down is read from the journal again.
        with contextlib.suppress(NoSpace):
            self.known.write(self._directory)

    def _note(self, entry: Entry) -> Event | None:
        head = entry.head
        self.known.seq = seq = entry.seq
        request, sizes = head["request"], {"out": head["out"], "err": head["err"]}
        if request is not None and head["kind"] != "exited":
            trace = self.traces.get(request)
            if trace is None:
                trace = Trace(request, head["at"], seq, sizes, sizes)
                self.traces[request] = trace
            trace.last, trace.ends = seq, sizes
        if head["kind"] in _MANY:
            return None
        event = entry.event()
        self.known.see(event)
        return event
