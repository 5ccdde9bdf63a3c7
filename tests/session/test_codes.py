"""A session whose login takes a new code each time: one connection has to do for all of it."""

from __future__ import annotations

import os
import sys

import pytest

import rpnb
from rpnb.errors import LoginRefused
from tests.conftest import _end_processes
from tests.transport.answers import Answers
from tests.transport.otherserver import OtherServer, Round, Rules

# Over 1 MB a value travels beside the control stream, elsewhere on a connection of its own.
BIG = os.urandom(2_000_000)


@rpnb.handler
def handler(job):
    return len(BIG)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server that wants a code, and whose sessions share this test's RPNB_HOME."""
    home = tmp_path / "rpnb"
    monkeypatch.setenv("RPNB_HOME", str(home))
    server = OtherServer(tmp_path, Rules([Round([("Code: ", False)], ["123"])]))
    yield server
    server.close()
    _end_processes(home)


def test_session_asks_for_the_code_once_and_says_when_it_takes_another(server):
    """Such a server forwards no unix sockets, either: all of it goes through the bridge."""
    person = Answers("123")
    options = {"python": sys.executable, "ask_secret": person}
    with rpnb.connect(server.target(), name="codes", **options) as session:
        assert session.run({"input": {}}, handler=handler).output == len(BIG)
        assert (server.logins, len(person.asked)) == (1, 1)
        server.drop()
        with pytest.raises(LoginRefused, match="asks for a new code at each login.*connect again"):
            session.run({"input": {}}, handler=handler)
    with rpnb.connect(
        server.target(), name="codes", **{**options, "ask_secret": Answers("123")}
    ) as again:
        assert again.adopted is not None
        assert again.run({"input": {}}, handler=handler).output == len(BIG)
        again.stop()
