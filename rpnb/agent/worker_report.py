"""What a worker says after a sync: its cells, its names, and what stayed warm."""

from __future__ import annotations

import time
from typing import Any, Collection

from ..planner.plan import Plan, Rerun
from . import gpu, worker_cuda
from .worker_size import size_bytes
from .worker_steps import Ran, Steps
from .worker_sync import Sync

# What loaded faster and weighs less is not worth a word.
_MIN_SECONDS, _MIN_BYTES = 0.05, 1 << 20
# nvidia-smi takes 50 ms, six times as long as the whole way of an edit: it is asked
# after steps that took much longer, or after torch took or gave back memory.
_SLOW_SECONDS = 0.25
_DATA = ("data", "active")


def plan_body(todo: Plan, sync: Sync, spoiled: Collection[str]) -> dict[str, Any]:
    """Return the body of `planned`; `spoiled` are names that scratch cells changed."""

    def place(index: int) -> dict[str, Any]:
        step = sync.new[index]
        cell = sync.program.cell_of(step.line)
        return {"names": list(step.names), "cell": cell, "line": step.line}

    swapped = {rerun.index for rerun in todo.swapped}
    return {
        "run": [
            {**place(rerun.index), "reason": _reason(rerun, sync, spoiled)}
            for rerun in (*todo.swapped, *todo.run)
            if rerun.reason.kind != "always"
        ],
        "keep": [place(new) for new, _ in todo.keep if new not in swapped],
        "restart": todo.restart.text() if todo.restart is not None else None,
    }


def _reason(rerun: Rerun, sync: Sync, spoiled: Collection[str]) -> str:
    step = sync.new[rerun.index]
    if rerun.reason.kind == "failed":
        # For the planner, what must run again although it is unchanged has failed.
        changed = next((name for name in step.names if name in spoiled), None)
        if changed is not None:
            return f"`{changed}` was changed by a scratch cell"
        if sync.again is not None and sync.program.cell_of(step.line) == sync.again:
            return "asked for with --again"
    return rerun.reason.text()


class Report:
    """Makes the body of `synced`; measures each value once."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._sizes: dict[int, dict[str, int]] = {}
        self._gpus: list[dict[str, Any]] | None = None
        # Of each step that ran: what it took; and what torch held at the last reading.
        self._seconds: dict[int, float] = {}
        self._reserved = 0

    def body(self, sync: Sync) -> dict[str, Any]:
        """Return what is warm now and what this sync did."""
        return {
            "cells": {cell: state.report() for cell, state in sync.cells.items()},
            "kept": self._kept(),
            "names": self.names(),
            "gpus": self._readings(again=self._may_have_moved_memory()),
            "notes": sync.notes,
        }

    def note(self, notes: list[str]) -> dict[str, Any]:
        """Return the body of a `synced` that only has something to say."""
        gpus = self._readings(again=False)
        return {"cells": {}, "kept": [], "names": self.names(), "gpus": gpus, "notes": notes}

    def names(self) -> dict[str, str]:
        """Return the program's names and their types."""
        space = self._steps.namespace
        return {name: type(space[name]).__name__ for name in self._steps.kinds if name in space}

    def _may_have_moved_memory(self) -> bool:
        seconds = {ran.serial: ran.executed.seconds for ran in self._steps.ran}
        # Made or dropped since: what took long to make is worth a look when it goes.
        changed = self._seconds.keys() ^ seconds.keys()
        took = sum(seconds.get(each, self._seconds.get(each, 0.0)) for each in changed)
        self._seconds = seconds
        return took > _SLOW_SECONDS or worker_cuda.reserved_bytes() != self._reserved

    def _readings(self, *, again: bool) -> list[dict[str, Any]]:
        if again or self._gpus is None:
            self._gpus, self._reserved = gpu.readings(), worker_cuda.reserved_bytes()
        return self._gpus

    def _kept(self) -> list[dict[str, Any]]:
        kept, now = [], time.time()
        for ran in self._steps.ran:
            seconds = ran.executed.seconds
            for name, size in self._measured(ran).items():
                if seconds >= _MIN_SECONDS or size >= _MIN_BYTES:
                    age = now - ran.at
                    kept.append({"name": name, "bytes": size, "seconds": seconds, "age": age})
        serials = {ran.serial for ran in self._steps.ran}
        self._sizes = {serial: found for serial, found in self._sizes.items() if serial in serials}
        return kept

    def _measured(self, ran: Ran) -> dict[str, int]:
        found = self._sizes.get(ran.serial)
        if found is None:
            kinds, space = self._steps.kinds, self._steps.namespace
            names = [n for n in ran.executed.binds if kinds.get(n) in _DATA and n in space]
            found = {name: size_bytes(space[name]) for name in sorted(names)}
            self._sizes[ran.serial] = found
        return found
