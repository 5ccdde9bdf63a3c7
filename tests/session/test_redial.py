import threading

import pytest

from rpnb.errors import CannotReach, HostKeyChanged, LinkLost
from rpnb.session import redial as redials
from rpnb.session.redial import Redial

TICK = 0.25


class Host:
    """What is dialled: fails with what it is told, or waits until it is let go."""

    def __init__(self, *errors):
        self.errors, self.tries = list(errors), 0
        self.wanted = []
        self.let_go = threading.Event()
        # The threads that wait, or have waited.
        self.waiting = []

    def attach(self, is_wanted):
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        self.waiting.append(threading.current_thread())
        self.let_go.wait(60)
        self.wanted.append(is_wanted())


@pytest.fixture
def clock(monkeypatch):
    """The seconds that pass, as a test says."""
    now = [0.0]
    monkeypatch.setattr(redials.time, "monotonic", lambda: now[0])
    return now


def settle(thread, host):
    """Wait until a try has come to its end, or to where it waits."""
    while thread.is_alive() and thread not in host.waiting:
        thread.join(0.001)


def dialled(redial, rung, clock, until, ticks=2000):
    """Step until a condition holds; return the seconds that it took, and the last verdict."""
    for count in range(ticks):
        verdict = redial.step(TICK)
        if redial._try is not None and redial._try.thread is not None:
            settle(redial._try.thread, redial._attach.__self__)
        if until() or verdict is not None:
            return count * TICK, verdict
        clock[0] += TICK
    raise AssertionError("it never came to that")


def made(host):
    rung = []
    return Redial(host.attach, lambda: rung.append(1)), rung


def test_first_try_is_at_once_and_pauses_grow_to_a_bound(clock):
    host = Host(*[CannotReach("no answer")] * 12)
    redial, rung = made(host)
    times = [dialled(redial, rung, clock, lambda n=n: host.tries == n)[0] for n in range(1, 13)]
    assert times[0] == 0.0
    assert sum(times[1:4]) < 3.0, "soon, at first"
    assert max(times) <= 1.5 * 15.0 + 2 * TICK
    assert len(rung) == 12


def test_pauses_differ_from_client_to_client(monkeypatch):
    pauses = set()
    for _ in range(5):
        redial, _ = made(Host())
        redial._pause()
        pauses.add(redial._pause())
    assert len(pauses) > 1


def test_error_that_no_try_can_mend_is_told(clock):
    changed = HostKeyChanged("another key")
    host = Host(CannotReach("no answer"), changed)
    redial, rung = made(host)
    assert dialled(redial, rung, clock, lambda: False)[1] is changed


def test_link_that_stays_away_for_hours_is_given_up_and_says_what_becomes_of_the_job(clock):
    host = Host(*[CannotReach("no route to host")] * 10_000)
    redial, rung = made(host)
    redial._waited = redials.PATIENCE - 60
    seconds, verdict = dialled(redial, rung, clock, lambda: False)
    assert seconds >= 60 - TICK
    assert isinstance(verdict, LinkLost)
    assert "12 h" in str(verdict) and "no route" in str(verdict) and "job goes on" in str(verdict)


def test_hours_of_sleep_are_no_patience_lost(clock):
    """Only ticks count, and a tick counts for half a second whatever the clock says."""
    redial, _ = made(Host(*[CannotReach("no answer")] * 3))
    for _ in range(8):
        clock[0] += 7 * 3600
        redial.hurry()
        assert redial.step(2 * TICK) is None


def test_try_that_is_stopped_is_not_wanted_any_more(clock):
    host = Host()
    redial, _ = made(host)
    redial.step(TICK)
    thread = redial._try.thread
    redial.stop()
    host.let_go.set()
    thread.join(60)
    assert host.wanted == [False]


def test_try_that_has_said_hello_goes_on(clock):
    host = Host()
    redial, _ = made(host)
    redial.step(TICK)
    current = redial._try
    current.is_committed = True
    redial.stop()
    host.let_go.set()
    current.thread.join(60)
    assert host.wanted == [True]


def test_try_that_freezes_is_abandoned_and_another_begins(clock):
    host = Host()
    redial, rung = made(host)
    seconds, _ = dialled(redial, rung, clock, lambda: host.tries == 2)
    # As documented: longer than the longest part of a try, preparing a fresh pod.
    assert 240 <= seconds <= 242
    host.let_go.set()
