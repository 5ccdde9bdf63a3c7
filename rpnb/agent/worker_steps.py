"""Bringing the namespace up to the program: plan, drop, run, and say what happened.

The promise: afterwards the namespace is what a fresh process running the file would
have. What must run for that is the planner's business; here it is done and measured.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, replace
from typing import Any, Callable, Collection, Iterable, Sequence

from ..planner import kinds, plan
from ..planner.facts import Facts
from ..planner.known import models
from ..planner.local import NONE
from ..planner.misses import did_nothing
from ..planner.plan import Executed, Plan, Reason, Rerun, Step
from ..planner.states import Given, State
from . import worker_forks, worker_release
from .directory import RunDirectory
from .worker_around import Around, Traces
from .worker_code import Executor, compile_docstring, compile_statement, future_flags
from .worker_failure import NeedsRestart, RequestFailed, failure_of
from .worker_lent import Lent
from .worker_lines import refresh_lines
from .worker_methods import replace_methods
from .worker_modules import are_found_by, local_modules, purge, statements, unseen_change
from .worker_probe import Prober, Probes
from .worker_program import Layout, WireProgram
from .worker_requirements import Requirements
from .worker_running import Background, end
from .worker_served import Served
from .worker_start import Starts
from .worker_sync import Cell, Sync
from .worker_trace import syntax_details
from .worker_variables import Variables

# A plan is made again while steps show effects that their text did not. After more
# rounds than this two steps undo each other, and only a new process ends it.
_MAX_ROUNDS = 20


@dataclass
class Ran:
    """A step that has been executed: what the planner knows of it, and what it does not."""

    executed: Executed
    serial: int
    at: float
    traces: Traces


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
        self.ran: list[Ran] = []
        self.prober = Prober()
        # Names that scratch cells changed since their steps ran.
        self.spoiled: set[str] = set()
        # Told the ids of values that are about to go, so that nobody else keeps them.
        self.on_drop: Callable[[Collection[int]], None] = lambda _: None
        self._directory, self._executor, self._starts = directory, executor, starts
        self._file = os.fspath(directory.app / "handler.py")
        self._watch = kinds.Watch(namespace)
        self._layout = Layout(directory)
        self._requirements = Requirements(directory)
        app = os.fspath(directory.app)
        self._background = Background(app, executor.loop)
        self._around = Around(self.prober, app, executor.loop)
        self._variables = Variables(self.prober)
        self._served = Served(self._watch, self.prober, self._background)
        self._serial = 0
        # What `from __future__` lines the steps were compiled with.
        self._flags = 0
        # The local modules as they are now; those that are another than when imported.
        self._modules = self._before = NONE
        self._changed: frozenset[str] = frozenset()
        # The serial number of the last step when the last sync ended.
        self._settled = 0
        # The last plan and its sync, if the namespace equals the program and start() ran.
        self._complete: tuple[Plan, Sync] | None = None

    @property
    def kinds(self) -> dict[str, str]:
        """The run-time kind of each name of the program."""
        return self._watch.kinds

    @property
    def executed(self) -> list[Executed]:
        """What the planner knows of the steps that have run."""
        return [ran.executed for ran in self.ran]

    def after_job(self, is_cancelled: bool) -> None:
        """Note what the job that just ended may have left in the globals."""
        start = self._start()
        self._served.note(start)
        if start is not None and is_cancelled:
            for half in plan.half_written(self.executed, start):
                self.spoil(half)

    def _start(self) -> Step | None:
        """The step that registered the handler."""
        return next((r.executed.step for r in self.ran if r.serial == self._starts.by), None)

    def spoil(self, name: str) -> None:
        """Count the steps that made `name` as failed: they run again at the next sync."""
        self._complete = None
        self.spoiled.add(name)
        for ran in self.ran:
            if name in ran.executed.binds or name in ran.executed.step.names:
                ran.executed = replace(ran.executed, ok=False)

    def sync(
        self,
        program: WireProgram,
        *,
        show: str | None,
        again: str | None,
        on_plan: Callable[[Plan, Sync], None],
    ) -> Sync:
        """Make the namespace equal to a fresh run of `program`.

        `on_plan` is told the plan before anything is dropped; where it raises
        RequestFailed, all stays as it was. A step that raises ends the sync; that
        is in the returned one's `failure`.

        Raises:
            RequestFailed: the text does not parse, or `on_plan` says no.
            NoSpace: its files find no room; nothing was dropped.
            NeedsRestart: after `on_plan` was told why.
        """
        if again is None and self._is_complete(program):
            return self._nothing_to_do(on_plan)
        self._variables.begin()
        before = (self.program, self._modules, self._changed)
        sync = self._begin(program, show, again)
        was_fresh = not self.ran
        for round_number in range(_MAX_ROUNDS + 1):
            if was_fresh and round_number > 0:
                # This process is the fresh one: it has run the program and nothing else.
                todo = _settled(sync, len(self.ran))
            elif round_number == _MAX_ROUNDS:
                todo = Plan(restart=Reason("endless"))
            else:
                todo = self._plan(sync)
            if round_number == 0 or todo.restart is not None:
                try:
                    on_plan(todo, sync)
                except RequestFailed:
                    self.program, self._modules, self._changed = before
                    if self.program is not None:
                        self._layout.write(self.program)
                    raise
            if todo.restart is not None:
                raise NeedsRestart
            if todo.is_settled:
                if self._settle(todo, sync):
                    break
                continue
            self._apply(todo, sync)
            if sync.failure is not None:
                break
            sync.needs_new = self._variables.unread()
        self._around.forget()
        return sync

    def _is_complete(self, program: WireProgram) -> bool:
        return self._complete is not None and self._complete[1].program.wire == program.wire

    def _nothing_to_do(self, on_plan: Callable[[Plan, Sync], None]) -> Sync:
        assert self._complete is not None
        todo, last = self._complete
        cells = {cell: Cell(names=found.names) for cell, found in last.cells.items()}
        sync = Sync(last.program, last.new, last.flags, None, None, cells, last.lent)
        on_plan(replace(todo, run=()), sync)
        return sync

    def _begin(self, program: WireProgram, show: str | None, again: str | None) -> Sync:
        if again is not None:
            self._complete = None
            for ran in self.ran:
                if self.program and self.program.cell_of(ran.executed.step.line) == again:
                    ran.executed = replace(ran.executed, ok=False)
        try:
            modules = local_modules(self._directory, program)
            new = plan.steps(program.text, modules)
        except SyntaxError as error:
            cell = program.cell_of(error.lineno or 1)
            raise RequestFailed("plan", syntax_details(error, "handler.py"), cell) from None
        loads = {path for step in new for path in step.facts.loads | step.facts.deferred_loads}
        shown = {path.partition(".")[0] for path in loads}
        shown |= modules.led_to(loads) | self._modules.led_to(loads)
        unseen = unseen_change(self._directory, self.program, program, shown)
        self._layout.write(program)
        needs_new = self._requirements.meet(program.requirements) or unseen
        flags = future_flags(step.statement.node for step in new)
        lent = Lent([step.facts for step in new], lambda top: top in modules)
        sync = Sync(program, new, flags, show, again, {c: Cell() for c in program.cells}, lent)
        sync.needs_new = needs_new if self.ran else None
        for index, step in enumerate(new):
            place = sync.cell_of(index)
            if place is not None:
                place.names += [name for name in step.names if name not in place.names]
        self._work_out()
        before, now = self._modules.tops(), modules.tops()
        self._changed |= {name for name in before if before[name] != now.get(name)}
        self.program, self._before, self._modules = program, self._modules, modules
        return sync

    def _work_out(self) -> None:
        """Find out what jobs have left since the last sync."""
        program = self.program
        self._served.work_out(
            [ran.executed.step for ran in self.ran],
            self._modules,
            lambda tops: statements(self._directory, program, tops) if program else {},
        )

    def _plan(self, sync: Sync) -> Plan:
        if not self.ran:
            self._variables.apply(sync.program.env)
            self._served.forgive_environment()
        # Settings are read while modules are imported: only a fresh process sees another one.
        changed = self._variables.changed(sync.program.env) or sync.needs_new
        if changed is not None:
            return Plan(restart=Reason("changed", changed))
        setting = self._served.lost_setting(sync.new)
        if setting is not None:
            return Plan(restart=Reason("job", setting))
        todo = plan.plan(
            self.executed,
            sync.new,
            kinds=self._watch.kinds,
            models=self._models(sync.new),
            job_writes=self._served.writes,
            local=(self._before, self._modules),
            settled=sum(ran.serial <= self._settled for ran in self.ran),
        )
        if todo.restart is not None:
            return todo
        thread = self._background.thread_of(self._served.lost_runs(todo.job_writes))
        if thread is not None:
            return Plan(restart=Reason("thread", thread))
        if "path" in todo.restore and are_found_by(self._lost_entries(todo.restore["path"])):
            # What was imported from there, another directory may have, too.
            return Plan(restart=Reason("changed", "sys.path"))
        return self._plan(sync) if self._undo_forks(todo) else todo

    def _undo_forks(self, todo: Plan) -> bool:
        """Count the steps as failed that keep processes with the code from before an edit.

        Tell whether there are any.
        """
        if not todo.swapped and all(rerun.reason.kind == "always" for rerun in todo.run):
            return False
        forked = worker_forks.holders(self.namespace)
        kept = [self.ran[old] for _, old in todo.keep]
        stale = [ran for ran in kept if not forked.isdisjoint(ran.executed.binds)]
        for ran in stale:
            ran.executed = replace(ran.executed, ok=False)
        return bool(stale)

    def _lost_entries(self, old: int) -> list[str]:
        """Return what `sys.path` has got since before an old step ran."""
        before = self._state_before(old)["path"]
        return [entry for entry in self.prober.read()["path"] if entry not in before]

    def _state_before(self, old: int) -> Probes:
        """Return how all was before a step ran; one behind the last stands for the jobs."""
        return self.ran[old].traces.before if old < len(self.ran) else self._served.before

    def _state(self, facts: Facts) -> State:
        """Return how all is now that a statement which only looks calls, and hands over."""
        called = {name for name, _ in facts.looks}
        given = sorted(facts.reads - called & self.namespace.keys())
        return State(*([self.namespace[name] for name in names] for names in (called, given)))

    def _models(self, steps: Iterable[Step]) -> dict[str, frozenset[str]]:
        """Return what the values that these steps look at answer now without changing."""
        every = [step.facts.whole for step in steps]
        names = frozenset[str]().union(*(facts.reads for facts in every if facts.looks))
        found = models(self.namespace, names, self._modules.tops())
        wanted: dict[str, frozenset[str]] = {}
        for facts in every:
            for name, parts in facts.parts.items():
                wanted[name] = wanted.get(name, frozenset()) | parts
        for name, parts in plan.unchanging(self.namespace, wanted).items():
            found[name] = found.get(name, frozenset()) | parts
        return found

    def set_env(self, values: dict[str, str]) -> None:
        """Set variables that no step of the program sets; they outlive a restored environment."""
        self._variables.set(values)
        self._served.forgive_environment()

    def _settle(self, todo: Plan, sync: Sync) -> bool:
        """Nothing is left but what always runs: start(). False where something is, after all."""
        if not self._keep(todo, [old for _, old in todo.keep], sync):
            return False
        self._starts.keep_only({ran.serial for ran in self.ran})
        for rerun in todo.run:
            self._run(rerun, sync)
            if sync.failure is not None:
                return True
        self._complete = (todo, sync)
        self.spoiled.clear()
        every = [ran.executed.step for ran in self.ran]
        self._served.rest(every, self._start(), self._modules)
        self._settled = self._serial
        return True

    def _apply(self, todo: Plan, sync: Sync) -> None:
        self._complete = None
        lost = self._served.lost_runs(todo.job_writes)
        kept = {old for _, old in todo.keep}
        undone = [ran for old, ran in enumerate(self.ran) if old not in kept]
        sync.notes += self._hints(todo, undone)
        self._served.writes = todo.job_writes
        self._served.set_back(todo.unset)
        for resource, old in todo.restore.items():
            self.prober.restore(resource, self._state_before(old)[resource])
        self._requirements.keep_on_path()
        self._around.forget()
        worker_forks.stop(self.namespace.get(name) for name in todo.drop)
        end(pid for ran in undone for pid in ran.traces.children)
        self._background.cancel(lost, [task for ran in undone for task in ran.traces.tasks])
        self._drop(todo.drop, kept)
        # What failed may have imported modules that no step shows.
        purge(todo.purge | self._changed)
        self._changed = frozenset()
        starts = [ran for ran in self.ran if ran.executed.step.facts.is_start]
        self._keep(todo, sorted(kept), sync)
        reruns = [rerun for rerun in todo.run if rerun.reason.kind != "always"]
        for rerun in reruns:
            self._run(rerun, sync)
            if sync.failure is not None:
                # start() does not run now: what it bound when it did is to be dropped some day.
                self.ran += starts
                self._leave_rest(rerun, reruns, sync)
                return

    def _hints(self, todo: Plan, undone: Iterable[Ran]) -> list[str]:
        """Say of what a handler loaded itself that the edit takes it along."""
        starts = [ran.executed.step.facts for ran in self.ran if ran.executed.step.facts.is_start]
        handler = frozenset[str]().union(*(each.reads | each.deferred_reads for each in starts))
        names = {name for ran in undone for name in ran.executed.step.names}
        found = self._served.taken_along(todo.job_writes, names, handler)
        what = ", ".join(f"`{each}`" for each in found)
        hint = (
            f"each edit of the handler drops {what}, which it fills itself: what a set-up cell "
            "fills, or a function of its own (`def get(): …`), stays"
        )
        return [hint] if found else []

    def _keep(self, todo: Plan, order: Sequence[int], sync: Sync) -> bool:
        """Keep the executed steps of `order`, each as it stands in the new program.

        False where an edited class could not be changed in place: it is to run again.
        """
        now = {old: sync.new[new] for new, old in todo.keep}
        moved = [(self.ran[old].executed.step, now[old]) for old in order]
        refresh_lines(moved, self.namespace, self._file, (self._flags, sync.flags))
        self._flags = sync.flags
        lost = {
            id(new)
            for old, new in moved
            if not replace_methods(old, new, self.namespace, self._file, sync.flags)
        }
        self._watch.renew()
        if todo.swapped:
            self._watch.look()
        for swapped in todo.swapped:
            self._count(swapped.index, 0.0, sync)
        self.ran = [self.ran[old] for old in order]
        for ran, (_, step) in zip(self.ran, moved):
            ran.executed = replace(
                ran.executed, step=step, ok=ran.executed.ok and id(step) not in lost
            )
        return not lost

    def _drop(self, names: Collection[str], kept: Collection[int]) -> None:
        values = [self.namespace[name] for name in names if name in self.namespace]
        # What failed may have left half a model in the frames that it went through.
        has_failed = any(not ran.executed.ok for ran in self.ran)
        is_heavy = has_failed or not worker_release.are_plain(values)
        begun = self._background.begun()
        self._watch.drop(names)
        self._starts.keep_only({self.ran[old].serial for old in kept})
        self.on_drop({id(value) for value in values})
        del values
        worker_release.forget_traces()
        if is_heavy:
            worker_release.collect()
        self._background.close_dropped(begun)

    def _run(self, rerun: Rerun, sync: Sync) -> None:
        step, error = sync.new[rerun.index], None
        answers = self._models([step])
        is_known = plan.is_known(step.facts.whole.looks, answers)
        state = self._state(step.facts.whole) if is_known else None
        handed = step.facts.calls - step.facts.changes
        given = Given({n: self.namespace[n] for n in handed & self.namespace.keys()})
        self._serial += 1
        self._starts.running = self._serial
        settings = plan.settings(ran.executed.step for ran in self.ran)
        self._around.begin(step, sync.lent)
        loaded = frozenset(sys.modules)
        self._watch.start()
        started = time.perf_counter()
        try:
            self._execute(step, sync, rerun.index)
        except BaseException as raised:  # noqa: BLE001 - a step may raise anything; it is reported
            error = raised
        seconds = time.perf_counter() - started
        self._starts.running = None
        traces = self._around.end(step, sync.lent)
        executed = Executed(
            step,
            ok=error is None,
            did_nothing=error is not None
            and did_nothing(step.statement.node, self.namespace, error),
            binds=self._watch.stop(),
            writes=traces.writes,
            pure=state is not None and state.is_same(),
            fixed=plan.fixed(step.facts.whole.parts, answers),
            unchanged=given.unchanged() if error is None else frozenset(),
            modules=frozenset() if step.facts.loads else self._imported_since(loaded),
            seconds=seconds,
            settings=settings,
        )
        self.ran.append(Ran(executed, self._serial, time.time(), traces))
        if error is not None:
            cell = sync.program.cell_of(step.line)
            sync.failure = failure_of(error, "step", os.fspath(self._directory.app), cell)
        if error is not None or rerun.reason.kind != "always":
            self._count(rerun.index, seconds, sync)

    def _imported_since(self, loaded: Collection[str]) -> frozenset[str]:
        """Return the local modules that have been imported since these were all."""
        new = {name.partition(".")[0] for name in sys.modules if name not in loaded}
        return frozenset(top for top in new if top in self._modules)

    def _count(self, index: int, seconds: float, sync: Sync) -> None:
        sync.ran_steps += 1
        cell = sync.cell_of(index)
        if cell is not None:
            cell.state = "ran" if sync.failure is None else "failed"
            cell.seconds += seconds
            cell.ran += [name for name in sync.new[index].names if name not in cell.ran]

    def _execute(self, step: Step, sync: Sync, index: int) -> None:
        node, file = step.statement.node, self._file
        if "__doc__" in step.facts.binds:
            self._executor.run(compile_docstring(node, file, sync.flags), self.namespace)
        value = self._executor.run(compile_statement(node, file, sync.flags), self.namespace)
        if sync.is_shown(index):
            sync.value, sync.has_value = value, True

    def _leave_rest(self, failed: Rerun, reruns: Iterable[Rerun], sync: Sync) -> None:
        for later in reruns:
            cell = sync.cell_of(later.index)
            if later.index > failed.index and cell is not None and cell.state == "kept":
                cell.state = "not run"


def _settled(sync: Sync, count: int) -> Plan:
    """Return the plan of a program whose steps have all run, once and in order."""
    starts = [i for i, step in enumerate(sync.new) if step.facts.is_start]
    others = [i for i, step in enumerate(sync.new) if not step.facts.is_start]
    return Plan(
        run=tuple(Rerun(index, Reason("always")) for index in starts),
        keep=tuple(zip(others, range(count))),
    )
