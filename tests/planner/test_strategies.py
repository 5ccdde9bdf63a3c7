"""The known strategies, so that their figures in docs/never-stale.md stay honest."""

from __future__ import annotations

import pytest

from tests.planner import library
from tests.planner.differential import difference
from tests.planner.strategies import STRATEGIES, Definitions, FromFirstChange, Memo, measured

_AFTER = "a = [1]\np = 1\nq = 2\nr = 3\nb = [a]"
_BEFORE = _AFTER + "\nb[0].append(2)"


def test_strategy_runs_what_its_name_says() -> None:
    found = FromFirstChange(library.PROBES)
    found.sync("x = 1\ny = 2\nz = x")
    found.sync("x = 1\ny = 3\nz = x")
    assert found.ran == ["y = 3", "z = x"]


def test_definitions_run_readers_only() -> None:
    found = Definitions(library.PROBES)
    found.sync("x = 1\ny = 2\nz = x")
    found.sync("x = 2\ny = 2\nz = x")
    assert found.ran == ["x = 2", "z = x"]


def test_memo_runs_nothing_twice() -> None:
    found = Memo(library.PROBES)
    found.sync("x = 1\ny = 2")
    found.sync("y = 2\nx = 1")
    assert found.ran == []


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "the planner"])
def test_removed_change_in_place_leaves_it_stale(name: str) -> None:
    assert difference([_BEFORE, _AFTER], worker=STRATEGIES[name])


def test_planner_is_right_where_the_others_are_stale() -> None:
    assert measured("the planner", range(2)).stale == 0
    assert measured("memo by content", range(2)).stale == 2
