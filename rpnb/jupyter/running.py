"""A run, drawn while it goes on, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..session import pretty, updates
from ..session.logs import Lost
from . import display, lines

if TYPE_CHECKING:
    from ..session.result import Result
    from ..session.run import Run
    from .screen import Screen

# The kernel's end follows its announcement by a message, which takes a few milliseconds.
_ANNOUNCEMENT = 0.2
# More chunks, or progress, than this is counted, not drawn: a token stream would fill the page.
_MOST_CHUNKS = 50
_LEAD_SECONDS = 0.1


@dataclass
class Outcome:
    """What is known of a run; complete once `follow` has returned it."""

    target: str
    started: float = field(default_factory=time.monotonic)
    planned: updates.Planned | None = None
    # With a new worker, the old one's plan stands before it.
    plans: list[updates.Planned] = field(default_factory=list)
    synced: updates.Synced | None = None
    result: Result | None = None
    failed: updates.Failed | None = None
    values: list[updates.Shown] = field(default_factory=list)
    interrupted: bool = False
    # Whether the worker has ended since, and what was warm with it.
    is_gone: bool = False
    chunks: int = 0
    # Of the log: what did not come, or is not drawn.
    left_out: Lost = field(default_factory=Lost)
    seconds: float = 0.0
    # From the plan to the moment when the namespace was ready.
    setup_seconds: float = 0.0

    @property
    def reran(self) -> Sequence[Mapping[str, Any]]:
        """The steps that ran, with their reasons."""
        return self.planned.run if self.planned else ()

    @property
    def kept(self) -> list[Mapping[str, Any]]:
        """The large values that are warm now."""
        return list(self.synced.kept) if self.synced and not self.is_gone else []

    @property
    def stayed(self) -> list[Mapping[str, Any]]:
        """The large values that were warm before and still are."""
        made = {name for step in self.reran for name in step["names"]}
        return [each for each in self.kept if each["name"] not in made]

    @property
    def is_unsent(self) -> bool:
        """Whether a long reload was stopped before it began: the worker is as it was."""
        announced = self.planned is not None and self.planned.reload is not None
        stopped = self.failed is not None and self.failed.phase == "cancelled"
        return announced and stopped and self.synced is None

    def cell(self, cell_id: str) -> Mapping[str, Any]:
        """How a cell fared: {"state", "seconds", "names"}; empty where it is not known."""
        return self.synced.cells.get(cell_id, {}) if self.synced else {}


def follow(run: Run, screen: Screen, target: str) -> Outcome:
    """Draw the run's updates as they come; return its outcome once it has ended.

    Ctrl-C cancels what runs and keeps the model, a second one kills the worker;
    either is an outcome, not an exception.
    """
    outcome = Outcome(target)
    drawing = _Drawing(outcome, screen)
    while True:
        # Around both: Ctrl-C as often comes while an update is drawn as while none is there.
        try:
            update = next(run, None)
            if update is None:
                break
            drawing.see(update)
        except KeyboardInterrupt:
            again, outcome.interrupted = outcome.interrupted, True
            if not again and _kernel_ends(screen):
                break
            run.cancel(force=again)
    if outcome.result is None:
        outcome.seconds = time.monotonic() - outcome.started
    outcome.left_out = screen.settle()
    return outcome


def _kernel_ends(screen: Screen) -> bool:
    """Whether an interrupt only announces the end of the kernel, which no job must notice.

    Jupyter interrupts a kernel before it restarts or ends it, and says so after that.
    """
    try:
        time.sleep(_ANNOUNCEMENT)
    except KeyboardInterrupt:
        return False
    return screen.is_closing()


@dataclass
class _Drawing:
    outcome: Outcome
    screen: Screen
    planned_at: float = field(default_factory=time.monotonic)
    progressed: int = 0
    led_at: float = 0.0

    def see(self, update: updates.Update) -> None:
        """Draw one update, and note it in the outcome."""
        outcome = self.outcome
        match update:
            case updates.Logged(stream, text):
                self.screen.log(stream, text)
            case updates.LeftOut(stream, size_bytes):
                self.screen.leave_out(stream, size_bytes)
            case updates.Planned():
                self._planned(update)
            case updates.Synced():
                outcome.synced, outcome.is_gone = update, False
                outcome.setup_seconds = time.monotonic() - self.planned_at
                for note in update.notes:
                    self.screen.line((outcome.target, note))
            case updates.Shown(mimes, to):
                self._shown(update, mimes, to)
            case updates.Progressed(value=value):
                self._progress(value)
            case updates.Streamed(value=value):
                self._chunk(value)
            case updates.Finished(result):
                outcome.result = result
                outcome.seconds = time.monotonic() - outcome.started
            case updates.Failed():
                outcome.failed = update
            case _:
                self._trouble(update)

    def _trouble(self, update: updates.Update) -> None:
        """Say what delays the run, or ends its worker."""
        target = self.outcome.target
        match update:
            case updates.LinkChanged(state, seconds, is_news, why, known):
                line = lines.link(target, state, seconds, why, is_confirmed=known)
                self.screen.progress(line, is_news=is_news)
            case updates.Waiting(text):
                self.screen.line((target, text))
            case updates.Exited(reason=reason):
                self.outcome.is_gone = True
                if reason and not self._is_expected():
                    self.screen.line((target, f"the worker ended: {reason}"))

    def _is_expected(self) -> bool:
        """Whether the plan has said already that a new worker comes."""
        return self.outcome.planned is not None and self.outcome.planned.restart is not None

    def _planned(self, planned: updates.Planned) -> None:
        self.outcome.planned, self.planned_at = planned, time.monotonic()
        self.outcome.plans.append(planned)
        if planned.restart:
            self.screen.line((self.outcome.target, f"new worker: {planned.restart}"))
        if planned.reload is not None:
            self._announce(planned.reload)

    def _announce(self, reload: Mapping[str, Any]) -> None:
        """A long reload comes, and why; the worker waits a moment for an interrupt."""
        target, names, place = self.outcome.target, reload["names"], reload["place"]
        cause = reload["reason"] if place is None else f"{place} changed"
        self.screen.line(lines.reloads(target, names, reload["seconds"], cause))
        if reload["remedies"]:
            self.screen.line(lines.remedies(target, names))

    def _shown(self, update: updates.Shown, mimes: Mapping[str, bytes], to: str | None) -> None:
        if to is not None:
            self.outcome.values.append(update)
        else:
            self.screen.draw(display.shown_bundle(mimes))

    def _progress(self, value: Any) -> None:
        self.progressed += 1
        if self.progressed > _MOST_CHUNKS:
            self._lead(f"progress: {pretty.shown(value)}")
        else:
            self.screen.line((self.outcome.target, "progress", pretty.shown(value)))

    def _chunk(self, value: Any) -> None:
        self.outcome.chunks += 1
        if self.outcome.chunks > _MOST_CHUNKS:
            self._lead(f"streaming: {self.outcome.chunks} chunks")
            return
        for bundle in display.value_bundles(value):
            self.screen.draw(bundle)

    def _lead(self, text: str) -> None:
        """Say how far it is, but no more often than a page can follow."""
        if time.monotonic() - self.led_at > _LEAD_SECONDS:
            self.led_at = time.monotonic()
            self.screen.lead((self.outcome.target, "handler", text), final=False)
