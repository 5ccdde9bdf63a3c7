"""Each rule of the planner is needed: without it, this series of programs ends stale."""

from __future__ import annotations

import pytest

from tests.planner.ablation import RULES
from tests.planner.differential import difference
from tests.planner.stage import Stage
from tests.planner.version import Version

_HELPER = "a = [1]\ndef f():\n    return a"
_COUNTER = (
    "class C:\n    n = 0\n    @property\n    def q(self):\n        self.n += 1\n"
    "        return self.n\nc = C()"
)
_START = "import runpod; runpod.serverless.start({'handler': handler})"
_SETS = "import os\nos.environ['RPNB_TEST_HOME'] = '{}'"
_PATCH = "import json\ndef patch(c):\n    c.tag = 1"
_METHOD = "class P:\n    def go(self): return {}\n    def no(self): return 1\np = P()\ny = p.go()"


def _served(does: str) -> list[Version]:
    """A handler fills `C` with what an edited function gives, then."""
    handler = f"def handler(job):\n    if not C: {does}\n    return C[0]"
    texts = ("C = []", "def f(): return [1]", handler, _START)
    return [
        Version((texts[0], f, *texts[2:]), jobs=(1,), hidden=frozenset({"C"}))
        for f in (texts[1], texts[1].replace("1", "2"))
    ]


def _beside(module: str, *texts: str) -> list[Version]:
    return [Version((text,), {"lm.py": module.encode()}) for text in texts]


CASES: dict[str, list[list[str] | list[Version]]] = {
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
    "what jobs store": [_served("C.append(f())")],
    "what jobs move unseen": [_served("list(map(C.append, [f()]))")],
    "what local modules do": [
        _beside(
            "S = []\ndef add(n): S.append(n)",
            "import lm\nlm.add(1)\nx = list(lm.S)",
            "import lm\nlm.add(2)\nx = list(lm.S)",
        )
    ],
    "what their functions keep": [
        _beside(
            "def get(n, c=[]):\n    c.append(n)\n    return c[0]",
            "import lm\nx = lm.get(1)",
            "import lm\nx = lm.get(2)",
        )
    ],
    "settings that they make": [
        [
            Version(
                (f"import os\nimport {one}\nimport {other}\nx = os.environ['RPNB_TEST_HOME']",),
                {f"l{n}.py": _SETS.format(n).encode() for n in (1, 2)},
            )
            for one, other in (("l1", "l2"), ("l2", "l1"))
        ]
    ],
    "libraries handed to functions": [
        [
            f"{_PATCH}\npatch(json.JSONEncoder)\nx = hasattr(json.JSONEncoder, 'tag')",
            f"{_PATCH}\nx = hasattr(json.JSONEncoder, 'tag')",
        ]
    ],
    "what containers hold": [["c = [iter([1, 2, 3])]\nx = 2 in c[0]", "c = [iter([1, 2, 3])]"]],
    "what constants are": [
        [
            "c = {'a': [1], 'n': 1}\ndef f(): return c['a']\nx = f()\nx.append(2)",
            "c = {'a': [1], 'n': 1}\ndef f(): return c['a']\nx = f()",
        ]
    ],
    "which fields are the same": [
        ["c = {'m': 1, 'n': 1}\nx = c['m']", "c = {'m': 2, 'n': 1}\nx = c['m']"]
    ],
    "methods that ran are run again": [[_METHOD.format(1), _METHOD.format(2)]],
}


@pytest.mark.parametrize("rule", CASES)
def test_series_are_right_with_the_rule_and_stale_without_it(stage: Stage, rule: str) -> None:
    every = [
        [each if isinstance(each, Version) else Version((each,)) for each in versions]
        for versions in CASES[rule]
    ]
    assert [difference(stage, versions) for versions in every] == [""] * len(every)
    with Stage(without=rule) as crippled:
        found = [difference(crippled, versions) for versions in every]
    assert all(found)
    # A rule that cannot be taken out proves nothing.
    assert not [each for each in found if "raised in the test" in each]


def test_every_rule_has_a_case() -> None:
    assert set(CASES) == set(RULES)
