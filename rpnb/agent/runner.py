"""Jobs, run as production runs them: the SDK's own functions, one loop, its concurrency."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Callable, Protocol

from . import worker_cuda
from .limits import time_limit
from .runner_outcome import Outcome, judge, refuse
from .runner_sdk import Recording, Sdk
from .worker_cancel import Cancellation
from .worker_start import Config
from .worker_trace import details


class Sink(Protocol):
    """Where events go."""

    def emit(self, kind: str, body: dict[str, Any], *buffers: bytes) -> None:
        """Write an event of the request under way."""


@dataclass(frozen=True)
class Surroundings:
    """What the runner needs of the worker."""

    events: Sink
    cancellation: Cancellation
    loop: asyncio.AbstractEventLoop
    app: str
    # Told whether the job was cancelled.
    after_job: Callable[[bool], None]


class Runner:
    """Runs jobs for the worker's life; keeps what production's loop keeps between them."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._sdk = Sdk()
        around.cancellation.entries |= set(self._sdk.user_code_callers)
        # Where the modifier stands; another start() begins with 1 again.
        self._concurrency = 1
        self._config: Callable[[], Config | None] = lambda: None
        # Why the modifier of this run's config lets no job through.
        self._problem: str | None = None
        # Jobs that run now, and what the first one that ends the process said.
        self._open: dict[int, _Job] = {}
        self.exit_code: int | None = None
        self.has_stopped = self.is_broken = False

    @property
    def is_spent(self) -> bool:
        """Whether production would go on in a fresh process (stopPod, sys.exit), or should."""
        return self.has_stopped or self.is_broken or self.exit_code is not None

    def run(self, config: Config, jobs: list[Any], timeout: float | None) -> None:
        """Run the jobs on the worker's loop; each ends with a `finished` event."""
        if config is not self._config():
            self._config, self._concurrency = weakref.ref(config), 1
        self._problem = None
        waiting = deque(_Job(config, job, timeout) for job in jobs)
        try:
            self._around.loop.run_until_complete(self._run_all(config, waiting))
        except (SystemExit, KeyboardInterrupt) as error:
            # Raised in a task of the handler's own: the loop stops, as in production.
            for job in list(self._open.values()):
                self._finish(job, judge(job.recording, error, cancelled=None))
        asyncio.set_event_loop(self._around.loop)
        for job in waiting:
            job.begin(self._around.events)
            status = "CANCELLED" if self._around.cancellation.is_wanted else "FAILED"
            self._finish(job, Outcome(status, problem=self._not_run()))

    async def _run_all(self, config: dict[str, Any], waiting: deque[_Job]) -> None:
        running: set[asyncio.Task[None]] = set()
        while waiting or running:
            limit = self._limit(config) if waiting else 0
            while waiting and len(running) < limit and self._goes_on:
                task = self._around.loop.create_task(self._run(waiting.popleft()))
                self._around.cancellation.tasks.add(task)
                running.add(task)
            if not running:
                return
            _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            if self.exit_code is not None:
                # The process ends here, and with it whatever else runs.
                return
            self._around.cancellation.tasks &= running

    @property
    def _goes_on(self) -> bool:
        return not (self.is_spent or self._around.cancellation.is_wanted)

    def _limit(self, config: dict[str, Any]) -> int:
        modifier = config.get("concurrency_modifier")
        if modifier:
            try:
                self._concurrency = int(modifier(self._concurrency))
            except Exception as error:  # noqa: BLE001 - whatever it raises ends production's worker
                self._problem = (
                    f"concurrency_modifier raised {type(error).__name__}: {error}; "
                    "production's worker ends there"
                )
                return 0
        return self._concurrency

    def _not_run(self) -> str:
        if self._around.cancellation.is_wanted:
            return "not run: the request was cancelled"
        if self.is_spent:
            return "not run: the job before it ended the worker"
        return self._problem or (
            f"concurrency_modifier returned {self._concurrency}: production takes no job"
        )

    async def _run(self, job: _Job) -> None:
        raised: BaseException | None = None
        self._open[id(job)] = job
        job.begin(self._around.events)
        refused = refuse(job.recording.job)
        if refused is not None:
            self._finish(job, refused)
            return
        try:
            await self._sdk.handle(job.config, job.recording)
        except BaseException as error:  # noqa: BLE001 - all of it is judged; nothing is swallowed
            raised = error
        wanted = self._around.cancellation.is_wanted
        outcome = judge(job.recording, raised, cancelled=job.cancel_reason() if wanted else None)
        self._finish(job, outcome)

    def _finish(self, job: _Job, outcome: Outcome) -> None:
        self._open.pop(id(job), None)
        notes = (*outcome.notes, *self._stream_note(job, outcome), *self._broken_note(outcome))
        outcome = replace(outcome, notes=notes)
        job.end(self._around, outcome)
        self.has_stopped |= outcome.stop
        if outcome.exit_code is not None and self.exit_code is None:
            self.exit_code = outcome.exit_code
            for neighbour in list(self._open.values()):
                self._finish(neighbour, replace(outcome, notes=()))

    def _stream_note(self, job: _Job, outcome: Outcome) -> tuple[str, ...]:
        handler = job.config.get("handler")
        aggregates = job.config.get("return_aggregate_stream", False)
        if outcome.status != "COMPLETED" or aggregates or not self._sdk.is_generator(handler):
            return ()
        return (
            f"streamed {job.recording.chunks} chunks; callers of /run and /runsync get []. "
            'Add "return_aggregate_stream": True to start()',
        )

    def _broken_note(self, outcome: Outcome) -> tuple[str, ...]:
        if outcome.status != "FAILED" or not worker_cuda.is_broken():
            return ()
        self.is_broken = True
        return (
            "CUDA is broken in this process, and stays so: in production every later job fails, "
            'unless the handler returns "refresh_worker": True. A fresh worker takes over here',
        )


