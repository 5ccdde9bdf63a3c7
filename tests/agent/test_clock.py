"""A clock that is set: limits, graces and idle times follow the steady one alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rpnb.agent import desk, idle, requests
from rpnb.agent.directory import RunDirectory
from rpnb.agent.known import Trace
from rpnb.protocol.messages import Cancel, Hello, Ping, Submit

YEAR = 365 * 86_400.0


@pytest.fixture
def clock(monkeypatch):
    """The two clocks of the agent, as a test sets them."""
    clock = SimpleNamespace(steady=1000.0, day=1e9)
    both = SimpleNamespace(monotonic=lambda: clock.steady, time=lambda: clock.day)
    for module in (desk, idle, requests):
        monkeypatch.setattr(module, "time", both)
    return clock


@pytest.fixture(params=[-YEAR, YEAR], ids=["back", "ahead"])
def jump(request, clock):
    """Set the clock by a year, while `seconds` go by."""

    def jump(seconds):
        clock.day += request.param
        clock.steady += seconds

    return jump


def running(clock, **options):
    """A request whose job has just begun, and what the journal says of it."""
    job = {"id": "j", "input": {}, "policy": {"executionTimeout": 5000}}
    request = requests.Request("r", Submit("r", jobs=[job], **options), None)
    trace = Trace("r", clock.day, 1, {}, {}, jobs={"j": clock.day})
    assert request.overdue(trace) is None
    return request, trace


@pytest.mark.parametrize("options", [{}, {"timeout": 5.0}], ids=["its policy", "--timeout"])
def test_time_limit_of_a_job_counts_seconds_that_went_by(clock, jump, options):
    request, trace = running(clock, **options)
    jump(4)
    assert request.overdue(trace) is None
    jump(2)
    assert "timed out after 5 s" in request.overdue(trace).reason


def test_cancelled_job_has_its_grace_time(clock, jump):
    request, _ = running(clock)
    request.stop(Cancel("r"))
    jump(1)
    assert request.kill_at - clock.steady == requests.GRACE - 1


def test_idle_time_counts_seconds_that_went_by(tmp_path, clock, jump):
    unused = idle.Idle(RunDirectory(tmp_path), 100)
    jump(40)
    assert unused.left() == 60
    jump(60)
    assert unused.left() == 0


def test_driver_has_its_time_to_give_a_sign_of_life(tmp_path, clock, jump):
    said, taken, dropped = [], [], []
    record = SimpleNamespace(traces={}, known=SimpleNamespace(forgotten={}))
    charge = SimpleNamespace(submit=lambda submit, _client: taken.append(submit.request))

    def drop(client):
        dropped.append(client)
        counter.leave(client)

    place = RunDirectory(tmp_path)
    counter = desk.Desk(place, record, charge, idle.Idle(place, 3600.0), drop)
    driver = SimpleNamespace(hello=Hello("driver"), say=said.append)
    other = SimpleNamespace(hello=Hello("other"), say=said.append)
    counter.receive(driver, Submit("its own"))
    counter.receive(other, Submit("waits"))
    jump(2)
    counter.step()
    assert (said, taken, dropped) == ([Ping(0)], ["its own"], [])
    jump(2)
    counter.step()
    assert (taken, dropped) == (["its own", "waits"], [driver])
