"""Bringing the namespace up to the program: plan, drop, run, and say what happened.

The promise: afterwards the namespace is what a fresh process running the file would
have. What must run for that is the planner's business; here it is done and measured.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Iterable

from ..planner import kinds, plan
from ..planner.plan import Executed, Plan, Reason, Rerun, Step
from .directory import RunDirectory
from .worker_code import Executor, compile_docstring, compile_statement, future_flags
from .worker_failure import NeedsRestart, RequestFailed, failure_of
from .worker_lines import refresh_lines
from .worker_program import WireProgram, write_files
from .worker_start import Starts
from .worker_trace import syntax_details

# A plan may have to be made again when a step shows effects that its text did not;
# more rounds than this would mean that two steps undo each other for ever.
_MAX_ROUNDS = 20


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
    cells: dict[str, Cell]
    notes: list[str] = field(default_factory=list)
    ran_steps: int = 0
    # The value of the shown cell's last expression, if it ran.
    value: Any = None
    has_value: bool = False
    # The step that raised, if one did; what follows it has not run.
    failure: RequestFailed | None = None


class Steps:
    """The steps that have been executed, and the namespace that they made."""

    def __init__(
        self,
        directory: RunDirectory,
        namespace: dict[str, Any],
        executor: Executor,
        starts: Starts,
    ) -> None:
        self.namespace = namespace
        self.program: WireProgram | None = None
        self.executed: list[Executed] = []
        # When each step ran, by its serial number.
        self.ran_at: dict[int, float] = {}
        self._directory, self._executor, self._starts = directory, executor, starts
        self._file = os.fspath(directory.app / "handler.py")
        self._watch = kinds.Watch(namespace)
        self._serial = 0
        self._job_writes: tuple[plan.JobWrite, ...] = ()

    @property
    def kinds(self) -> dict[str, str]:
        """The run-time kind of each name of the program."""
        return self._watch.kinds

    def after_job(self) -> None:
        """Note what the job that just ended may have left in the globals."""
        self._watch.look()
        handler = (self._starts.config or {}).get("handler")
        name = getattr(handler, "__name__", None)
        if isinstance(name, str):
            known = dict.fromkeys((*self._job_writes, *plan.served(self.executed, name)))
            self._job_writes = tuple(known)

    def spoil(self, name: str) -> None:
        """Count the steps that made `name` as failed: they run again at the next sync."""
        self.executed = [
            replace(e, ok=False) if name in e.binds or name in e.step.names else e
            for e in self.executed
        ]

    def sync(
        self,
        program: WireProgram,
        *,
        show: str | None,
        again: str | None,
        on_plan: Callable[[Plan, Sync], None],
    ) -> Sync:
        """Make the namespace equal to a fresh run of `program`.

        `on_plan` is told the plan before anything is dropped.

        A step that raises ends it; that is in the returned sync's `failure`.

        Raises:
            RequestFailed: the text does not parse.
            NeedsRestart: after `on_plan` was told why.
        """
        sync = self._begin(program, show)
        self._mark_again(again)
        was_fresh = not self.executed
        for round_number in range(_MAX_ROUNDS):
            todo = self._plan(sync)
            if todo.restart is not None and was_fresh:
                sync.notes.append(f"a fresh process would be no different: {todo.restart.text()}")
                break
            if round_number == 0 or todo.restart is not None:
                on_plan(todo, sync)
            if todo.restart is not None:
                raise NeedsRestart
            if round_number and todo.is_settled:
                break
            self._apply(todo, sync)
            if sync.failure is not None:
                break
        return sync

    def _begin(self, program: WireProgram, show: str | None) -> Sync:
        try:
            new = plan.steps(program.text)
        except SyntaxError as error:
            cell = program.cell_of(error.lineno or 1)
            raise RequestFailed("plan", syntax_details(error, "handler.py"), cell) from None
        changed = self.program is None or self.program.text != program.text
        if changed or self.program is None or self.program.files != program.files:
            write_files(self._directory, program, self.program)
        cells = {cell: Cell() for cell in program.cells}
        sync = Sync(program, new, future_flags(s.statement.node for s in new), show, cells)
        for step in new:
            cell = cells.get(program.cell_of(step.line) or "")
            if cell is not None:
                cell.names += [name for name in step.names if name not in cell.names]
        self.program = program
        return sync

    def _mark_again(self, again: str | None) -> None:
        if again is None or self.program is None:
            return
        for index, executed in enumerate(self.executed):
            if self.program.cell_of(executed.step.line) == again:
                self.executed[index] = replace(executed, ok=False)

    def _plan(self, sync: Sync) -> Plan:
        env = self._env_reason(sync.program)
        if env is not None:
            return Plan(restart=env)
        return plan.plan(
            self.executed,
            sync.new,
            kinds=self._watch.kinds,
            models=kinds.models(self.namespace),
            job_writes=self._job_writes,
        )

    def _env_reason(self, program: WireProgram) -> Reason | None:
        """Settings are read when modules are imported: a change needs a fresh process."""
        current = {key: os.environ.get(key) for key in program.env}
        if not self.executed:
            os.environ.update(program.env)
            return None
        differing = [key for key, value in program.env.items() if current[key] != value]
        return Reason("changed", differing[0]) if differing else None

    def _apply(self, todo: Plan, sync: Sync) -> None:
        self._job_writes = todo.job_writes
        self._drop(todo.drop)
        for name in todo.purge:
            _purge(name)
        kept = [(new, self.executed[old]) for new, old in todo.keep]
        refresh_lines(
            [(e.step, sync.new[new]) for new, e in kept], self.namespace, self._file, sync.flags
        )
        self.executed = [replace(e, step=sync.new[new]) for new, e in kept]
        self._starts.keep_only({e.serial for e in self.executed})
        for rerun in todo.run:
            self._run(rerun, sync)
            if sync.failure is not None:
                self._leave_rest(rerun, todo.run, sync)
                return

    def _drop(self, names: Iterable[str]) -> None:
        names = [name for name in names if name in self.namespace]
        heavy = any(self._watch.kinds.get(name) in ("data", "active") for name in names)
        self._watch.drop(names)
        # These hold frames, and frames hold what was just dropped.
        for name in ("last_exc", "last_type", "last_value", "last_traceback"):
            if hasattr(sys, name):
                delattr(sys, name)
        if heavy:
            gc.collect()
            torch = sys.modules.get("torch")
            cuda = getattr(torch, "cuda", None)
            if cuda is not None and cuda.is_initialized():
                cuda.empty_cache()

    def _run(self, rerun: Rerun, sync: Sync) -> None:
        step = sync.new[rerun.index]
        cell_id = sync.program.cell_of(step.line)
        cell = sync.cells.get(cell_id or "", Cell())
        self._serial += 1
        self._starts.running = self._serial
        self._watch.start()
        started = time.perf_counter()
        error = None
        try:
            self._execute(step, sync, rerun.index)
        except BaseException as raised:  # noqa: BLE001 - a step may raise anything; it is reported
            error = raised
        seconds = time.perf_counter() - started
        self._starts.running = None
        self._note(step, seconds, ok=error is None)
        sync.ran_steps += 1
        cell.state, cell.seconds = "ran" if error is None else "failed", cell.seconds + seconds
        cell.ran += [name for name in step.names if name not in cell.ran]
        if error is not None:
            app = os.fspath(self._directory.app)
            sync.failure = failure_of(error, "step", app, cell_id)

    def _execute(self, step: Step, sync: Sync, index: int) -> None:
        node, file = step.statement.node, self._file
        if index == 0:
            self._executor.run(compile_docstring(node, file, sync.flags), self.namespace)
        value = self._executor.run(compile_statement(node, file, sync.flags), self.namespace)
        if sync.show is not None and _is_shown(step, index, sync):
            sync.value, sync.has_value = value, True

    def _note(self, step: Step, seconds: float, *, ok: bool) -> None:
        binds = self._watch.stop()
        executed = Executed(step, self._serial, ok=ok, binds=binds, seconds=seconds)
        self.executed.append(executed)
        self.ran_at[self._serial] = time.time()

    def _leave_rest(self, failed: Rerun, reruns: Iterable[Rerun], sync: Sync) -> None:
        for later in reruns:
            cell = sync.cells.get(sync.program.cell_of(sync.new[later.index].line) or "")
            if later.index > failed.index and cell is not None and cell.state == "kept":
                cell.state = "not run"


def _is_shown(step: Step, index: int, sync: Sync) -> bool:
    """Tell whether the step is the shown cell's last, with no semicolon behind it."""
    if sync.program.cell_of(step.line) != sync.show:
        return False
    following = sync.new[index + 1 : index + 2]
    if following and sync.program.cell_of(following[0].line) == sync.show:
        return False
    return not ends_with_semicolon(sync.program.text, step.statement.node)


def ends_with_semicolon(text: str, node: Any) -> bool:
    """Tell whether a `;` follows the statement on its last line."""
    line = text.split("\n")[node.end_lineno - 1].encode()
    return line[node.end_col_offset :].lstrip().startswith(b";")


def _purge(module: str) -> None:
    for name in list(sys.modules):
        if name == module or name.startswith(module + "."):
            del sys.modules[name]
