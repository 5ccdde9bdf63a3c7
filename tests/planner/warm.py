"""A worker in this process, with the loop of `rpnb.planner.plan`, and a fresh run beside it."""

from __future__ import annotations

import builtins
import sys
import types
from typing import Any, Callable, Collection

from rpnb.planner.kinds import Watch
from rpnb.planner.known import models
from rpnb.planner.misses import did_nothing
from rpnb.planner.plan import Executed, JobWrite, Plan, Step, is_known, plan, served, steps
from rpnb.planner.torch_modules import State

PROGRAM = "__prog__"


class Probes:
    """Library state of a test's own: `read` all of it, `write` one resource, `reset` the rest."""

    def __init__(
        self,
        read: Callable[[], dict[str, Any]] = dict,
        write: Callable[[str, Any], None] = lambda name, value: None,
        reset: Callable[[], None] = lambda: None,
    ) -> None:
        self.read, self.write, self.reset = read, write, reset

    def modules(self) -> dict[str, str]:
        """Return a hash for each local module; a test with modules on disk has some."""
        return {}

    def purge(self, names: Collection[str] | None) -> None:
        """Forget local modules; all of them for None."""


def new_module() -> types.ModuleType:
    """Return a module for a program; dataclasses look it up in sys.modules."""
    module = types.ModuleType(PROGRAM)
    vars(module)["__builtins__"] = vars(builtins)
    sys.modules[PROGRAM] = module
    return module


def execute(step: Step, namespace: dict[str, Any]) -> None:
    exec(compile(step.statement.text, "<program>", "exec"), namespace)


class Fresh:
    """Runs a whole program in a new namespace."""

    def __init__(self, probes: Probes | None = None) -> None:
        self.probes = probes or Probes()
        self.namespace: dict[str, Any] = {}
        self.ran = 0

    def sync(self, text: str) -> str | None:
        """Run `text`; return the error, if any."""
        self.probes.reset()
        self.probes.purge(None)
        self.namespace = vars(new_module())
        self.ran = 0
        for step in steps(text, self.probes.modules()):
            self.ran += 1
            try:
                execute(step, self.namespace)
            except Exception as error:  # noqa: BLE001 (what a program raises is what is compared)
                return repr(error)
        return None


class Warm:
    """Keeps a namespace from program to program, as a worker does."""

    def __init__(self, probes: Probes | None = None) -> None:
        self.probes = probes or Probes()
        self.restarts = 0
        self.rounds = 0
        self.plans: list[Plan] = []
        self._renew()

    def _renew(self) -> None:
        self.probes.reset()
        self.probes.purge(None)
        self.module = new_module()
        self.namespace = vars(self.module)
        self.watch = Watch(self.namespace, PROGRAM)
        self.executed: list[Executed] = []
        self.before: dict[int, dict[str, Any]] = {}
        self.job_writes: tuple[JobWrite, ...] = ()

    def sync(self, text: str) -> str | None:
        """Bring the namespace to what `text` makes; return the error, if any."""
        sys.modules[PROGRAM] = self.module
        new = steps(text, self.probes.modules())
        self.ran: list[str] = []
        self.plans = []
        for _ in range(12):
            todo = self._plan(new)
            self.plans.append(todo)
            if todo.restart:
                self.restarts += 1
                self._renew()
                continue
            if todo.is_settled:
                self.executed = [self.executed[old] for _, old in todo.keep]
                return None
            error = self._apply(todo, new)
            if error is not None:
                return error
        raise AssertionError("the plan never settles: " + text)

    def _plan(self, new: list[Step]) -> Plan:
        return plan(
            self.executed,
            new,
            kinds=self.watch.kinds,
            models=models(self.namespace),
            job_writes=self.job_writes,
        )

    def _apply(self, todo: Plan, new: list[Step]) -> str | None:
        for resource, old in todo.restore.items():
            self.probes.write(resource, self.before[id(self.executed[old])][resource])
        self.watch.drop(todo.drop)
        self.job_writes = todo.job_writes
        if todo.purge:
            self.probes.purge(todo.purge)
        self.executed = [self.executed[old] for old in sorted(old for _, old in todo.keep)]
        for rerun in todo.run:
            error = self._run(new[rerun.index])
            if error is not None:
                return error
        return None

    def _run(self, step: Step) -> str | None:
        is_pure = is_known(step.facts.looks, models(self.namespace))
        state = State(self.namespace[name] for name, _ in step.facts.looks) if is_pure else None
        probed = self.probes.read()
        self.watch.start()
        error, nothing = None, False
        try:
            self.ran.append(step.statement.text)
            execute(step, self.namespace)
        except Exception as raised:  # noqa: BLE001 (what a program raises is what is compared)
            error = repr(raised)
            nothing = did_nothing(step.statement.node, self.namespace, raised, PROGRAM)
        binds = self.watch.stop()
        after = self.probes.read()
        writes = frozenset(name for name in probed if probed[name] != after[name])
        done = Executed(
            step,
            ok=error is None,
            binds=binds,
            writes=writes,
            pure=state is not None and state.is_same(),
            did_nothing=nothing,
        )
        self.executed.append(done)
        self.before[id(done)] = probed
        return error

    def job(self, handler: str, *args: Any) -> Any:
        """Serve one job, as the worker does."""
        try:
            return self.namespace[handler](*args)
        finally:
            self.job_writes = tuple(
                dict.fromkeys([*self.job_writes, *served(self.executed, handler)])
            )
            self.watch.look()
