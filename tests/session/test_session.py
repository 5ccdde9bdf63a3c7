"""What a session says and does while it waits for its link, on a scripted agent."""

import threading
import time
import warnings

import pytest

from rpnb.errors import CannotReach
from rpnb.protocol import messages
from rpnb.session import away, pulse
from rpnb.session import link as links
from rpnb.session import session as sessions
from rpnb.session.dialogue import Dialogue
from rpnb.session.link import Link
from rpnb.session.reach import Options
from rpnb.session.session import Session, streamed
from rpnb.session.updates import LinkChanged
from rpnb.transport.targets import parse
from tests.session.scripted import ScriptedAgent


@pytest.fixture
def agent():
    return ScriptedAgent()


@pytest.fixture
def session(agent, monkeypatch):
    monkeypatch.setattr(links, "_TOLD_FIRST", 0.1)
    # On a busy machine it would be left for its silence.
    monkeypatch.setattr(pulse, "SUSPECT", 60.0)
    session = Session(parse("local"), "w", "test on here", Options())
    session._link = Link(agent.dial, agent.bulk, Dialogue("test on here"))
    session._link.open()
    yield session
    session.close()


def unreachable():
    raise CannotReach("no route to host")


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def in_thread(action):
    """Run it on a thread; return what waits for its end and gives what it raised."""
    raised = []

    def work():
        try:
            action()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def end():
        thread.join(60)
        assert not thread.is_alive()
        return raised

    return end


def test_restart_that_the_link_came_back_for_is_done(agent, session):
    end = in_thread(session.restart)
    request = agent.next(messages.Restart).request
    session._link.tell(LinkChanged("back", sessions._HOLD + 2), request)
    agent.event(request, "done")
    assert end() == []


def test_restart_without_a_link_is_given_up(agent, session, monkeypatch):
    monkeypatch.setattr(sessions, "_HOLD", 0.2)
    session._link._dial = unreachable
    agent.cut()
    with pytest.raises(CannotReach, match="has not answered"):
        session.restart()


def test_script_is_warned_once_of_an_outage_and_why(agent, session, monkeypatch):
    dial, told, tell = session._link._dial, [], session._link._dialogue.tell

    def telling(news, *where):
        told.append(news)
        tell(news, *where)

    monkeypatch.setattr(session._link._dialogue, "tell", telling)

    def outage():
        submit = agent.next(messages.Submit)
        session._link._dial = unreachable
        agent.cut()
        until(lambda: len([each for each in told if getattr(each, "why", "")]) > 2)
        session._link._dial = dial
        agent.next(messages.Submit)
        agent.event(submit.request, "done")

    end = in_thread(outage)
    with pytest.warns(UserWarning) as warned:
        session.clear()
    assert end() == []
    assert len(warned) == 1
    assert "sent, not confirmed yet, reconnecting: no route to host" in str(warned[0].message)
    assert warned[0].filename == __file__


def test_cut_that_is_mended_at_once_warns_nobody(agent, session, monkeypatch):
    monkeypatch.setattr(away, "_MENDED", 60.0)

    def cut():
        submit = agent.next(messages.Submit)
        agent.cut()
        agent.next(messages.Submit)
        agent.event(submit.request, "done")

    end = in_thread(cut)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session.clear()
    assert end() == []


def test_leaving_a_stream_in_an_outage_does_not_wait_for_the_link(agent, session, monkeypatch):
    monkeypatch.setattr(sessions, "_LEAVE", 0.2)
    run = session.submit(None, job={"id": "j1", "input": {}})
    chunks = streamed(run, session._noting())
    agent.event(run.request, "accepted")
    agent.event(run.request, "job", {"job": {"id": "j1"}})
    agent.event(run.request, "chunk", {"job": "j1"}, [b'{"output": "a"}'])
    assert next(chunks) == "a"
    session._link._dial = unreachable
    agent.cut()
    with pytest.warns(UserWarning, match="The job goes on, unless .*--attach"):
        chunks.close()
    assert session._link._dialogue.is_idle
