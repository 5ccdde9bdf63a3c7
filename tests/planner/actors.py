"""What runs in the processes that a stage forks: one fresh run, or a worker."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import hashlib
import importlib
import inspect
import os
import random
import shutil
import signal
import sys
import traceback
import types
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable, Collection

from rpnb.agent import worker
from rpnb.agent.directory import RunDirectory
from rpnb.agent.worker_cancel import Cancellation
from rpnb.agent.worker_code import Executor, compile_docstring, compile_statement, future_flags
from rpnb.agent.worker_failure import NeedsRestart, RequestFailed
from rpnb.agent.worker_modules import purge
from rpnb.agent.worker_program import WireProgram
from rpnb.agent.worker_start import Starts
from rpnb.agent.worker_steps import Steps
from rpnb.agent.worker_sync import Sync
from rpnb.planner.access import is_literal
from rpnb.planner.local import Local
from rpnb.planner.plan import Plan, Step, steps
from rpnb.planner.sources import Source
from rpnb.planner.statements import apart, split
from tests.planner import ablation, jobs, standin_models, standins
from tests.planner.grammar import group, groups
from tests.planner.outside import cleaned, seen
from tests.planner.portrait import Portrait
from tests.planner.stage import Outcome
from tests.planner.strategies import PLANNER, STRATEGIES, Strategy
from tests.planner.version import Version

_LIBRARIES = Path(__file__).parent / "lib"
# Seconds of the processor's time; a program that needs more is not used.
_LIMIT = 3.0


def prepare(*, without: str, strategy: str, has_standins: bool, preload: Collection[str]) -> None:
    """Import and set up what every forked process needs."""
    sys.path.insert(0, os.fspath(_LIBRARIES))
    runpod = types.ModuleType("runpod")
    runpod.serverless = types.SimpleNamespace(start=None)  # type: ignore[attr-defined]
    sys.modules["runpod"] = runpod
    if has_standins:
        _install_standins()
    if without:
        Options.patch = ablation.without(without)
        Options.patch.__enter__()
    Options.strategy = strategy or PLANNER
    Portrait.has_lines = Options.strategy == PLANNER
    asyncio.new_event_loop().close()
    for name in preload:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for text in (*jobs.PRELUDE, *(step for each in groups() for step in group(each).prelude)):
        steps(text)


class Options:
    """What `prepare` was told."""

    strategy = PLANNER
    # Held: what it took out would come back with its end.
    patch: Any = None


def _install_standins() -> None:
    sys.modules.update(standins.libraries())


def serve(connection: Connection, home: Path, sort: str) -> None:
    """Do what this process was forked for."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    shutil.rmtree(home, ignore_errors=True)
    actor: _Fresh | _Worker | _Known
    if sort != "warm":
        actor = _Fresh(home, skip=sort == "skip")
    elif Options.strategy == PLANNER:
        actor = _Worker(home)
    else:
        actor = _Known(home, STRATEGIES[Options.strategy])
    while True:
        try:
            version = connection.recv()
        except EOFError:
            return
        try:
            found = actor.sync(version)
        except Exception:  # noqa: BLE001 - a mistake of the test's own must be seen
            found = Outcome(error="in the test: " + traceback.format_exc())
        connection.send(found)
        if found.restart or sort != "warm":
            return


