"""One request, from `accepted` to its `done` or `failed`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ..errors import NoHandler, NoSpace, RpnbError
from ..planner.plan import Plan
from ..protocol.messages import Submit
from . import worker_cuda, worker_display
from .directory import RunDirectory
from .exits import BROKEN
from .runner import Runner, Surroundings
from .worker_cancel import Cancellation
from .worker_code import Executor
from .worker_events import Events
from .worker_failure import NeedsRestart, RequestFailed, kept_instead, refusal, unexpected
from .worker_program import WireProgram
from .worker_reload import NOTICE_SECONDS, reload_of
from .worker_report import Report, plan_body
from .worker_scratch import Scratch
from .worker_start import Starts
from .worker_steps import Steps
from .worker_sync import Sync


@dataclass(frozen=True)
class Parts:
    """What a worker is made of."""

    directory: RunDirectory
    events: Events
    cancellation: Cancellation
    executor: Executor
    steps: Steps
    starts: Starts


class Requests:
    """Runs requests one by one on the main thread."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._app = os.fspath(parts.directory.app)
        self._report = Report(parts.steps)
        self._scratch = Scratch(
            parts.directory, parts.steps.namespace, parts.executor, parts.events
        )
        parts.steps.on_drop = self._scratch.let_go
        self._runner: Runner | None = None
        # The program as it lies in the directory, for the next generation.
        self._stored: dict[str, Any] | None = None

    def run(self, submit: Submit) -> int | None:
        """Run one request to its end; return an exit code where the process ends with it.

        Raises:
            NeedsRestart: a fresh worker must take the request; nothing was changed.
        """
        events = self._parts.events
        events.request = submit.request
        events.emit("accepted", {})
        with self._parts.cancellation.watching(submit.request):
            try:
                self._bring_up(submit)
                self._run_scratch(submit)
                code = self._run_jobs(submit)
            except NeedsRestart:
                raise
            except RequestFailed as end:
                body = {"phase": end.phase, "error": end.error, "cell": end.cell}
                broken = worker_cuda.is_broken()
                if broken:
                    note = "CUDA is broken in this process, and stays so: a fresh worker takes over"
                    events.emit("synced", self._report.note([note]))
                events.emit("failed", body)
                return BROKEN if broken else None
            except Exception as bug:  # noqa: BLE001 - see below
                # Ours, not the person's: they must see it, and must not wait for ever.
                report = unexpected(bug)
                events.emit("failed", {"phase": "worker", "error": report, "cell": None})
                return None
        events.emit("done", {})
        return code

    def _bring_up(self, submit: Submit) -> None:
        steps, wire = self._parts.steps, submit.program
        program = WireProgram(wire) if wire is not None else steps.program
        looks_only = wire is None and submit.scratch is not None and not submit.jobs
        if program is None or looks_only:
            # A scratch cell looks at what there is, a failed step included.
            return
        try:
            sync = steps.sync(program, show=submit.show, again=submit.again, on_plan=self._announce)
            if wire is not None and wire != self._stored:
                self._parts.directory.write_program(wire)
                self._stored = wire
        except NoSpace as full:
            raise refusal(full) from full
        self._show(sync)
        self._parts.events.emit("synced", self._report.body(sync))
        if sync.failure is not None:
            raise sync.failure

    def _announce(self, todo: Plan, sync: Sync) -> None:
        """Say what will be done; let a person stop a long reload before anything is dropped."""
        steps = self._parts.steps
        reload = reload_of(todo, sync, steps.ran, steps.spoiled)
        body = plan_body(todo, sync, steps.spoiled)
        self._parts.events.emit("planned", {**body, "reload": reload})
        if reload is not None and self._parts.cancellation.wait(NOTICE_SECONDS):
            raise kept_instead(reload)

    def _show(self, sync: Sync) -> None:
        shown = [worker_display.bundle(sync.value)] if sync.has_value else []
        if sync.show is not None and sync.ran_steps:
            shown += worker_display.figures(close=False)
        for mimes in shown:
            if mimes:
                body = {"mimes": list(mimes), "to": None, "encoding": None}
                self._parts.events.emit("shown", body, *mimes.values())
        # Only the program's own names keep its values alive.
        sync.value = None

    def _run_scratch(self, submit: Submit) -> None:
        if submit.scratch is None:
            return
        spoiled = self._scratch.run(submit.scratch)
        for name in spoiled:
            self._parts.steps.spoil(name)
        if spoiled:
            notes = [f"`{name}` was changed here: it reloads at the next run" for name in spoiled]
            self._parts.events.emit("synced", self._report.note(notes))

    def _run_jobs(self, submit: Submit) -> int | None:
        if not submit.jobs:
            return None
        config = self._parts.starts.config
        if config is None:
            raise refusal(
                NoHandler(
                    "the program never called runpod.serverless.start({...}), so it has no "
                    "handler. Run the cell that defines the handler with %%runpod_handler."
                )
            )
        runner = self._ready_runner()
        runner.run(config, submit.jobs, submit.timeout)
        return BROKEN if runner.is_broken else 0 if runner.is_spent else None

    def _ready_runner(self) -> Runner:
        if self._runner is None:
            parts = self._parts
            around = Surroundings(
                parts.events,
                parts.cancellation,
                parts.executor.loop,
                self._app,
                parts.steps.after_job,
            )
            try:
                self._runner = Runner(around)
            except RpnbError as error:
                raise refusal(error) from error
        return self._runner
