"""Why each step of the program ran again, or stayed warm, as it was said at the last syncs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..program.steps import Program
    from ..session.updates import Planned

# So many lines about one name; the oldest give way.
_MOST = 20
_WIDEST = 44


@dataclass(frozen=True)
class Step:
    """One step of the last sync: where it stands, what it makes, and what was done with it."""

    place: str
    cell: str | None
    what: str
    names: tuple[str, ...]
    reason: str

    @property
    def fate(self) -> str:
        """What was done with it: "stayed warm", or "ran: `norm` changed"."""
        return f"ran: {self.reason}" if self.reason else "stayed warm"


@dataclass
class Reasons:
    """What was done with each step at the last sync, and with each name before."""

    at: str = ""
    restart: str = ""
    steps: list[Step] = field(default_factory=list)
    # Name -> (number of the sync, what is said of it).
    past: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    number: int = 0

    def note(self, plans: Sequence[Planned], program: Program) -> None:
        """Keep the plans of one request; a new worker's first plan follows the old one's last."""
        if not plans:
            return
        self.at, self.number = time.strftime("%H:%M:%S"), self.number + 1
        self.restart = next((plan.restart for plan in plans if plan.restart), "")
        ran = [(step, self.restart or str(step.get("reason", ""))) for step in plans[-1].run]
        every = [*ran, *((step, "") for step in plans[-1].keep)]
        every.sort(key=lambda each: each[0]["line"])
        steps = [(_step(step, reason, program), reason) for step, reason in every]
        # A line that nobody typed, such as the file's docstring, is no question.
        self.steps = [step for step, _ in steps if step.place]
        for step, reason in steps:
            for name in step.names if reason else ():
                self.past.setdefault(name, []).append((self.number, f"{self.at}  {step.fate}"))
                del self.past[name][:-_MOST]

    def rename(self, old: str, new: str) -> None:
        """A cell's id has become another one."""
        self.steps = [replace(e, cell=new) if e.cell == old else e for e in self.steps]

    def of_cell(self, cell_id: str) -> str:
        """Why steps of a cell ran at the last sync: "ran pipe: `MODEL` changed"; "" if none did."""
        ran = [each for each in self.steps if each.cell == cell_id and each.reason]
        if not ran or all(each.reason == "new" for each in ran):
            return ""
        first = next(each for each in ran if each.reason != "new")
        names = ", ".join(dict.fromkeys(name for each in ran for name in each.names))
        return f"ran {names or first.what}: {first.reason}"


def _step(step: Mapping[str, Any], reason: str, program: Program) -> Step:
    where = program.where(step["line"])
    lines = program.text.split("\n")
    text = lines[step["line"] - 1].strip() if step["line"] <= len(lines) else ""
    what = text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
    return Step(str(where) if where else "", step.get("cell"), what, tuple(step["names"]), reason)
