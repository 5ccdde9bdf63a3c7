"""One sync: what it was asked for, and what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..planner.plan import Step
from .worker_failure import RequestFailed
from .worker_lent import Lent
from .worker_program import WireProgram


@dataclass
class Cell:
    """What a sync did to one cell."""

    state: str = "kept"
    seconds: float = 0.0
    ran: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """The cell's part of the `synced` event."""
        return {"state": self.state, "seconds": self.seconds, "names": self.ran or self.names}


@dataclass
class Sync:
    """One sync: what it was asked for, and what it did."""

    program: WireProgram
    new: list[Step]
    flags: int
    show: str | None
    again: str | None
    cells: dict[str, Cell]
    # Containers of libraries that the program names.
    lent: Lent
    notes: list[str] = field(default_factory=list)
    ran_steps: int = 0
    # The value of the shown cell's last expression, if it ran.
    value: Any = None
    has_value: bool = False
    # The step that raised, if one did; what follows it has not run.
    failure: RequestFailed | None = None
    # What only a new process can see: an installed package that replaces a loaded one.
    needs_new: str | None = None

    def cell_of(self, index: int) -> Cell | None:
        """Return the cell of step `index`, None for one that comes from no cell."""
        return self.cells.get(self.program.cell_of(self.new[index].line) or "")

    def is_shown(self, index: int) -> bool:
        """Tell whether step `index` is the shown cell's last, with no semicolon behind it."""
        step = self.new[index]
        if self.show is None or self.program.cell_of(step.line) != self.show:
            return False
        following = self.new[index + 1 : index + 2]
        if following and self.program.cell_of(following[0].line) == self.show:
            return False
        return not ends_with_semicolon(self.program.text, step.statement.node)


def ends_with_semicolon(text: str, node: Any) -> bool:
    """Tell whether a `;` follows the statement on its last line."""
    line = text.split("\n")[node.end_lineno - 1].encode()
    return bool(line[node.end_col_offset :].lstrip().startswith(b";"))
