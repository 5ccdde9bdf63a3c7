"""What a step does beside its names, seen by looking at the process before and after it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from ..planner.effects import WORLD
from ..planner.holdings import are_same
from ..planner.plan import Step
from .worker_lent import Lent
from .worker_patches import Loaded, is_to_watch
from .worker_probe import Prober, Probes, differing
from .worker_running import Running, TaskRef


@dataclass(frozen=True)
class Traces:
    """What was there before a step, what it wrote, and what it left running."""

    before: Probes
    writes: frozenset[str]
    children: frozenset[int]
    tasks: frozenset[TaskRef]


class Around:
    """Looks at the process around steps; between two that follow each other it looks once."""

    def __init__(self, prober: Prober, app: str, loop: asyncio.AbstractEventLoop) -> None:
        self._prober, self._app, self._loop = prober, app, loop
        self._probes: Probes | None = None
        self._running: Running | None = None
        self._loaded: Loaded | None = None
        self._contents = list[Any]()

    def forget(self) -> None:
        """Look again before the next step: something else has happened since the last one."""
        self._probes = self._running = None

    def begin(self, step: Step, lent: Lent) -> None:
        """Look, right before the step runs; `lent` is what the program has of libraries."""
        if self._probes is None or self._running is None:
            self._probes, self._running = self._prober.read(), Running(self._app, self._loop)
        self._loaded = Loaded() if is_to_watch(step.facts.loads) else None
        self._contents = lent.contents()

    def end(self, step: Step, lent: Lent) -> Traces:
        """Return what the step that just ran, or raised, has left."""
        before, running = self._probes, self._running
        assert before is not None
        assert running is not None
        self._probes, self._running = self._prober.read(), Running(self._app, self._loop)
        writes = differing(before, self._probes)
        contents, self._contents = self._contents, []
        # A patched library, and a thread that was left behind, end with the process only.
        is_patched = self._loaded is not None and self._loaded.is_patched(step.facts.loads)
        is_patched |= not are_same(contents, lent.contents(anew=False))
        if is_patched or self._running.threads_since(running):
            writes |= {WORLD}
        children = self._running.children_since(running)
        return Traces(before, writes, children, self._running.tasks_since(running))
