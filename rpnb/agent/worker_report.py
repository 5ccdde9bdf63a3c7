"""What a worker says after a sync: its cells, its names, and what stayed warm."""

from __future__ import annotations

import time
from typing import Any

from ..planner.plan import Executed, Plan
from . import gpu
from .worker_size import size_bytes
from .worker_steps import Steps, Sync

# What loaded faster and weighs less is not worth a word.
_MIN_SECONDS, _MIN_BYTES = 0.05, 1 << 20
_DATA = ("data", "active")


def plan_body(todo: Plan, sync: Sync) -> dict[str, Any]:
    """Return the body of `planned`."""

    def place(index: int) -> dict[str, Any]:
        step = sync.new[index]
        cell = sync.program.cell_of(step.line)
        return {"names": list(step.names), "cell": cell, "line": step.line}

    return {
        "run": [{**place(rerun.index), "reason": rerun.reason.text()} for rerun in todo.run],
        "keep": [place(new) for new, _ in todo.keep],
        "restart": todo.restart.text() if todo.restart is not None else None,
    }


class Report:
    """Makes the body of `synced`; measures each value once."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._sizes: dict[int, dict[str, int]] = {}
        self._gpus: list[dict[str, Any]] | None = None

    def body(self, sync: Sync) -> dict[str, Any]:
        """Return what is warm now and what this sync did."""
        return {
            "cells": {cell: state.report() for cell, state in sync.cells.items()},
            "kept": self._kept(),
            "names": self.names(),
            "gpus": self._readings(again=sync.ran_steps > 0),
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

    def _readings(self, *, again: bool) -> list[dict[str, Any]]:
        # nvidia-smi takes 50 ms: too long for a run that changed nothing.
        if again or self._gpus is None:
            self._gpus = gpu.readings()
        return self._gpus

    def _kept(self) -> list[dict[str, Any]]:
        kept, now = [], time.time()
        for executed in self._steps.executed:
            sizes = self._measured(executed)
            for name, size in sizes.items():
                if executed.seconds >= _MIN_SECONDS or size >= _MIN_BYTES:
                    age = now - self._steps.ran_at[executed.serial]
                    load = executed.seconds
                    kept.append({"name": name, "bytes": size, "seconds": load, "age": age})
        serials = {executed.serial for executed in self._steps.executed}
        self._sizes = {key: value for key, value in self._sizes.items() if key in serials}
        return kept

    def _measured(self, executed: Executed) -> dict[str, int]:
        found = self._sizes.get(executed.serial)
        if found is None:
            kinds, space = self._steps.kinds, self._steps.namespace
            names = [n for n in executed.binds if kinds.get(n) in _DATA and n in space]
            found = {name: size_bytes(space[name]) for name in sorted(names)}
            self._sizes[executed.serial] = found
        return found
