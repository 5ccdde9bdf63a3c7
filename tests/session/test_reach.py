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
        assert self.closed.wait(10)
        raise LinkLost("closed")

    def close(self):
        self.closed.set()


@pytest.mark.parametrize("way", ["dial", "beside"])
def test_stream_that_does_not_open_has_a_limit(monkeypatch, way):
    monkeypatch.setattr(reaches, "_OPENING", 0.05)
    reach = Reach(parse("local"), "w", Options())
    reach._transport, reach.ready = Frozen(), reaches.bootstrap.Ready("s", "b", "p", None, "/", "w")
    with pytest.raises(LinkLost):
        if way == "dial":
            reach.dial()
        else:
            with reach.beside():
                pass
