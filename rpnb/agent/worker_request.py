"""One request, from `accepted` to its `done` or `failed`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

from ..errors import NoHandler, RpnbError
from ..planner.plan import Plan
from ..protocol.messages import Submit
from . import worker_display
from .directory import RunDirectory
from .runner import Runner, Surroundings
from .worker_cancel import Cancellation, JobCancelled
from .worker_code import Executor
from .worker_events import Events
from .worker_program import WireProgram
from .worker_start import Starts
from .worker_steps import NeedsRestart, Steps, Sync, SyncFailed


class Restart(Exception):
    """The request must be taken again by a fresh worker."""


class Requests:
    """Runs requests one by one on the main thread."""

    def __init__(
        self,
        directory: RunDirectory,
        events: Events,
        cancellation: Cancellation,
        executor: Executor,
        steps: Steps,
        starts: Starts,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._directory, self._events, self._steps = directory, events, steps
        self._cancellation, self._executor, self._starts = cancellation, executor, starts
        self._loop = loop
        self._runner: Runner | None = None

    def cancel(self, request: str) -> None:
        """Stop the request if it is under way; from any thread."""
        self._cancellation.cancel(request)

    def run(self, submit: Submit) -> int | None:
        """Run one request to its end; return an exit code where the process must end after it."""
        self._events.request = submit.request
        self._events.emit("accepted", {})
        with self._cancellation.watching(submit.request):
            try:
                self._bring_up(submit)
                code = self._run_jobs(submit)
            except SyncFailed as failure:
                self._fail(failure.phase, failure.error, failure.cell)
                return None
        self._events.emit("done", {})
        return code

    def _bring_up(self, submit: Submit) -> None:
        wire = submit.program
        program = WireProgram(wire) if wire is not None else self._steps.program
        if program is None:
            return
        try:
            sync = self._steps.sync(
                program, show=submit.show, again=submit.again, on_plan=self._say_plan
            )
        except NeedsRestart:
            raise Restart from None
        except SyncFailed as failure:
            sync = getattr(failure, "sync", None)
            if sync is not None:
                self._say_synced(sync)
            raise
        if wire is not None:
            self._directory.write_program(wire)
        self._say_synced(sync)

    def _say_plan(self, todo: Plan, sync: Sync) -> None:
        def place(index: int) -> dict[str, Any]:
            step = sync.new[index]
            return {
                "names": list(step.names),
                "cell": sync.program.cell_of(step.line),
                "line": step.line,
            }

        run = [{**place(r.index), "reason": r.reason.text()} for r in todo.run]
        keep = [place(new) for new, _ in todo.keep]
        restart = todo.restart.text() if todo.restart is not None else None
        self._events.emit("planned", {"run": run, "keep": keep, "restart": restart})

    def _say_synced(self, sync: Sync) -> None:
        if sync.has_value:
            mimes = worker_display.bundle(sync.value)
            if mimes:
                body = {"mimes": list(mimes), "to": None, "encoding": None}
                self._events.emit("shown", body, *mimes.values())
        names = {
            name: type(value).__name__
            for name, value in self._steps.namespace.items()
            if name in self._steps.kinds
        }
        body = {
            "cells": {cell: state.report() for cell, state in sync.cells.items()},
            "kept": [],
            "names": names,
            "gpus": [],
            "notes": sync.notes,
        }
        self._events.emit("synced", body)

    def _run_jobs(self, submit: Submit) -> int | None:
        if not submit.jobs:
            return None
        config = self._starts.config
        if config is None:
            raise SyncFailed(
                "plan", _error(NoHandler("nothing called runpod.serverless.start")), None
            )
        runner = self._ready_runner()
        runner.run(config, submit.jobs, submit.timeout)
        return 0 if runner.is_spent else None

    def _ready_runner(self) -> Runner:
        if self._runner is None:
            around = Surroundings(
                self._events,
                self._cancellation,
                self._loop,
                os.fspath(self._directory.app),
                self._steps.after_job,
            )
            try:
                self._runner = Runner(around)
            except RpnbError as error:
                raise SyncFailed("plan", _error(error), None) from None
        return self._runner

    def _fail(self, phase: str, error: dict[str, Any], cell: str | None) -> None:
        self._events.emit("failed", {"phase": phase, "error": error, "cell": cell})


def _error(error: RpnbError) -> dict[str, Any]:
    return {"type": type(error).__name__, "message": str(error), "frames": [], "traceback": []}
