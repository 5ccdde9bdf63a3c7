"""How much of what a worker said is kept: so many bytes, so many days.

When it becomes too much, log text gives way first: of each run the middle. Then runs
that ended are let go, the oldest first, each with all it said. What one run streams
is never dropped: where nothing else can give way, the worker waits
(worker_events.py).
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Callable, Iterator, Mapping

from ..errors import NoSpace
from .caches import collect
from .directory import RunDirectory
from .journal import path_of, segments
from .known import Trace
from .logfile import HOLE_BYTES
from .record import STREAMS, Record

_KEEP_BYTES, _KEEP_DAYS = 2_000_000_000, 7.0
# More runs than anybody looks through; what is known of them is held in memory.
_MOST_RUNS = 1000
# Of a run's log this much stays at its start and at its end.
_EDGE = 1 << 20
# Log text gives way while so much of the disk is still free: a program that prints 1 GB/s
# writes 50 MB between two looks.
_RESERVE, _RESERVE_SHARE = 256 << 20, 0.02
_LOOK, _LOOK_AT_AGE, _COLLECT = 0.05, 60.0, 21_600.0
# A clock that was set makes nothing old: ages count when it has run evenly so long.
_STEADY, _DRIFT = 600.0, 60.0


@dataclass(frozen=True)
class Allowance:
    """What one worker's journal and logs may take on the disk, and how old its runs may grow."""

    size_bytes: int = _KEEP_BYTES
    days: float = _KEEP_DAYS

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Allowance:
        """Return what `RPNB_KEEP_BYTES` and `RPNB_KEEP_DAYS` say, else the default."""
        size = float(environ.get("RPNB_KEEP_BYTES") or _KEEP_BYTES)
        return cls(int(size), float(environ.get("RPNB_KEEP_DAYS") or _KEEP_DAYS))

    def check(self, directory: RunDirectory) -> None:
        """Find that there is room for more.

        Raises:
            NoSpace: there is none.
        """
        files = [path_of(directory.journal, first) for first in segments(directory.journal)]
        used = sum(map(_held, (*files, directory.out, directory.err)))
        if used >= self.size_bytes:
            raise NoSpace(
                f"this job's stream has filled the {self.size_bytes / 1e9:.3g} GB that a worker "
                "may keep (RPNB_KEEP_BYTES on the target)."
            )


class Keeping:
    """Makes room in a worker's directory, as its relay."""

    def __init__(self, directory: RunDirectory, record: Record, allowance: Allowance) -> None:
        self._directory, self._record, self._allowance = directory, record, allowance
        self._edge = min(_EDGE, allowance.size_bytes // 16)
        self._next_look = self._next_look_at_age = self._next_collection = 0.0
        # Of each log, up to where it has given way.
        self._given = dict.fromkeys(STREAMS, 0)
        # The size of the closed segments, and which those are.
        self._closed, self._closed_bytes = (0, 0), 0
        self._clock = _Clock()
        # Whether something was written since the last look, which must not wait for long.
        self.is_due = False

    def step(self) -> None:
        """Look whether there is too much, and make room; called often."""
        now = time.monotonic()
        self.is_due = now < self._next_look
        if self.is_due:
            return
        self._next_look = now + _LOOK
        most = self._allowance.size_bytes
        if self._used() > most * 7 // 8:
            self._shrink(most * 3 // 4)
        if self._lacking() > 0:
            self._give_way(self._lacking)
        if now >= self._next_look_at_age:
            self._next_look_at_age = now + _LOOK_AT_AGE
            self._forget(self._too_old())
        if now >= self._next_collection and self._clock.is_steady():
            self._next_collection = now + _COLLECT
            collect(self._directory.root)

    def give_all(self) -> None:
        """Let all log text give way that can: the disk is full, whatever it says."""
        self._give_way(lambda: 1)

    def _used(self) -> int:
        *closed, last = self._record.segments
        key = (closed[0], len(closed)) if closed else (0, 0)
        if key != self._closed:
            files = [path_of(self._directory.journal, first) for first in closed]
            self._closed, self._closed_bytes = key, sum(map(_held, files))
        logs = sum(log.held_bytes for log in self._record.logs.values())
        return self._closed_bytes + _held(path_of(self._directory.journal, last)) + logs

    def _lacking(self) -> int:
        """What the disk lacks until it has the reserve."""
        try:
            found = os.statvfs(self._directory.path)
        except OSError:
            return 0
        reserve = min(_RESERVE, int(found.f_blocks * found.f_frsize * _RESERVE_SHARE))
        return reserve - found.f_bavail * found.f_frsize

    def _shrink(self, target: int) -> None:
        self._give_way(lambda: self._used() - target)
        while self._used() > target:
            # Few steps for many small runs: each writes down what is known.
            finished = self._finished()
            if not finished or not self._forget(finished[: max(1, len(finished) // 8)]):
                return

    def _give_way(self, excess: Callable[[], int]) -> None:
        """Free log text, oldest first, while there is an excess."""
        for stream, start, end in self._middles():
            log = self._record.logs[stream]
            while start < end and (size := excess()) > 0:
                # Whole lines, as far as there are lines; what goes on is at one already.
                first = start if start == self._given[stream] else log.line_after(start)
                stop = log.line_after(min(end, first + max(size, HOLE_BYTES)))
                log.give_up(first, stop)
                self._given[stream] = start = stop

    def _middles(self) -> Iterator[tuple[str, int, int]]:
        """Yield what of each run's log may give way: (stream, start, end)."""
        ends = self._record.sizes()
        begins = [dict.fromkeys(STREAMS, 0), *(t.starts for t in self._record.traces.values())]
        for begin, end in zip(begins, [*begins[1:], ends]):
            for stream in STREAMS:
                start = max(begin[stream] + self._edge, self._given[stream])
                if end[stream] - self._edge - start >= HOLE_BYTES:
                    yield stream, start, end[stream] - self._edge

    def _finished(self) -> list[Trace]:
        """Return the oldest runs, up to the first that goes on."""
        return list(takewhile(lambda trace: trace.ended, self._record.traces.values()))

    def _too_old(self) -> list[Trace]:
        traces, finished = self._record.traces, self._finished()
        if self._clock.is_steady():
            oldest = time.time() - self._allowance.days * 86_400
            old = sum(1 for _ in takewhile(lambda trace: (trace.ended_at or 0) < oldest, finished))
        else:
            old = 0
        return finished[: max(old, len(traces) - _MOST_RUNS)]

    def _forget(self, traces: list[Trace]) -> bool:
        """Let go of the oldest runs; tell whether there were any, and it was done."""
        if not traces:
            return False
        try:
            self._record.forget(traces)
        except NoSpace:
            return False
        stays = next(iter(self._record.traces.values()), None)
        ends = stays.starts if stays is not None else self._record.settled
        for stream in STREAMS:
            self._record.logs[stream].give_up(0, ends[stream])
            self._given[stream] = max(self._given[stream], ends[stream])
        return True


class _Clock:
    """Whether the time of day has run as evenly as the steady clock."""

    def __init__(self) -> None:
        self._began = (time.monotonic(), time.time())

    def is_steady(self) -> bool:
        """Tell whether it has, for long enough."""
        steady, day = time.monotonic() - self._began[0], time.time() - self._began[1]
        if abs(steady - day) > _DRIFT:
            self._began = (time.monotonic(), time.time())
        return abs(steady - day) <= _DRIFT and steady >= _STEADY


def _held(path: Path) -> int:
    with contextlib.suppress(OSError):
        found = path.stat()
        return min(found.st_blocks * 512, found.st_size)
    return 0