class _Job:
    """One job: its recording, its clock, its events."""

    def __init__(self, config: dict[str, Any], job: Any, timeout: float | None) -> None:
        # A copy, as the SDK and the handler may write into it; the arguments that
        # production parses from its command line are absent here.
        self.config = {**config, "rp_args": {}}
        self.recording = Recording(job, self._post)
        self._limit = time_limit(job, timeout)
        self._sink: Sink | None = None
        self._started = 0.0

    def begin(self, sink: Sink) -> None:
        """Say that the job runs."""
        self._sink, self._started = sink, time.perf_counter()
        job = self.recording.job
        worker_cuda.reset_peak()
        keys = sorted(map(str, job)) if isinstance(job, dict) else []
        sink.emit("job", {"job": {"id": self._id, "keys": keys}})

    def cancel_reason(self) -> str:
        """Why it was cancelled: the time limit, or "" for a person's wish."""
        elapsed = time.perf_counter() - self._started
        is_over = self._limit is not None and elapsed >= self._limit.seconds
        return self._limit.reason if self._limit is not None and is_over else ""

    def end(self, around: Surroundings, outcome: Outcome) -> None:
        """Say how it ended."""
        metrics: dict[str, Any] = {"seconds": time.perf_counter() - self._started}
        metrics.update(worker_cuda.peak())
        if outcome.notes:
            metrics["note"] = "; ".join(outcome.notes)
        body = {
            "job": self._id,
            "status": outcome.status,
            "problem": outcome.problem,
            "exception": details(outcome.error, around.app) if outcome.error else None,
            "stop": outcome.stop,
            "metrics": metrics,
        }
        around.after_job(outcome.status == "CANCELLED")
        around.events.emit("finished", body, *([outcome.posted] if outcome.posted else []))

    @property
    def _id(self) -> str:
        return str(self.recording.id)

    def _post(self, kind: str, data: bytes) -> None:
        if self._sink is not None:
            self._sink.emit(kind, {"job": self._id}, data)
