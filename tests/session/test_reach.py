import contextlib
import threading

import pytest

from rpnb.errors import LinkLost
from rpnb.session import reach as reaches
from rpnb.session.reach import Options, Reach
from rpnb.transport.targets import parse


class Frozen:
    """A transport that is logged in, and whose link then falls silent for ever."""

    def __init__(self):
        self.closed = threading.Event()

    def again(self):
        return self

    def connect(self, socket, bridge):
        assert self.closed.wait(60)
        raise LinkLost("closed")

    def close(self):
        self.closed.set()


@pytest.mark.parametrize("way", ["dial", "beside"])
def test_stream_that_does_not_open_has_a_limit(monkeypatch, way):
    monkeypatch.setattr(reaches, "_OPENING", 0.05)
    monkeypatch.setattr(reaches, "_OPENING_AGAIN", 0.05)
    reach = Reach(parse("local"), "w", Options())
    reach._transport, reach.ready = Frozen(), reaches.bootstrap.Ready("s", "b", "p", None, "/", "w")
    with pytest.raises(LinkLost):
        if way == "dial":
            reach.dial()
        else:
            with reach.beside():
                pass


def test_stream_that_did_not_open_in_time_is_given_longer_the_next_time(monkeypatch):
    monkeypatch.setattr(reaches, "_OPENING", 0.05)
    monkeypatch.setattr(reaches, "_OPENING_AGAIN", 0.01)
    reach, given = Reach(parse("local"), "w", Options()), []
    reach.ready = reaches.bootstrap.Ready("s", "b", "p", None, "/", "w")
    limited = reaches._limited
    monkeypatch.setattr(
        reaches, "_limited", lambda seconds, way: given.append(seconds) or limited(seconds, way)
    )
    for _ in range(5):
        reach._transport = Frozen()
        with pytest.raises(LinkLost):
            reach.dial()
    assert given == [0.01, 0.02, 0.04, 0.05, 0.05]


READY = reaches.bootstrap.Ready("s", "b", "p", None, "/", "w")


def gone(monkeypatch, start):
    """The way to an agent that was there, and whose host must start it again by `start`."""
    reach = Reach(parse("local"), "w", Options())
    reach._transport, reach.ready = Frozen(), READY
    reach._miss()
    monkeypatch.setattr(reaches.bootstrap, "start", start)
    return reach


def test_preparing_an_agent_that_is_gone_has_a_limit(monkeypatch):
    monkeypatch.setattr(reaches, "_PREPARING", 0.05)
    reach = gone(monkeypatch, lambda transport, *_, **__: transport.connect("s", "b"))
    with pytest.raises(LinkLost):
        reach.dial()


def test_limit_of_preparing_is_three_minutes_and_the_first_time_there_is_none(monkeypatch):
    """As documented; the first time a person watches, and may interrupt it."""
    given, frozen = [], Frozen()

    @contextlib.contextmanager
    def limited(seconds, transport):
        given.append(seconds)
        yield

    monkeypatch.setattr(reaches, "_limited", limited)
    reach = gone(monkeypatch, lambda *_, **__: given.append("prepared") or READY)
    frozen.close()
    for known in (READY, None):
        reach._transport, reach.ready, reach._is_gone = frozen, known, True
        with pytest.raises(LinkLost):
            reach.dial()
    assert given == [180.0, "prepared", reaches._OPENING, "prepared", reaches._OPENING]
