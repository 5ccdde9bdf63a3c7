"""The state machine of client and agent: it holds for the product, and for no broken one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from rpnb.errors import ProtocolError
from tests.faults.conftest import IS_LONG
from tests.faults.machine import Wire
from tests.faults.mutants import LIKE, MUTANTS

# The longest search takes 15 s of processor time.
pytestmark = pytest.mark.timeout(180)

OPTIONS = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    # Examples are large by nature.
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)
# The same examples each time, the first that fails as it is.
ONCE = settings(
    OPTIONS,
    max_examples=400,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    phases=[Phase.generate],
)


def test_whatever_is_cut_or_killed_each_request_runs_once_and_each_event_comes_once():
    run_state_machine_as_test(Wire, settings=OPTIONS)


@pytest.mark.slow  # 400 examples take 20 s
def test_machine_holds_in_every_example_that_catches_a_broken_implementation():
    # The short form: in the first of them.
    options = ONCE if IS_LONG else settings(ONCE, max_examples=100)
    run_state_machine_as_test(Wire, settings=options)


@pytest.mark.parametrize(
    "broken",
    [pytest.param(name, marks=[pytest.mark.long] * (name in LIKE)) for name in MUTANTS],
)
def test_machine_fails_for_a_broken_implementation(broken, monkeypatch):
    for target, name, replacement in MUTANTS[broken]:
        monkeypatch.setattr(target, name, replacement)
    # No other error: it would be of the mutant's own making.
    with pytest.raises((AssertionError, ProtocolError)):
        run_state_machine_as_test(Wire, settings=ONCE)
