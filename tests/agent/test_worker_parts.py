"""The worker's small parts, each alone: probes, sure stores, futures, cells of lines."""

from __future__ import annotations
import __future__

import ast
import asyncio
import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rpnb.agent.directory import RunDirectory
from rpnb.agent.worker_cancel import Cancellation
from rpnb.agent.worker_code import Executor, future_flags
from rpnb.agent.worker_failure import NeedsRestart
from rpnb.agent.worker_modules import local_modules
from rpnb.agent.worker_probe import Prober, differing
from rpnb.agent.worker_program import Layout, WireProgram
from rpnb.agent.worker_spoil import spoiled_names
from rpnb.agent.worker_start import Starts
from rpnb.agent.worker_steps import Steps
from rpnb.agent.worker_trace import details
from rpnb.planner.effects import RESOURCES
from rpnb.planner.plan import Plan, Reason, Rerun

CHANGES: dict[str, Callable[[], Any]] = {
    "environ": lambda: os.environ.update(RPNB_TEST_PROBE="1"),
    "cwd": lambda: os.chdir("/"),
    "path": lambda: sys.path.append("/nowhere"),
    "logging": lambda: logging.getLogger("rpnb.test").setLevel(logging.ERROR),
    "warnings": lambda: warnings.simplefilter("always"),
    "random": lambda: random.seed(5),
    "numpy.random": lambda: np.random.seed(5),
    "numpy.options": lambda: np.set_printoptions(precision=2),
    "pandas.options": lambda: pd.set_option("display.max_rows", 7),
}


@pytest.fixture
def prober(tmp_path: Path) -> Iterator[Prober]:
    """A prober; everything it reads is put back after the test."""
    os.chdir(tmp_path)
    prober = Prober()
    before = prober.read()
    yield prober
    for resource, state in before.items():
        prober.restore(resource, state)


@pytest.mark.parametrize("resource", CHANGES)
def test_change_is_seen_and_restored(prober: Prober, resource: str) -> None:
    before = prober.read()
    CHANGES[resource]()

    assert differing(before, prober.read()) == {resource}
    prober.restore(resource, before[resource])
    assert differing(before, prober.read()) == frozenset()


def test_every_resource_of_the_planner_is_probed(prober: Prober) -> None:
    assert set(prober.read()) == RESOURCES


def test_secrets_outlive_a_restored_environment(prober: Prober) -> None:
    before = prober.read()
    prober.secrets["RPNB_TEST_SECRET"] = "s"
    prober.restore("environ", before["environ"])

    assert os.environ.pop("RPNB_TEST_SECRET") == "s"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("pipe.x = 1", ["pipe"]),
        ("pipe.a[0].b += 1", ["pipe"]),
        ("del cfg['k']", ["cfg"]),
        ("for pipe.x in y: pass", ["pipe"]),
        ("a, *cfg[0] = y", ["cfg"]),
        ("pipe = 1", []),
        ("pipe = 1\npipe.x = 2", []),
        ("pipe.half()", []),
        ("other.x = 1", []),
        ("def f():\n    pipe.x = 1", []),
        ("print(pipe.x)", []),
    ],
)
def test_only_sure_stores_into_the_program_spoil(source: str, names: list[str]) -> None:
    assert spoiled_names(ast.parse(source).body, {"pipe", "cfg"}) == names


def test_future_flags_are_those_of_the_text() -> None:
    body = ast.parse("'''doc'''\nfrom __future__ import annotations, generator_stop").body

    assert future_flags(body) & __future__.annotations.compiler_flag
    assert future_flags(ast.parse("import os").body) == 0


def _program(**parts: Any) -> WireProgram:
    return WireProgram({"text": "", "origins": [], "cells": [], "files": {}, "env": {}, **parts})


def test_line_belongs_to_the_cell_that_covers_it() -> None:
    program = _program(origins=[[3, 2, "a", 1], [1, 1, None, 1], [6, 1, "b", 1]])

    cells = [program.cell_of(line) for line in range(1, 8)]
    assert cells == [None, None, "a", "a", None, "b", None]


