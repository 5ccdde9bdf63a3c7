"""The known strategies, so that their figures in docs/never-stale.md stay honest."""

from __future__ import annotations

import pytest

from tests.planner.differential import difference
from tests.planner.stage import Stage
from tests.planner.strategies import STRATEGIES
from tests.planner.version import Version

_AFTER = "a = [1]\np = 1\nq = 2\nr = 3\nb = [a]"
_BEFORE = _AFTER + "\nb[0].append(2)"


@pytest.mark.parametrize(
    ("name", "ran"),
    [
        ("everything from the first changed statement down", ["y = 3", "z = x"]),
        ("definitions and uses (marimo-like)", ["y = 3"]),
        ("memo by content", ["y = 3"]),
    ],
)
def test_strategy_runs_what_its_name_says(name: str, ran: list[str]) -> None:
    with Stage(strategy=name) as stage, stage.warm() as warm:
        warm.sync(Version(("x = 1", "y = 2", "z = x")))
        assert warm.sync(Version(("x = 1", "y = 3", "z = x"))).ran == ran


@pytest.mark.parametrize("name", STRATEGIES)
def test_removed_change_in_place_leaves_it_stale(name: str) -> None:
    with Stage(strategy=name) as stage:
        assert difference(stage, [Version((_BEFORE,)), Version((_AFTER,))])


@pytest.mark.parametrize("name", STRATEGIES)
def test_program_that_nobody_edits_is_stale_with_none(name: str) -> None:
    text = "x = [1]\ndef f(): return x\nclass C:\n    def m(self): return f()"
    with Stage(strategy=name) as stage:
        assert not difference(stage, [Version((text,))] * 2)
