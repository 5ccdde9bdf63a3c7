"""After any series of edits the warm namespace equals that of a fresh process."""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.planner import ablation, differential, library
from tests.planner.jobs import try_jobs

# Another seed each day widens what is tried; RPNB_SEED repeats a run.
_SEED = int(os.environ.get("RPNB_SEED", time.strftime("%y%m%d000")))
_SECONDS = float(os.environ.get("RPNB_SECONDS", "8"))


@pytest.fixture(autouse=True)
def _same_library_state_after() -> object:
    state, generator = library.save(), random.getstate()
    yield
    library.load(state)
    random.setstate(generator)


@pytest.mark.parametrize("part", range(3))
def test_random_edits_leave_what_a_fresh_process_has(part: int) -> None:
    tally, end = differential.Tally(), time.monotonic() + _SECONDS
    seed = _SEED + part * 100_000
    while time.monotonic() < end:
        found = differential.try_seed(seed, tally)
        if found:
            smallest = "\n--- then ---\n".join(differential.shrunk(differential.series(seed)))
            pytest.fail(f"seed {seed}: {found}\nin short:\n{smallest}")
        seed += 1
    print(f"\nfrom seed {_SEED + part * 100_000}: {tally}")


def test_jobs_between_edits_leave_no_stale_answers() -> None:
    tally, end, seed = differential.Tally(), time.monotonic() + _SECONDS, _SEED
    while time.monotonic() < end:
        found = try_jobs(seed, tally)
        assert not found, f"seed {seed}: {found}"
        seed += 1
    print(f"\nfrom seed {_SEED}: {tally}")


@pytest.mark.parametrize(
    "rule",
    [
        "undo of what old steps spoiled",
        "undo of mutations (of binds only)",
        "anti-dependence",
        "moved steps",
        "library state",
        "probed resources",
    ],
)
def test_oracle_sees_a_rule_that_is_missing(rule: str) -> None:
    """The comparison must be able to fail, or it shows nothing."""
    tally = differential.Tally()
    with ablation.without(rule):
        assert any(differential.try_seed(seed, tally) for seed in range(40))