@pytest.mark.parametrize("path", ["../out", "/etc/x", "a/../../x"])
def test_file_outside_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    directory = RunDirectory(tmp_path / "run" / "w")
    directory.create()
    with pytest.raises(ValueError, match="inside app"):
        Layout(directory).write(_program(files={path: ["0" * 64, 0]}))


def test_module_hash_covers_what_it_imports(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run" / "w")
    directory.create()
    (directory.values / ("a" * 64)).write_text("import low")
    for name in "bc":
        (directory.values / (name * 64)).write_text(f"x = '{name}'")

    def hashes(low: str) -> dict[str, str]:
        files = {"top.py": ["a" * 64, 1], "low/__init__.py": [low * 64, 1], "own.py": ["b" * 64, 1]}
        return local_modules(directory, _program(files=files)).tops()

    before, after = hashes("b"), hashes("c")
    assert {name for name in before if before[name] != after[name]} == {"top", "low"}


STATELESS = [
    "import os\nLOG = __import__",
    "import logging\nlog = logging.getLogger(__name__)\nLIMIT = (1, 2)\ndef f(x):\n    return x",
    "class A:\n    size: int = 3\n    @property\n    def p(self):\n        return 1",
    "try:\n    import numpy\nexcept ImportError:\n    pass",
    "def main():\n    pass\nif __name__ == '__main__':\n    main()",
]
STATEFUL = [
    "SEEN = []",
    "N = 0\ndef f():\n    global N\n    N += 1",
    "import functools\n@functools.lru_cache\ndef f(x):\n    return x",
    "class A:\n    seen = []",
    "x = make()",
    "def f(x, seen=[]):\n    seen.append(x)",
]


@pytest.mark.parametrize("text", [*STATELESS, *STATEFUL])
def test_module_with_state_comes_anew_with_its_importers(tmp_path: Path, text: str) -> None:
    directory = RunDirectory(tmp_path / "run" / "w")
    directory.create()
    (directory.values / ("a" * 64)).write_text("import low")
    (directory.values / ("b" * 64)).write_text(text)
    files = {"top.py": ["a" * 64, 1], "low.py": ["b" * 64, 1]}
    found = local_modules(directory, _program(files=files)).load("top").modules

    assert found == ({"top", "low"} if text in STATEFUL else {"top"})


def test_chained_exceptions_keep_both_tracebacks() -> None:
    try:
        try:
            _ = {}["missing"]
        except KeyError as inner:
            raise ValueError("outer") from inner
    except ValueError as error:
        found = details(error, "/nowhere")

    text = "\n".join(found["traceback"])
    assert "KeyError: 'missing'" in text
    assert "direct cause" in text
    assert (found["type"], found["message"]) == ("ValueError", "outer")


def test_exception_whose_text_raises_is_still_reported() -> None:
    class Rude(Exception):
        def __str__(self) -> str:
            raise OSError("no")

    assert "raised OSError" in details(Rude(), "/nowhere")["message"]


def test_steps_that_undo_each_other_for_ever_take_a_new_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, loop, plans = RunDirectory(tmp_path / "w"), asyncio.new_event_loop(), list[Plan]()
    directory.create()
    executor = Executor(loop, Cancellation(loop))
    steps = Steps(directory, {"__name__": "__main__"}, executor, Starts())

    def sync(text: str) -> None:
        program = WireProgram({"text": text, "origins": [], "cells": [], "files": {}})
        steps.sync(program, show=None, again=None, on_plan=lambda todo, _: plans.append(todo))

    sync("x = 1")
    monkeypatch.setattr(steps, "_plan", lambda _: Plan(run=(Rerun(0, Reason("new")),)))
    with pytest.raises(NeedsRestart):
        sync("x = 2")
    assert plans[-1].restart == Reason("endless")
    loop.close()