class _Actor:
    """A process that is `__main__` of programs, in a worker's directory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.directory = RunDirectory(home / "run" / "w")
        self.directory.create()
        self.module = worker._become_main(self.directory)
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        # Python seeds its generator anew in each fork.
        random.seed(1)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(1)
        self.starts = Starts()
        sys.modules["runpod"].serverless.start = self.starts.start

    def lay_out(self, version: Version) -> None:
        """Write the program's files, as the export does."""
        for path, content in version.files.items():
            target = self.directory.app / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        (self.directory.app / "handler.py").write_text(version.text)

    def execute(self, text: str) -> None:
        file = os.fspath(self.directory.app / "handler.py")
        code = compile(text, file, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        if not code.co_flags & inspect.CO_COROUTINE:
            exec(code, self.module.__dict__)
            return
        # Only cells await at their top: the others of their statements run without the loop.
        statements = split(text)
        flags = future_flags(each.node for each in statements)
        for number, each in enumerate(statements):
            if number == 0 and isinstance(each.node, ast.Expr) and is_literal(each.node.value):
                exec(compile_docstring(each.node, file, flags), self.module.__dict__)
            code = compile_statement(each.node, file, flags)
            if code.co_flags & inspect.CO_COROUTINE:
                self.loop.run_until_complete(types.FunctionType(code, self.module.__dict__)())
            else:
                exec(code, self.module.__dict__)

    def loads(self) -> list[Any]:
        """The models that were loaded in this process."""
        kit = sys.modules.get("modelkit")
        return [*(["a load"] * len(kit.LOADS) if kit else ()), *standin_models.LOADS]

    def state(self, version: Version) -> dict[str, Any]:
        """What the process holds, as plain data."""
        portrait = Portrait(self.module.__dict__, version.hidden)
        try:
            found = portrait.draw()
        except RecursionError:
            found = {}
        return cleaned({**found, **seen(portrait)}, os.fspath(self.home))

    def serve(self, version: Version, found: Outcome, after: Callable[[], None]) -> None:
        """Serve the version's jobs; `after` is called after each."""
        before, count = seen(Portrait({}, frozenset())), len(self.loads())
        for job in version.jobs:
            found.answers.append(self.answer(job))
            after()
        found.lazy = self.loads()[count:]
        now = seen(Portrait({}, frozenset()))
        found.moved = frozenset(name for name in now if now[name] != before.get(name))

    def answer(self, value: Any) -> Any:
        """Serve one job, and return its answer as plain data."""
        config = self.starts.config
        if config is None:
            return "no handler"
        try:
            result = config["handler"]({"id": "1", "input": value})
            if inspect.iscoroutine(result):
                result = self.loop.run_until_complete(result)
            elif inspect.isgenerator(result):
                result = list(result)
        except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
            return _error(error, self.home)
        return cleaned(Portrait({}, frozenset()).value(result), os.fspath(self.home))


class _Fresh(_Actor):
    """One run, as `python handler.py` would do it."""

    def __init__(self, home: Path, *, skip: bool) -> None:
        super().__init__(home)
        self._skip = skip

    def sync(self, version: Version) -> Outcome:
        self.lay_out(version)
        signal.signal(signal.SIGVTALRM, _give_up)
        signal.setitimer(signal.ITIMER_VIRTUAL, _LIMIT)
        try:
            ran = self._run_each(version) if self._skip else self._run(version)
        except BaseException as error:  # noqa: BLE001 - what a program raises is compared
            return Outcome(error=_error(error, self.home))
        found = Outcome(state=self.state(version), ran=ran, loads=self.loads())
        self.serve(version, found, lambda: None)
        return found

    def _run(self, version: Version) -> list[str]:
        self.execute(version.text)
        # Its texts alone: what the planner's facts cost would be most of a fresh run.
        every = (part.text for each in split(version.text) for part in apart(each))
        return [text for text in every if _is_counted(text)]

    def _run_each(self, version: Version) -> list[str]:
        ran = []
        for step in version.steps:
            try:
                self.execute(step)
            except Exception:  # noqa: BLE001 - whatever it raises
                continue
            ran.append(step)
        return ran


class _Known(_Actor):
    """One of the known strategies, in a process that never begins anew."""

    def __init__(self, home: Path, sort: type[Strategy]) -> None:
        super().__init__(home)
        self._strategy = sort(self.module.__dict__)
        self._tops: dict[str, str] = {}

    def sync(self, version: Version) -> Outcome:
        self.lay_out(version)
        paths = [path for path in version.files if path.endswith(".py")]
        sources = {path: Source(version.files[path].decode()) for path in paths}
        local = Local({path: repr(version.files[path]) for path in version.files}, sources)
        purge([top for top, was in self._tops.items() if local.tops().get(top) != was])
        self._tops = local.tops()
        importlib.invalidate_caches()
        try:
            new = steps(version.text, local)
        except SyntaxError as error:
            return Outcome(error=_error(error, self.home))
        return self._run(version, new)

    def _run(self, version: Version, new: list[Step]) -> Outcome:
        strategy, before = self._strategy, len(self.loads())
        todo, found = strategy.chosen(new), Outcome()
        for place, index in enumerate(todo):
            found.ran.append(new[index].statement.text)
            try:
                self.execute(new[index].statement.text)
            except Exception as error:  # noqa: BLE001 - what a program raises is compared
                left = set(todo[place:])
                strategy.before = [step for i, step in enumerate(new) if i not in left]
                found.error = _error(error, self.home)
                return found
        strategy.before = list(new)
        found.ran = [text for text in found.ran if _is_counted(text)]
        found.loads, found.state = self.loads()[before:], self.state(version)
        self.serve(version, found, lambda: None)
        return found


def _is_counted(step: str) -> bool:
    """What runs at every sync, and what is no statement, says nothing about the planner."""
    return bool(step.strip()) and step[0] != "#" and "serverless.start" not in step


def _give_up(*_: Any) -> None:
    raise TimeoutError("too long")


class _Worker(_Actor):
    """The worker's own steps, one version after the other."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        executor = Executor(self.loop, Cancellation(self.loop))
        self.steps = Steps(self.directory, self.module.__dict__, executor, self.starts)
        self._plans: list[Plan] = []

    def sync(self, version: Version) -> Outcome:
        program = self._program(version)
        again = None if version.again is None else f"s{version.again}"
        self._plans = []
        before, count = len(self.loads()), self.steps._serial
        try:
            sync = self.steps.sync(program, show=None, again=again, on_plan=self._planned)
        except NeedsRestart:
            reason = self._plans[-1].restart
            assert reason is not None
            return Outcome(restart=reason.text(), loads=self.loads()[before:])
        except RequestFailed as failed:
            return Outcome(error=_reported(failed, self.home))
        found = Outcome(
            error=_reported(sync.failure, self.home) if sync.failure else "",
            ran=[ran.executed.step.statement.text for ran in self.steps.ran if ran.serial > count],
            loads=self.loads()[before:],
            reasons=self._reasons(sync),
        )
        found.ran = [text for text in found.ran if _is_counted(text)]
        if sync.failure is None:
            found.state = self.state(version)
            self.serve(version, found, lambda: self.steps.after_job(is_cancelled=False))
        return found

    def _planned(self, todo: Plan, _sync: Sync) -> None:
        self._plans.append(todo)

    def _reasons(self, sync: Sync) -> list[str]:
        return [
            f"{sync.new[rerun.index].statement.text.splitlines()[0]}: {rerun.reason.text()}"
            for todo in self._plans
            for rerun in todo.run
            if rerun.reason.kind != "always"
        ]

    def _program(self, version: Version) -> WireProgram:
        files = {}
        for path, content in version.files.items():
            digest = hashlib.blake2b(content, digest_size=16).hexdigest()
            (self.directory.values / digest).write_bytes(content)
            files[path] = (digest, len(content))
        origins, line = [], 1
        for number, step in enumerate(version.steps):
            count = step.count("\n") + 1
            origins.append((line, count, f"s{number}", 1))
            line += count
        cells = [{"id": f"s{number}"} for number in range(len(version.steps))]
        wire = {"text": version.text, "origins": origins, "cells": cells, "files": files}
        return WireProgram(wire)


_UNPARSED = ("SyntaxError", "IndentationError", "TabError")


def _error(error: BaseException, home: Path) -> str:
    # As tracebacks name it: some of numpy's have another `__name__`.
    return _named(type(error).__qualname__.split(".")[-1], str(error), home)


def _reported(failed: RequestFailed, home: Path) -> str:
    return _named(failed.error["type"].split(".")[-1], failed.error["message"], home)


def _named(sort: str, message: str, home: Path) -> str:
    # The parser knows more of a whole file than of one statement.
    return "SyntaxError" if sort in _UNPARSED else f"{sort}: {cleaned(message, os.fspath(home))}"
