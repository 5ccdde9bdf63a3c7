"""This notebook: its remote cells, tests, session, and what it remembers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadNotebook, NoHandler, ProgramError
from . import cell_ids
from .explaining import Reasons
from .inputs import Test
from .memory import Memory, for_worker

if TYPE_CHECKING:
    from ..program.cells import Cell, Cells, Magic
    from ..program.names import Names
    from ..program.options import Options
    from ..program.provenance import Provenance
    from ..program.steps import Program
    from ..session.result import Result
    from ..session.session import Session

# Jobs that `--verify` runs again; the oldest give way.
_MOST_RECORDED = 20


@dataclass(frozen=True)
class Recorded:
    """A job that was run, what came of it, and the text of the program that it ran through."""

    job: Mapping[str, Any]
    result: Result
    text: str


@dataclass
class Notebook:
    """The state behind the magics; one for each IPython shell."""

    shell: Any
    path: Path | None = None
    session: Session | None = None
    memory: Memory = field(default_factory=lambda: Memory(None))
    tests: dict[str, Test] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    kept: list[Mapping[str, Any]] = field(default_factory=list)
    gpus: list[Mapping[str, Any]] = field(default_factory=list)
    recorded: dict[str, Recorded] = field(default_factory=dict)
    reasons: Reasons = field(default_factory=Reasons)
    base: Program | None = None
    # Ids of cells that came with the worker and have not run in this kernel.
    from_before: set[str] = field(default_factory=set)
    # The running cell: its number, its text as typed, and what IPython says of it.
    number: int = 0
    raw_cell: str = ""
    cell_info: Any = None
    # The handler cell that ran last: with several, its handler is the program's.
    handler_id: str = ""
    # How each cell fared at the last sync, by its id: {"state", "seconds", "names"}.
    fared: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    # Names that scratch cells bound on the worker.
    scratch_names: set[str] = field(default_factory=set)
    # The worker's name, where no path gives one.
    worker: str = ""
    # Labels of comment cells (`# %%runpod_…`) that ran here before the extension was loaded.
    ran_here: list[str] = field(default_factory=list)
    # The cells and the handler's id before the running cell's `put`.
    _before: tuple[list[Cell], str] | None = None
    # The event hooks that the extension registered: (event, function).
    hooks: list[tuple[str, Any]] = field(default_factory=list)

    # Made when first asked for: loading the extension must not import the program's room.
    @cached_property
    def cells(self) -> Cells:
        """The program's remote cells, in order."""
        from ..program.cells import Cells

        return Cells()

    @cached_property
    def provenance(self) -> Provenance:
        """Which statements made what the ordinary cells left."""
        from ..program.provenance import Provenance

        return Provenance()

    @property
    def target(self) -> str:
        """The word that leads each line."""
        return self.session.target.label if self.session else "rpnb"

    @property
    def folder(self) -> Path:
        """The notebook's folder, else the working directory."""
        return self.path.parent if self.path else Path.cwd()

    @property
    def handler_cell(self) -> Cell | None:
        """The handler cell that ran last, else the last one in order; None without any."""
        found = [cell for cell in self.cells if cell.kind == "handler"]
        ran = [cell for cell in found if cell.id == self.handler_id] or found
        return ran[-1] if ran else None

    def begin_cell(self, info: Any) -> None:
        """Note which cell is about to run, before any magic of it is called."""
        if not info.store_history:
            # A part of a cell: `%%capture` runs the text below it as a cell of its own.
            return
        self.raw_cell, self.cell_info, self._before = info.raw_cell or "", info, None
        # Versions of IPython differ in whether execution_count is this cell's by now.
        self.number = self.number + 1 if self.number else self._first_number()
        self.path = self.path or cell_ids.notebook_path(self.shell.user_ns)
        for gone in cell_ids.deleted(self.shell):
            self.drop(gone)

    def end_cell(self, result: Any) -> None:
        """Note what an ordinary cell made, once it has run."""
        if not result.info.store_history:
            return
        self.number = result.execution_count or self.number
        if result.success and _has_code(self.raw_cell) and self.magic() is None:
            self.record_cell(self.raw_cell, self.label)

    def record_cell(self, raw: str, label: str) -> None:
        """Note what the statements of a cell made."""
        text = self.shell.transform_cell(raw)
        self.provenance.record(label, text, self.shell.user_ns, raw=raw)

    def record(self, text: str) -> None:
        """Note what statements that ran here made; `text` has the running cell's line numbers."""
        self.provenance.record(self.label, text, self.shell.user_ns)

    def _first_number(self) -> int:
        history = getattr(self.shell.history_manager, "input_hist_parsed", None)
        return len(history) if history else int(self.shell.execution_count)

    @property
    def label(self) -> str:
        """What a person calls the running cell: "cell 3"."""
        return f"cell {self.number or self.shell.execution_count}"

    def magic(self) -> Magic | None:
        """The magic of the running cell as the person sees it."""
        from ..program.cells import parse_magic

        return parse_magic(self.raw_cell)

    def cell(self, kind: str, options: Options, body: str) -> Cell:
        """Return the running cell; it is not part of the program yet."""
        from ..program.cells import Cell

        found = self.magic()
        return Cell(
            id=cell_ids.current(self.shell, self.cell_info) or self._id_by_text(),
            kind=kind,
            name=options.word or "",
            label=self.label,
            source=body,
            first_line=found.first_line if found else 2,
        )

    def put(self, cell: Cell, options: Options) -> tuple[Cell, Program]:
        """Add the cell, or replace its earlier version; return it with the program.

        A cell of which no program can be made is left out again: nothing of it ran.

        Raises:
            ProgramError: the cells do not make a program.
        """
        self._before = list(self.cells), self.handler_id
        placed = self.cells.put(cell)
        if cell.kind == "handler":
            self.handler_id = placed.id
        self._arrange()
        try:
            program = self.build(send=[each.word for each in options.all("send")])
        except ProgramError:
            self.take_back()
            raise
        self.from_before.discard(placed.id)
        return placed, program

    def take_back(self) -> None:
        """Undo the last `put` of the running cell: what it brought was not sent."""
        if self._before is None:
            return
        cells, self.handler_id = self._before
        for each in list(self.cells):
            self.cells.drop(each.id)
        for each in cells:
            self.cells.put(each)
        self._before = None

    def build(self, *, send: list[str] | None = None) -> Program:
        """Return the program of the cells as they are now.

        Raises:
            ProgramError: they do not make one; says where and why.
        """
        from ..program.build import build

        last = self.handler_cell
        cells = sorted(self.cells, key=lambda cell: cell == last)
        program = build(cells, self.names(send), env=self.env, base=self.base)
        # What a value was captured as serves again after its local name is gone.
        self.base = program
        return program

    def names(self, send: Collection[str] | None = None) -> Names:
        """Return this notebook's own names, as remote cells may use them."""
        from ..program.names import Names

        return Names(
            self.shell.user_ns,
            self.provenance,
            self.folder,
            hidden=self.shell.user_ns_hidden,
            python=str(self.session.info.get("python") or "") if self.session else "",
            packages=self.session.info.get("packages") if self.session else None,
            send=send or (),
        )

    def with_handler(self) -> Program:
        """Return the program, which has a handler.

        Raises:
            NoHandler: no handler cell has run.
        """
        if self.handler_cell is None:
            raise NoHandler("there is no handler yet: run a %%runpod_handler cell first")
        return self.build()

    def drop(self, key: str) -> Cell | None:
        """Take the cell with this id, NAME or label out of the program; return it."""
        cell = self.cells.drop(key)
        if cell is not None:
            self.from_before.discard(cell.id)
        return cell

    def adopt(self, session: Session) -> None:
        """Make the session this notebook's own; the worker's cells count as run."""
        self.session, self.kept = session, session.kept
        self.scratch_names.clear()
        self.fared.clear()
        target = self.memory.target
        self.memory = for_worker(session.worker)
        self.memory.keep(target=session.target.text or target)
        if self.path is not None:
            self.memory.keep(path=str(self.path), cells=self.saved_ids())
        if is_headless():
            # What the notebook does shall not depend on what ran before.
            self.memory.forget("input")
            return
        if session.adopted is None:
            return
        self.base = session.adopted
        self.env = {**session.adopted.env, **self.env}
        mine = list(self.cells)
        for cell in mine:
            self.cells.drop(cell.id)
        for cell in session.adopted.cells:
            lasts = cell_ids.is_lasting(cell.id)
            self.from_before.add(self.cells.adopt(cell, keeps_id=lasts).id)
        if not self.handler_id and (last := self.handler_cell) is not None:
            self.handler_id = last.id
        for cell in mine:
            self.from_before.discard(self.cells.put(cell).id)

    def remember(self, job: Mapping[str, Any]) -> None:
        """Note the job of a form, a run or a test: the next handler cell runs its input again."""
        plain = _without_id(job)
        self.memory.keep(input=plain if len(plain) > 1 else job.get("input"))

    def record_job(self, job: Mapping[str, Any], result: Result) -> None:
        """Keep a job and what came of it, to be proved in a fresh process."""
        import json

        if result.status == "CANCELLED":
            return
        key = json.dumps(_without_id(job), sort_keys=True)
        self.recorded.pop(key, None)
        self.recorded[key] = Recorded(job, result, self.base.text if self.base else "")
        while len(self.recorded) > _MOST_RECORDED:
            del self.recorded[next(iter(self.recorded))]

    def strays(self) -> list[str]:
        """Labels of cells of the program that the saved notebook no longer has."""
        saved = self.saved_ids()
        if not saved:
            return []
        # An id with a colon is no notebook file's: rpnb's own, or a front end's address.
        known = [c for c in self.cells if c.id in self.from_before and ":" not in c.id]
        return [
            f"{cell.label} ({cell.name or cell.kind})" for cell in known if cell.id not in saved
        ]

    def _arrange(self) -> None:
        """Give the cells the saved notebook's order; one that it had and has no more is deleted."""
        ids = self.saved_ids()
        if not ids:
            return
        for gone in set(self.memory.cell_ids) - set(ids):
            self.drop(gone)
        self.memory.keep(cells=ids)
        self.cells.arrange(ids)

    def _id_by_text(self) -> str:
        """The id of the saved cell that has the running cell's text; "" where none has.

        nbclient and its like give no ids: of cells with the same text the first
        that has not run yet is meant.
        """
        same = [key for key, text in self._saved_cells() if text.strip() == self.raw_cell.strip()]
        ran = {cell.id for cell in self.cells}
        return next((key for key in same if key not in ran), same[0] if same else "")

    def saved_ids(self) -> list[str]:
        """The ids of the saved notebook's cells, in order; empty where there is no file."""
        return [key for key, _ in self._saved_cells()]

    def _saved_cells(self) -> list[tuple[str, str]]:
        """The id and text of each cell of the saved notebook that has an id."""
        if self.path is None or not self.path.exists():
            return []
        # An unreadable file is the export's business; here it only gives no order.
        with contextlib.suppress(OSError, ValueError, BadNotebook):
            import json

            found = json.loads(self.path.read_text(encoding="utf-8"))
            cells = [cell for cell in found.get("cells", []) if cell.get("id")]
            return [(str(cell["id"]), "".join(cell.get("source") or "")) for cell in cells]
        return []


def _without_id(job: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in job.items() if key != "id"}


def _has_code(text: str) -> bool:
    """Whether a cell is more than line magics, which leave nothing to record."""
    return any(
        line.strip() and (line.startswith("%%") or not line.startswith("%"))
        for line in text.splitlines()
    )


def is_headless() -> bool:
    """Whether rpnb's command line executes this notebook."""
    return os.environ.get("RPNB_HEADLESS") == "1"
