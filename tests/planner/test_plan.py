"""What an edit re-runs, keeps, restores and restarts, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks.planning import edit
from rpnb.planner.local import Local
from rpnb.planner.plan import Executed, Plan, plan, served, steps
from rpnb.planner.sources import Source

# The kinds that names of these tests have at run time, unless their text shows another.
_KINDS = {
    "x": "imm",
    "y": "imm",
    "MODEL": "imm",
    "load": "code",
    "lib": "mod",
    "os": "mod",
    "pathlib": "mod",
    "pickle": "mod",
}


def planned(old: str, new: str, **known: Any) -> Plan:
    """Return the plan after `old` ran and `new` is wanted."""
    ran = [Executed(step, binds=step.facts.binds) for step in steps(old)]
    kinds = dict.fromkeys((name for e in ran for name in e.binds), "data")
    kinds.update({name: sort for e in ran for name, sort in e.step.facts.kinds.items()})
    kinds.update({name: sort for name, sort in _KINDS.items() if name in kinds})
    return plan(ran, steps(new), kinds=kinds, **known)


def reasons(old: str, new: str, **known: Any) -> dict[str, str]:
    """Return first line of each step that runs -> why."""
    found = planned(old, new, **known)
    wanted = steps(new)
    return {wanted[r.index].statement.text.split("\n")[0]: r.reason.text() for r in found.run}


@dataclass(frozen=True)
class Case:
    """Two programs, and the steps (first lines) that run with their reasons."""

    about: str
    old: str
    new: str
    runs: dict[str, str]


_LOAD = "from lib import load\nMODEL = 'a'\nmodel = load(MODEL)\n"
CASES = [
    Case("nothing changed", _LOAD, _LOAD + "# a comment", {}),
    Case("a constant", "x = 1\ny = 2", "x = 1\ny = 3", {"y = 3": "`y` changed"}),
    Case("a reader", "x = 1\ny = x + 1", "x = 2\ny = x + 1",
         {"x = 2": "`x` changed", "y = x + 1": "uses `x`"}),
    Case("a function's global", "x = 1\ndef f():\n return x", "x = 2\ndef f():\n return x",
         {"x = 2": "`x` changed"}),
    Case("what called the function", "x = 1\ndef f():\n return x\ny = f()",
         "x = 2\ndef f():\n return x\ny = f()", {"x = 2": "`x` changed", "y = f()": "uses `x`"}),
    Case("a removed mutation", _LOAD + "model.half()", _LOAD,
         {"model = load(MODEL)": "`model.half()` was removed"}),
    Case("an edited mutation", _LOAD + "model.to('a')", _LOAD + "model.to('b')",
         {"model = load(MODEL)": "`model.to('a')` changed", "model.to('b')": "new"}),
    Case("an added mutation", _LOAD, _LOAD + "model.half()", {"model.half()": "new"}),
    Case("an alias", "a = []\nb = [a]\nb[0].append(1)", "a = []\nb = [a]",
         {"a = []": "`b[0].append(1)` was removed",
          "b = [a]": "`b[0].append(1)` was removed"}),
    Case("a mutation through a function", "a = []\ndef f():\n a.append(1)\nf()",
         "a = []\ndef f():\n a.append(1)", {"a = []": "`f()` was removed"}),
    Case("a move", "a = []\nb = {}", "b = {}\na = []", {}),
    Case("a move that matters", "x = 1\ny = x\nx = 2", "x = 2\ny = x\nx = 1",
         {"x = 2": "`x` moved", "y = x": "`y` moved", "x = 1": "uses `x`"}),
    Case("shadowing", "x = 1\nx = 2", "x = 1", {"x = 1": "`x = 2` was removed"}),
    Case("display", _LOAD + "model", _LOAD, {}),
    Case("print", _LOAD + "print(model)", _LOAD + "print(MODEL, model)",
         {"print(MODEL, model)": "new"}),
    Case("docstring", "'''a'''\n" + _LOAD, "'''b'''\n" + _LOAD, {"'''b'''": "`__doc__` changed"}),
    Case("a new import", _LOAD, "import json\n" + _LOAD, {"import json": "new"}),
    Case("a keyed load", _LOAD + "b = load('b')", _LOAD + "b = load('c')",
         {"b = load('c')": "`b` changed"}),
    Case("environment before", "import os\n" + _LOAD,
         "import os\nfrom lib import load\nos.environ['A'] = '1'\nMODEL = 'a'\nmodel = load(MODEL)",
         {"os.environ['A'] = '1'": "new",
          "model = load(MODEL)": "uses the environment, which `os.environ['A'] = '1'` sets"}),
    Case("environment after", "import os\n" + _LOAD,
         "import os\n" + _LOAD + "os.environ['A'] = '1'",
         {"os.environ['A'] = '1'": "new"}),
    Case("environment after, edited", "import os\n" + _LOAD + "os.environ['A'] = '1'",
         "import os\n" + _LOAD + "os.environ['A'] = '2'", {"os.environ['A'] = '2'": "new"}),
    Case("log level before", "import logging\n" + _LOAD,
         "import logging\nlogging.disable(1)\n" + _LOAD, {"logging.disable(1)": "new"}),
    Case("a directory", "import os\nos.makedirs('a')\n" + _LOAD, "import os\n" + _LOAD, {}),
    Case("pure", _LOAD + "model.warm(1)  # rpnb: pure", _LOAD, {}),
    Case("pure, edited", _LOAD + "w = model.warm(1)  # rpnb: pure",
         _LOAD + "w = model.warm(2)  # rpnb: pure", {"w = model.warm(2)": "`w` changed"}),
    Case("keep", _LOAD.strip() + "  # rpnb: keep\nmodel.half()", _LOAD.strip() + "  # rpnb: keep",
         {}),
    Case("keep, edited itself", _LOAD.strip() + "  # rpnb: keep",
         _LOAD.strip().replace("load(M", "load(1, M") + "  # rpnb: keep",
         {"model = load(1, MODEL)": "`model` changed"}),
    Case("start", "runpod.serverless.start({})", "runpod.serverless.start({})",
         {"runpod.serverless.start({})": "it registers the handler"}),
    Case("metaclass", "class M(type):\n seen = []\nclass A(metaclass=M): pass",
         "class M(type):\n seen = []",
         {"class M(type):": "`class A(metaclass=M): pass` was removed"}),
    Case("comprehension's variable", "a = []\nd = [a]\n[q.append(1) for q in d]", "a = []\nd = [a]",
         {"a = []": "`[q.append(1) for q in d]` was removed",
          "d = [a]": "`[q.append(1) for q in d]` was removed"}),
    Case("function's local", "a = []\ndef f():\n w = a\n w.append(1)\nf()",
         "a = []\ndef f():\n w = a\n w.append(1)", {"a = []": "`f()` was removed"}),
    Case("function's result", "a = []\ndef f():\n return a\nf().append(1)",
         "a = []\ndef f():\n return a", {"a = []": "`f().append(1)` was removed"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.about)
def test_edit_runs_these_steps_for_these_reasons(case: Case) -> None:
    assert reasons(case.old, case.new) == case.runs


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("import lib\nlib.set_mode(1)", "import lib\nlib.set_mode(2)", "`lib.set_mode(1)` changed"),
        ("import lib\nlib.set_mode(1)", "import lib", "`lib.set_mode(1)` was removed"),
        ("import lib\nlib.MODE = 1", "import lib", "`lib.MODE = 1` was removed"),
        ("from lib import login\nlogin('a')", "from lib import login", "`login('a')` was removed"),
        (
            "import atexit\n@atexit.register\ndef bye():\n pass",
            "import atexit",
            "`@atexit.register` was removed",
        ),
        ("import lib\ns = lib.A\ns['a'] = 1", "import lib\ns = lib.A", "`s['a'] = 1` was removed"),
        (
            "import os\nimport lib",
            "import os\nos.environ['A'] = '1'\nimport lib",
            "`os.environ['A'] = '1'` stands before an import that has run",
        ),
    ],
)  # fmt: skip
def test_undoing_an_unprobed_write_restarts(old: str, new: str, why: str) -> None:
    restart = planned(old, new).restart
    assert restart is not None
    assert restart.text() == why


@pytest.mark.parametrize(
    "line",
    [
        "lib.x.f",
        "os.makedirs('a')",
        "os.chdir('a')",
        "os.environ.update(A='1')",
        "logging.basicConfig(level=1)",
        "random.seed(1)",
        "torch.backends.cudnn.benchmark = True",
        "torch.cuda.empty_cache()",
        "np.random.seed(1)",
        "warnings.filterwarnings('ignore')",
        "sys.path.insert(0, 'a')",
    ],
)
def test_removing_a_probed_or_harmless_line_restarts_nothing(line: str) -> None:
    imports = "import os, logging, random, warnings, sys, lib, torch\nimport numpy as np\n"
    assert planned(imports + line, imports).restart is None


def test_removed_write_is_restored_to_before_its_first_step() -> None:
    ran = [
        Executed(s, binds=s.facts.binds) for s in steps("import os\nos.environ['A'] = '1'\nx = 1")
    ]
    ran[1] = Executed(ran[1].step, writes=frozenset({"environ"}))
    assert plan(ran, steps("import os\nx = 1"), kinds={}).restore == {"environ": 1}


def test_gone_names_are_dropped_before_anything_runs() -> None:
    found = planned("a = []\nb = [a]", "a = {}\nb = [a]")
    assert found.drop == {"a", "b"}


def test_one_of_two_values_beside_the_file_loads_alone() -> None:
    load = "{0} = pickle.loads((pathlib.Path(__file__).parent / {1!r}).read_bytes())\n"
    old = "import pathlib\nimport pickle\n" + load.format("x", "x-1") + load.format("b", "b-1")
    changed = load.format("x", "x-2").strip()
    assert list(reasons(old, old.replace("x-1", "x-2"))) == [changed]


@pytest.mark.parametrize("call", ["exec('x = 1')", "globals()"])
def test_names_that_a_module_has_of_itself_are_never_dropped(call: str) -> None:
    found = planned(f"x = [__file__, len(__name__)]\n{call}", "y = __file__")
    assert found.drop == {"x", "y"}


def test_builtin_that_a_step_was_seen_to_bind_is_dropped() -> None:
    ran = [Executed(step, binds=frozenset({"len"})) for step in steps("exec('len = 3')")]
    assert "len" in plan(ran, steps("y = len('a')"), kinds={"len": "imm"}).drop


def test_failed_step_runs_again() -> None:
    (step,) = steps("x = 1")
    found = plan([Executed(step, ok=False)], [step], kinds={})
    assert [r.reason.kind for r in found.run] == ["failed"]


def test_bind_seen_at_run_time_makes_readers_dirty() -> None:
    """`from m import *` bound x after the reader had run: the second plan re-runs it."""
    new = steps("x = 1\nfrom lib import *\ny = x")
    seen = [frozenset({"x"}), frozenset({"y"}), frozenset({"x"})]
    ran = [Executed(new[i], binds=b) for i, b in zip((0, 2, 1), seen, strict=True)]
    assert 2 in [r.index for r in plan(ran, new, kinds={"x": "imm", "y": "imm"}).run]


def test_settled_plan_keeps_in_program_order() -> None:
    new = steps("a = []\nb = {}")
    found = plan([Executed(new[1]), Executed(new[0])], new, kinds={})
    assert found.is_settled
    assert found.keep == ((0, 1), (1, 0))


def test_reading_an_iterator_changes_it() -> None:
    old = steps("it = iter([1, 2])\nx = [z for z in it]")
    ran = [Executed(step, binds=step.facts.binds) for step in old]
    found = plan(ran, old[:1], kinds={"it": "active", "x": "data"})
    assert [r.index for r in found.run] == [0]


def test_start_step_that_ran_leaves_nothing_to_undo() -> None:
    text = "if __name__ == '__main__':\n    import helper\n    runpod.serverless.start({})"
    (step,) = steps(text, _local(helper=""))
    ran = [Executed(step, binds=frozenset({"helper"}), writes=frozenset({"environ"}))]
    found = plan(ran, [step], kinds={})
    assert found.is_settled
    assert [r.reason.kind for r in found.run] == ["always"]


def test_known_pure_call_on_a_model_reloads_nothing() -> None:
    old = steps(_LOAD + "warm = model.generate('a')")
    ran = [Executed(s, binds=s.facts.binds, pure="warm" in s.facts.binds) for s in old]
    found = plan(ran, steps(_LOAD), kinds={"model": "data", "warm": "data"})
    assert not found.run


def test_same_call_on_anything_else_reloads() -> None:
    assert "model = load(MODEL)" in reasons(_LOAD + "warm = model.generate('a')", _LOAD)


_START = steps("runpod.serverless.start({'handler': handler})")[0]
_CACHE = "CACHE = {}\ndef f(k):\n return CACHE.setdefault(k, 1)\ndef handler(k):\n return f(k)"


def test_job_write_stands_while_its_function_does() -> None:
    written = served(steps(_CACHE), _START, {})
    edited = _CACHE.replace("return f(k)", "return [f(k)]")
    assert planned(_CACHE, edited, job_writes=written).job_writes == written


def test_job_write_of_an_edited_function_is_undone() -> None:
    written = served(steps(_CACHE), _START, {})
    edited = _CACHE.replace("(k, 1)", "(k, 2)")
    assert reasons(_CACHE, edited, job_writes=written) == {
        "CACHE = {}": "a job stored into `CACHE` by code that changed",
        "def f(k):": "`f` changed",
    }


def _local(**files: str) -> Local:
    """Return local modules of these texts."""
    sources = {f"{name}.py": Source(text) for name, text in files.items()}
    return Local({f"{name}.py": text for name, text in files.items()}, sources)


def test_changed_local_module_is_imported_again_with_its_users() -> None:
    text = "import helper\nx = helper.f()"
    one, two = _local(helper="def f(): return 1"), _local(helper="def f(): return 2")
    ran = [Executed(s, binds=s.facts.binds) for s in steps(text, one)]
    kinds = {"x": "imm", "helper": "mod"}
    found = plan(ran, steps(text, two), kinds=kinds, local=(one, two))
    assert [r.index for r in found.run] == [0, 1]
    assert found.purge == {"helper"}


def test_identities_of_modules_change_with_what_they_import() -> None:
    texts = {"a": "import b", "b": "import c", "c": "import a", "d": "x = 1"}
    one, other = _local(**texts).tops(), _local(**{**texts, "c": "import a\ny = 1"}).tops()
    assert {name for name in one if one[name] != other[name]} == {"a", "b", "c"}


def test_plan_of_two_hundred_steps_takes_under_ten_milliseconds() -> None:
    # Three times over for a busy machine; what it takes: `python -m benchmarks.planning`.
    assert min(edit(25, 20)) < 0.03
