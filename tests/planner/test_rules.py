"""Each rule of the planner is needed: without it, this series of programs ends stale."""

from __future__ import annotations

import random
from typing import Iterator
from unittest import mock

import pytest

from tests.planner import differential, library
from tests.planner.ablation import RULES, without
from tests.planner.differential import difference
from tests.planner.jobs import try_jobs

_HELPER = "a = [1]\ndef f():\n    return a"
_COUNTER = (
    "class C:\n    n = 0\n    @property\n    def q(self):\n        self.n += 1\n"
    "        return self.n\nc = C()"
)
CASES: dict[str, list[list[str]]] = {
    "undo of what old steps spoiled": [["x = 1\ny = [x]\ny.append(2)", "x = 1\ny = [x]"]],
    "undo of mutations (of binds only)": [["a = [1]\na.append(2)", "a = [1]"]],
    "anti-dependence": [["a = [1]\na.append(2)", "a = [1]\nb = len(a)\na.append(2)"]],
    "moved steps": [["a = [1]\na.append(2)\nx = len(a)", "a = [1]\nx = len(a)\na.append(2)"]],
    "aliases": [
        ["a = [1]\nb = [a]\nb[0].append(2)", "a = [1]\nb = [a]"],
        [
            "a = [1]\nd = {'k': a}\nx = len(a)",
            "a = [1]\nd = {'k': a}\nd['k'].append(1)\nx = len(a)",
        ],
    ],
    "calls change their arguments": [["a = [3]\nlist.append(a, 1)", "a = [3]"]],
    "effects through functions": [
        ["a = [1]\ndef f():\n    a.append(1)\nf()", "a = [1]\ndef f():\n    a.append(1)"]
    ],
    "results of functions": [
        [_HELPER + "\nf().append(1)", _HELPER],
        [_HELPER + "\ndef g():\n    f().append(2)\ng()", _HELPER + "\ndef g():\n    f().append(2)"],
    ],
    "library state": [
        [
            "import modelkit\nmodelkit.set_seed(1)\nm = modelkit.LOAD(1)",
            "import modelkit\nm = modelkit.LOAD(1)",
        ]
    ],
    "probed resources": [["import os\nos.environ['RPNB_TEST_HOME'] = '1'", "import os"]],
    "active kinds": [
        ["it = iter([1, 2, 3])\nx = 2 in it", "it = iter([1, 2, 3])"],
        [_COUNTER + "\nx = c.q", _COUNTER],
        [
            "import collections\nd = collections.defaultdict(list)\nx = d['k']",
            "import collections\nd = collections.defaultdict(list)",
        ],
    ],
    "observed binds": [
        ["Q1 = 1\nfrom modelkit import *", "Q1 = 1"],
        ["Q1 = 1\nx = Q1", "Q1 = 1\nfrom modelkit import *\nx = Q1", "Q1 = 1\nx = Q1"],
    ],
}


@pytest.fixture(autouse=True)
def _same_library_state_after() -> Iterator[None]:
    state, generator = library.save(), random.getstate()
    library.reset()
    yield
    library.load(state)
    random.setstate(generator)


def _case_ids(rule: str) -> list[tuple[str, list[str]]]:
    return [(rule, texts) for texts in CASES[rule]]


@pytest.mark.parametrize(
    ("rule", "texts"), [pair for rule in CASES for pair in _case_ids(rule)], ids=str
)
def test_series_is_right_with_the_rule_and_stale_without_it(rule: str, texts: list[str]) -> None:
    assert difference(texts) == ""
    with without(rule):
        assert difference(texts)


def test_every_rule_has_a_case() -> None:
    assert set(CASES) == set(RULES)


def test_writes_of_jobs_are_needed() -> None:
    with mock.patch("tests.planner.warm.served", lambda executed, handler: ()):
        assert any(try_jobs(seed, differential.Tally()) for seed in range(40))
