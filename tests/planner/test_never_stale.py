"""After any series of edits the warm worker holds what a fresh process would."""

from __future__ import annotations

import os

import pytest

from tests.planner.differential import Tally, try_seed
from tests.planner.soak import shown
from tests.planner.stage import Stage

# Always the same edits, so that a failure is a change's own; `make soak` tries new ones.
_SEED = int(os.environ.get("RPNB_SEED", "261126000"))
_SERIES = 45


@pytest.mark.slow  # some 540 edits in each part, 2 minutes in all, each beside a fresh process
@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(4))
def test_random_edits_leave_what_a_fresh_process_has(stage: Stage, part: int) -> None:
    first = _SEED + part * 100_000
    tally = Tally()
    for seed in range(first, first + _SERIES):
        try_seed(stage, seed, tally)
    print(f"\nfrom seed {first}: {tally}")
    # A series ends early where Python cannot run its first program.
    assert tally.edits > 400
    assert not tally.stale, shown(stage, tally.seeds[0])


def test_oracle_sees_that_a_rule_is_missing() -> None:
    """The comparison must be able to fail on random programs, or it shows nothing."""
    with Stage(without="undo of what old steps spoiled") as stage:
        assert any(try_seed(stage, seed, Tally()) for seed in range(60))
