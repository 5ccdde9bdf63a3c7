"""This notebook: its remote cells, tests, session, and what it remembers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NoHandler, ProgramError
from . import cell_ids
from .memory import Memory, for_worker
from .page import Page
from .program_cells import ProgramCells
from .reasons import Reasons

if TYPE_CHECKING:
    from ..program.cells import Cell, Magic
    from ..program.names import Names
    from ..program.options import Options
    from ..program.own import Own, Sent
    from ..program.provenance import Provenance
    from ..program.steps import Program
    from ..session.result import Result
    from ..session.session import Session
    from .inputs import Test

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
    page: Page = field(default_factory=Page)
    session: Session | None = None
    memory: Memory = field(default_factory=lambda: Memory(None))
    tests: dict[str, Test] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    # Secrets of `%runpod_env` by target and worker, which this one's successor there gets, too.
    secrets: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict, repr=False)
    kept: list[Mapping[str, Any]] = field(default_factory=list)
    gpus: list[Mapping[str, Any]] = field(default_factory=list)
    recorded: dict[str, Recorded] = field(default_factory=dict)
    reasons: Reasons = field(default_factory=Reasons)
    base: Program | None = None
    # Plain settings that came with the worker, and that this notebook did not send.
    foreign_settings: set[str] = field(default_factory=set)
    # The running cell: its number, its text as typed, and what IPython says of it.
    number: int = 0
    raw_cell: str = ""
    cell_info: Any = None
    # Names that scratch cells bound on the worker.
    scratch_names: set[str] = field(default_factory=set)
    # The worker's name, where no path gives one.
    worker: str = ""
    # Labels of comment cells (`# %%runpod_…`) that ran here before the extension was loaded.
    ran_here: list[str] = field(default_factory=list)
    # The event hooks that the extension registered: (event, function).
    hooks: list[tuple[str, Any]] = field(default_factory=list)

    @cached_property
    def cells(self) -> ProgramCells:
        """The program's remote cells, in order."""
        return ProgramCells(self.page, self.reasons, is_typed=not is_unattended(self.shell))

    # Made when first asked for: loading the extension must not import the program's room.
    @cached_property
    def provenance(self) -> Provenance:
        """Which statements made what the ordinary cells left."""
        from ..program.provenance import Provenance

        return Provenance()

    @cached_property
    def sent(self) -> Sent:
        """What this notebook is known to have sent to the target."""
        from ..program.own import Sent

        return Sent()

    @property
    def target(self) -> str:
        """The word that leads each line."""
        return self.session.target.label if self.session else "rpnb"

    @property
    def path(self) -> Path | None:
        """The notebook's file, as the front end named it when the kernel began."""
        return self.page.path

    @property
    def folder(self) -> Path:
        """The notebook's folder, else the working directory."""
        return self.path.parent if self.path else Path.cwd()

    def begin_cell(self, info: Any) -> None:
        """Note which cell is about to run, before any magic of it is called."""
        if not info.store_history:
            # A part of a cell: `%%capture` runs the text below it as a cell of its own.
            return
        self.raw_cell, self.cell_info = info.raw_cell or "", info
        # Versions of IPython differ in whether execution_count is this cell's by now.
        self.number = self.number + 1 if self.number else self._first_number()
        self.page.path = self.page.path or cell_ids.notebook_path(self.shell.user_ns)
        self.page.begin(cell_ids.current(self.shell, info), self.raw_cell)
        # A cell that runs again sets anew what it sets.
        self._unset([k for k, cell in self.page.settings.items() if cell == self.page.running])
        self.cells.begin(cell_ids.deleted(self.shell))

    def end_cell(self, result: Any) -> None:
        """Note what an ordinary cell made, once it has run."""
        if not result.info.store_history:
            return
        self.number = result.execution_count or self.number
        if not result.success:
            return
        magic = self.magic()
        self.cells.end(magic.kind if magic else None)
        if magic is None and _has_code(self.raw_cell):
            self.record_cell(self.raw_cell, self.label)

    def record_cell(self, raw: str, label: str) -> None:
        """Note what the statements of a cell made."""
        text = self.shell.transform_cell(raw)
        self.provenance.record(label, text, self.shell.user_ns, raw=raw)

    def python(self, text: str) -> str:
        """Return an ordinary cell's text as Python, IPython's syntax as calls of `get_ipython()`.

        Magics that only measure or hide what a cell does are left out.
        """
        from ..program.selection import without_measures

        plain: str = self.shell.transform_cell(without_measures(text))
        return plain

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
            # An address is none: it names another cell when the notebook is opened again.
            id="" if cell_ids.is_address(self.page.running) else self.page.running,
            kind=kind,
            name=options.word or "",
            label=self.label,
            source=body,
            first_line=found.first_line if found else 2,
            send=tuple(each.word for each in options.all("send")),
        )

    def put(self, cell: Cell) -> tuple[Cell, Program]:
        """Add the cell, or replace its earlier version; return it with the program.

        A cell of which no program can be made is left out again: nothing of it ran.

        Raises:
            ProgramError: the cells do not make a program.
        """
        self.read_page()
        placed = self.cells.put(cell)
        try:
            program = self.build()
        except ProgramError:
            self.cells.take_back()
            raise
        return placed, program

    def read_page(self) -> None:
        """Bring the program's cells in line with the notebook's file, if that has changed."""
        self.cells.read_page(self.names())
        self._unset(self.page.unset())
        self.memory.keep(settings=dict(self.page.settings))
        if self.page.ids:
            self.memory.keep(cells=self.page.ids)

    def set(self, name: str, value: str) -> None:
        """Make a plain setting part of the program, as long as the running cell says so."""
        self.env[name] = value
        self.foreign_settings.discard(name)
        if self.page.running:
            self.page.settings[name] = self.page.running

    def _unset(self, names: Iterable[str]) -> None:
        for name in names:
            self.env.pop(name, None)
            self.page.settings.pop(name, None)

    def drop(self, cell: Cell) -> None:
        """Take a cell out of the program, also of the one that the worker still has."""
        self.cells.drop(cell.id)
        self.memory.keep(dropped=[*self.memory.dropped, [cell.id, cell.source]])

    def build(self) -> Program:
        """Return the program of the cells as they are now.

        Raises:
            ProgramError: they do not make one; says where and why.
        """
        from ..program.build import build
        from ..program.own import Own

        self.read_page()
        cells, own = self.cells.in_order(), Own(frozenset(self.cells.from_before), self.sent)
        try:
            program = build(cells, self.names(), env=self.env, base=self.base, own=own)
        except ProgramError as problem:
            problem.args = ("\n".join([str(problem), *self.cells.told()]), *problem.args[1:])
            raise
        # What a value was captured as serves again after its local name is gone.
        self.base = program.without_blobs()
        self._remember_sent(program, own)
        return program

    def _remember_sent(self, program: Program, own: Own) -> None:
        settings = {k: v for k, v in self.env.items() if k not in self.foreign_settings}
        self.sent = self.sent.with_program(program, own, settings)
        if self.session is not None:
            self.memory.keep_sent(self.session.target.text, self.sent.facts())
            self.memory.keep(send={cell.id: list(cell.send) for cell in self.cells if cell.send})

    def names(self) -> Names:
        """Return this notebook's own names, as remote cells may use them."""
        from ..program.names import Names
        from ..program.skew import There

        return Names(
            self.shell.user_ns,
            self.provenance,
            self.folder,
            hidden=self.shell.user_ns_hidden,
            there=There.of(self.session.info) if self.session else None,
            send={name for cell in self.cells for name in cell.send},
        )

    def with_handler(self) -> Program:
        """Return the program, which has a handler.

        Raises:
            NoHandler: no handler cell has run.
        """
        if self.cells.handler is None:
            raise NoHandler("there is no handler yet: run a %%runpod_handler cell first")
        return self.build()

    def adopt(self, session: Session) -> None:
        """Make the session this notebook's own; the worker's cells count as run."""
        self.session, self.kept = session, session.kept
        self.scratch_names.clear()
        target = self.memory.target
        self.memory = for_worker(session.worker)
        self.memory.keep(target=session.target.text or target)
        self.page.remembers(self.memory.cell_ids)
        if session.adopted is None:
            self._part_from_others()
        if is_headless():
            # What the notebook does shall not depend on what ran before.
            self.memory.forget("input")
        elif session.adopted is not None:
            self._adopt_program(session)
        self.read_page()
        if self.path is not None:
            self.memory.keep(path=str(self.path))

    def _part_from_others(self) -> None:
        """What another worker handed over, and is not from here, is no business of this one's."""
        from ..program.own import Own, Sent

        self.cells.keep_only(self.sent.has)
        self._unset(self.foreign_settings)
        self.foreign_settings = set()
        if self.base is not None:
            self.base = self.sent.less_foreign(self.base)
            # The rest is between this notebook and the other target.
            self.sent = Sent().with_program(self.base, Own(), {})

    def _adopt_program(self, session: Session) -> None:
        from ..program.own import Sent

        program = session.adopted
        assert program is not None
        self._unset(self.foreign_settings)
        self.sent = Sent.of(self.memory.sent(session.target.text))
        if self.sent.is_too_foreign(program):
            size = sum(len(each.source) for each in program.cells) / 1e6
            self.cells.tell(
                f"the worker's program, {size:.1f} MB, is not known to be from here: cells that "
                "this notebook did not send are left out. Run yours again"
            )
            program = self.sent.less_foreign(program)
        self.cells.adopt(program, self.memory.dropped, self.memory.send)
        self.base = program
        self._adopt_settings(program)

    def renewed(self) -> None:
        """Take note that the worker is a new process: nothing of the old one is left."""
        self.kept = []
        self.scratch_names.clear()
        self.cells.fared.clear()

    def _adopt_settings(self, program: Program) -> None:
        """Take over the worker's plain settings, less those that lines of remote cells make."""
        from ..program.ipython_syntax import translate

        own = {name for cell in program.cells for name in translate(cell.source).env}
        known = {name: value for name, value in program.env.items() if name not in own}
        self.page.settings = {
            **{name: cell for name, cell in self.memory.settings.items() if name in known},
            **self.page.settings,
        }
        foreign = {name for name in known if not self.sent.has_setting(name, known[name])}
        self.foreign_settings = foreign - self.env.keys()
        self.env = {**known, **self.env}

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


def _without_id(job: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in job.items() if key != "id"}


def _has_code(text: str) -> bool:
    """Whether a cell is more than line magics, which leave nothing to record."""
    return any(
        line.strip() and (line.startswith("%%") or not line.startswith("%"))
        for line in text.splitlines()
    )


def is_unattended(shell: Any) -> bool:
    """Whether nobody sits at this kernel to answer a question (nbclient, papermill)."""
    kernel = getattr(shell, "kernel", None)
    return is_headless() or (kernel is not None and not getattr(kernel, "_allow_stdin", False))


def is_headless() -> bool:
    """Whether rpnb's command line executes this notebook."""
    return os.environ.get("RPNB_HEADLESS") == "1"
