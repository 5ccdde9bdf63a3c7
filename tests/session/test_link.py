import sys
import threading
import time
from types import SimpleNamespace

import pytest

from rpnb.errors import (
    AgentError,
    CannotCapture,
    CannotReach,
    HostKeyChanged,
    JournalTrimmed,
    LinkLost,
    LoginRefused,
    ProtocolError,
)
from rpnb.protocol import messages
from rpnb.protocol.blobs import digest
from rpnb.session import chunks, updates
from rpnb.session import inbox as inboxes
from rpnb.session import link as links
from rpnb.session import pulse as pulses
from rpnb.session.attach import attach
from rpnb.session.dialogue import Dialogue, OpenRequest
from rpnb.session.link import Link
from rpnb.session.link_state import State
from rpnb.session.reach import Options
from rpnb.session.run import Run
from rpnb.session.session import Session
from rpnb.transport.targets import parse
from tests.session.scripted import INFO, ScriptedAgent


@pytest.fixture
def agent():
    return ScriptedAgent()


@pytest.fixture
def link(agent, monkeypatch):
    # On a busy machine it would be left for its silence; see "Silence" below.
    monkeypatch.setattr(pulses, "SUSPECT", 60.0)
    link = Link(agent.dial, agent.bulk, Dialogue("test on here"))
    link.open()
    yield link
    link.close()


def submitted(link, request="r1", blobs=None, **work):
    opened = OpenRequest(messages.Submit(request, **work), blobs or {})
    run = Run(link, request, opened, None)
    link.submit(request, opened)
    return run


def unreachable():
    raise CannotReach("no answer")


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def finished(agent, request="r1", job="j1"):
    body = {"job": job, "status": "COMPLETED", "problem": None, "exception": None}
    agent.event(request, "finished", body | {"stop": False, "metrics": {}}, [b'{"output": 1}'])


def test_open_learns_what_the_machine_is(link):
    assert link.info == INFO
    assert link.born.is_set()


def test_run_ends_with_done(agent, link):
    run = submitted(link)
    agent.event("r1", "done")
    assert list(run) == [updates.Done()]


def test_log_text_cut_inside_a_character_arrives_whole(agent, link):
    run = submitted(link)
    agent.event("r1", "accepted")
    agent.say(messages.Output("out", 0, "é".encode()[:1]))
    agent.say(messages.Output("out", 1, "é".encode()[1:]))
    agent.event("r1", "done")
    assert list(run) == [updates.Logged("out", "é"), updates.Done()]


def test_log_text_that_does_not_come_is_counted(agent, link):
    run = submitted(link)
    agent.event("r1", "accepted")
    agent.event("r1", "job", {"job": {"id": "j1"}})
    agent.say(messages.Output("out", 2_000_000, b"end\n"))
    finished(agent)
    agent.event("r1", "done")
    seen = list(run)
    assert updates.LeftOut("out", 2_000_000) in seen
    result = next(each.result for each in seen if isinstance(each, updates.Finished))
    assert result.logs == "\n[… 2 MB of output left out here …]\nend\n"


def failing(agent, link, kind="AttributeError", python="3.8.1"):
    link._dialogue.info = INFO | {"python": python}
    run = submitted(link)
    error = {"type": kind, "message": "no StrEnum", "frames": [], "traceback": []}
    agent.event("r1", "failed", {"phase": "step", "error": error, "cell": None})
    return list(run)[-1].exception.message


def test_step_that_fails_on_an_older_python_says_so(agent, link):
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert failing(agent, link) == (
        f"no StrEnum (the target has Python 3.8.1, older than the {here} here)"
    )


@pytest.mark.parametrize("what", [{"kind": "KeyError"}, {"python": "3.99.0"}, {"python": ""}])
def test_step_that_fails_for_another_reason_says_nothing_of_python(agent, link, what):
    assert failing(agent, link, **what) == "no StrEnum"


def test_notice_says_why_the_run_waits(agent, link):
    run = submitted(link)
    agent.say(messages.Notice("r1", "the disk is full"))
    agent.event("r1", "done")
    assert list(run) == [updates.Waiting("the disk is full"), updates.Done()]


def test_run_whose_events_are_no_longer_kept_ends_and_says_so(agent, link):
    run = submitted(link)
    agent.event("r1", "accepted")
    agent.say(messages.Trimmed(9))
    with pytest.raises(JournalTrimmed):
        list(run)


def test_result_gathers_logs_stream_and_progress(agent, link):
    run = submitted(link)
    agent.event("r1", "accepted")
    agent.event("r1", "job", {"job": {"id": "j1"}})
    agent.say(messages.Output("out", 0, b"hello\n"))
    agent.event("r1", "progress", {"job": "j1"}, [b'{"status": "IN_PROGRESS", "output": 0.5}'])
    agent.event("r1", "chunk", {"job": "j1"}, [b'{"output": "a"}'])
    finished(agent)
    agent.event("r1", "done")
    result = next(u.result for u in run if isinstance(u, updates.Finished))
    assert (result.logs, result.progress, result.stream) == ("hello\n", [0.5], ["a"])


def test_flood_of_chunks_is_kept_up_to_a_bound_and_the_result_says_how_many_more_came(
    agent, link, monkeypatch
):
    monkeypatch.setattr(chunks, "MOST_BYTES", 6400)
    run = submitted(link)
    agent.event("r1", "job", {"job": {"id": "j1"}})
    for number in range(250):
        agent.event("r1", "chunk", {"job": "j1"}, [b'{"output": %d}' % number])
    finished(agent)
    agent.event("r1", "done")
    seen = list(run)
    assert [u.value for u in seen if isinstance(u, updates.Streamed)] == list(range(250))
    result = next(u.result for u in seen if isinstance(u, updates.Finished))
    assert result.stream == list(range(100))
    assert result.to_dict()["left_out"] == {"stream": 150}
    assert "result.stream holds the first 100 of 250; rpnb.stream" in result.shortfall


def test_cut_link_comes_back_and_replays_what_was_missed(agent, link):
    run = submitted(link)
    first = agent.next(messages.Submit)
    agent.event("r1", "accepted")
    agent.event("r1", "job", {"job": {"id": "j1"}}, announce=False)
    agent.cut()
    assert agent.next(messages.Submit) == first, "repeated after the cut"
    finished(agent)
    agent.event("r1", "done")
    news = list(run)
    assert changes(news) == ["lost", "back"]
    assert [type(u) for u in news if not isinstance(u, updates.LinkChanged)] == [
        updates.JobStarted,
        updates.Finished,
        updates.Done,
    ]


def test_cancel_while_the_link_is_down_is_sent_when_it_is_back(agent, link):
    run = submitted(link)
    agent.next(messages.Submit)
    with link._lock:  # the reader cannot redial yet
        agent.cut()
        run.cancel()
    agent.next(messages.Submit)
    assert agent.next(messages.Cancel) == messages.Cancel("r1")


@pytest.fixture
def soon(monkeypatch):
    """A missing link is told of after a tenth of a second."""
    monkeypatch.setattr(links, "_TOLD_FIRST", 0.1)


@pytest.fixture
def late(monkeypatch):
    """A missing link is told of later than even a busy machine takes for another one."""
    monkeypatch.setattr(links, "_TOLD_FIRST", 60.0)


@pytest.fixture
def away(soon, agent, link):
    """A link that was cut while nobody waited, and a network that stays away."""
    dial, link._dial = link._dial, unreachable
    agent.cut()
    until(lambda: link._state is State.DOWN)
    yield lambda: setattr(link, "_dial", dial)
    link._dial = dial


def told(run):
    """Return the next news of a link."""
    return next(u for u in run if isinstance(u, updates.LinkChanged))


def test_request_without_a_link_waits_says_why_and_is_sent_once(agent, link, away):
    run = submitted(link)
    first = last = told(run)
    while not last.why:  # on a busy machine the first try has not failed by then
        last = told(run)
    assert (first.state, first.is_news, last.why) == ("away", True, "no answer")
    away()
    assert agent.next(messages.Submit).request == "r1"
    agent.event("r1", "done")
    assert [u for u in run if not isinstance(u, updates.LinkChanged)] == [updates.Done()]
    assert not any(isinstance(m, messages.Submit) for m in list(agent.heard.queue))


def test_request_that_comes_while_another_waits_for_the_link_is_told_at_once(agent, link, away):
    told(submitted(link))
    assert told(submitted(link, "r2")).state == "away"


@pytest.mark.parametrize("error", [HostKeyChanged, LoginRefused, AgentError])
def test_request_that_waiting_cannot_help_fails_at_once_and_is_not_sent_later(
    agent, link, away, error
):
    def dial():
        raise error("no")

    link._dial = dial
    with pytest.raises(error):
        list(submitted(link))
    away()
    submitted(link, "r2")
    assert agent.next(messages.Submit).request == "r2"


def test_cancel_of_what_was_never_sent_ends_the_wait_and_it_is_not_sent_later(agent, link, away):
    run = submitted(link)
    run.cancel()
    assert list(run)[-1].phase == "cancelled"
    away()
    submitted(link, "r2")
    assert agent.next(messages.Submit).request == "r2"


def test_second_cancel_while_the_link_is_lost_ends_the_wait_and_says_what_becomes_of_the_job(
    agent, link
):
    run = begun(agent, link)
    link._dial = unreachable
    agent.cut()
    assert told(run).state == "lost"
    run.cancel()
    assert waiting(run)
    run.cancel(force=True)
    with pytest.raises(LinkLost, match="The job goes on, unless .* --attach r1"):
        list(run)


def begun(agent, link):
    """Return a run that the agent has accepted."""
    run = submitted(link, jobs=[{"id": "j1", "input": {}}])
    agent.next(messages.Submit)
    agent.event("r1", "accepted")
    until(lambda: link._dialogue.find("r1").is_accepted)
    return run


def waiting(run):
    """Return the next sentence on why the run waits."""
    return next(u.text for u in run if isinstance(u, updates.Waiting))


@pytest.mark.parametrize("is_accepted", [True, False])
def test_job_is_said_to_run_on_only_where_the_agent_has_accepted_it(agent, link, is_accepted):
    run = begun(agent, link) if is_accepted else submitted(link, jobs=[{}])
    link._dial = unreachable
    agent.cut()
    lost = told(run)
    assert (lost.state, lost.is_confirmed) == ("lost", is_accepted)
    run.cancel(force=True)
    said = "The job goes on" if is_accepted else "Whether what was sent had arrived is not known"
    with pytest.raises(LinkLost, match=f"{said}.* --attach r1"):
        list(run)


@pytest.mark.parametrize("is_accepted", [True, False])
def test_redial_that_is_refused_in_mid_job_says_what_becomes_of_the_job(agent, link, is_accepted):
    def dial():
        raise LoginRefused("no key is accepted")

    run = begun(agent, link) if is_accepted else submitted(link, jobs=[{}])
    link._dial = dial
    agent.cut()
    said = "The job goes on" if is_accepted else "Whether what was sent had arrived is not known"
    with pytest.raises(LoginRefused, match=rf"no key is accepted\n{said}.* --attach r1"):
        list(run)


def test_set_up_that_goes_on_without_a_link_is_no_job_to_attach_to(agent, link):
    run = submitted(link)
    link._dial = unreachable
    agent.cut()
    assert told(run).state == "lost"
    run.cancel(force=True)
    with pytest.raises(LinkLost, match=r"Whether what was sent had arrived is not known\.$"):
        list(run)


# Another link follows the request


@pytest.fixture
def session(link):
    """A session whose links that only watch reach a scripted agent of their own, `there`."""
    there = ScriptedAgent()
    session = Session(parse("local"), "w", "test on here", Options())
    session._link = link
    session.reach = SimpleNamespace(dial=there.dial, beside=there.bulk, there=there)
    return session


@pytest.fixture
def there(session):
    return session.reach.there


def test_cancel_of_an_attached_run_is_sent_by_the_own_link_also_when_that_was_cut(
    agent, link, session, there
):
    run = attach(session, "r1")
    there.next(messages.Replay)
    dial, link._dial = link._dial, unreachable
    agent.cut()
    until(lambda: link._state is State.DOWN)
    run.cancel()
    link._dial = dial
    assert agent.next(messages.Cancel) == messages.Cancel("r1")
    agent.cut()
    assert agent.next(messages.Cancel) == messages.Cancel("r1"), "repeated after the cut"
    there.event("r1", "done")
    assert list(run)[-1] == updates.Done()
    assert link._dialogue.is_idle


def test_stop_in_the_first_moments_of_an_attach_cancels_the_job(agent, session, there):
    let_go = threading.Event()
    dial = session.reach.dial

    def slowly():
        assert let_go.wait(60)
        return dial()

    session.reach.dial = slowly
    run = attach(session, "r1")
    run.cancel()
    assert agent.next(messages.Cancel) == messages.Cancel("r1")
    let_go.set()
    there.next(messages.Replay)
    there.event("r1", "done")
    assert list(run) == [updates.Done()]


def test_second_cancel_of_an_attached_run_without_any_link_ends_the_wait(
    agent, link, session, away
):
    session.reach.dial = unreachable
    run = attach(session, "r1")
    run.cancel()
    assert "cancelled once the link is back" in waiting(run)
    run.cancel(force=True)
    with pytest.raises(LinkLost, match="The job goes on, unless .* --attach r1"):
        list(run)
    assert link._dialogue.is_idle


@pytest.mark.parametrize("refuses", [True, False])
def test_cancel_of_an_attached_run_that_cannot_be_is_told(agent, link, session, there, refuses):
    def dial():
        raise LoginRefused("no key is accepted")

    run = attach(session, "r1")
    there.next(messages.Replay)
    if refuses:
        run.cancel()
        agent.next(messages.Cancel)
        agent.say(messages.Refused("driver", "no key is accepted", "r1"))
    else:
        link._dial = dial
        agent.cut()
        until(lambda: link._state is State.DOWN)
        run.cancel()
    assert waiting(run).startswith("not cancelled, the job goes on: no key is accepted")
    until(lambda: link._dialogue.is_idle)
    there.event("r1", "done")
    assert list(run)[-1] == updates.Done()


def test_cancel_of_an_attached_run_of_this_client_leaves_its_own_run_open(
    agent, link, session, there
):
    own, run = begun(agent, link), attach(session, "r1")
    there.next(messages.Replay)
    run.cancel()
    assert agent.next(messages.Cancel) == messages.Cancel("r1")
    there.event("r1", "done")
    assert list(run) == [updates.Done()]
    agent.event("r1", "done")
    assert list(own) == [updates.Done()]


def test_link_that_nobody_waits_for_any_more_is_dialled_no_more(agent, link, away):
    run = submitted(link)
    told(run)
    run.cancel()
    until(lambda: link._watcher is None)
    assert (link._state, link._redial._try) == (State.DOWN, None)


def test_request_that_is_too_large_is_refused_where_there_is_no_link_either(agent, link, away):
    opened = OpenRequest(messages.Submit("r1", jobs=["x" * (33 << 20)]))
    with pytest.raises(ProtocolError):
        link.submit("r1", opened)
    assert link._dialogue.is_idle


def test_link_cut_while_it_is_opened_for_a_request_is_no_news(late, agent, link):
    """In its login, say: the next try gets through, before anybody is told."""
    agent.cut()
    until(lambda: link._state is State.DOWN)
    dials = [unreachable, unreachable, link._dial]

    def dial():
        return dials.pop(0)()

    link._dial = dial
    run = submitted(link)
    agent.next(messages.Submit)
    agent.event("r1", "done")
    assert list(run) == [updates.Done()]


def test_link_that_was_closed_can_be_opened_again(agent, link):
    link.close()
    link.open()
    run = submitted(link)
    agent.next(messages.Submit)
    agent.cut()  # it mends itself as the first one did
    agent.next(messages.Submit)
    agent.event("r1", "done")
    assert list(run)[-1] == updates.Done()


def test_job_whose_journal_is_gone_is_lost_and_not_run_again(agent, link):
    run = submitted(link)
    agent.next(messages.Submit)
    agent.event("r1", "accepted")
    until(lambda: link._dialogue.find("r1").is_accepted)
    agent.seq, agent.journal = 0, []
    agent.cut()
    with pytest.raises(LinkLost, match="removed"):
        list(run)
    assert not any(isinstance(m, messages.Submit) for m in list(agent.heard.queue))


def test_garbage_ends_the_stream_and_the_next_request_gets_another(agent, link):
    run = submitted(link)
    agent.streams[-1].send(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(ProtocolError):
        list(run)
    run = submitted(link, "r2")
    while agent.next(messages.Submit).request != "r2":
        pass
    agent.event("r2", "done")
    assert list(run) == [updates.Done()]


def test_upload_that_is_cut_asks_again_and_sends_the_rest(agent, link):
    value = bytes(9 << 20)
    agent.answers_pings = False  # or all of it may have arrived
    submitted(link, blobs={digest(value): value})
    agent.next(messages.Submit)
    agent.say(messages.Need("r1", {digest(value): [0, 1, 2]}))
    agent.next(messages.Blob)
    agent.cut()  # the stream beside the control stream
    agent.threads[1].join(60)
    agent.next(messages.Submit)
    agent.heard.queue.clear()
    agent.streams[0].send(messages.encode(messages.Need("r1", {digest(value): [1, 2]})))
    assert [agent.next(messages.Blob).index for _ in range(2)] == [1, 2]


def test_cut_while_idle_is_mended_at_the_next_request(late, agent, link):
    agent.cut()
    until(lambda: link._state is State.DOWN)  # the reader thread notices
    run = submitted(link)
    agent.next(messages.Submit)
    agent.event("r1", "done")
    assert list(run) == [updates.Done()]


def test_refused_request_raises_what_the_agent_says(agent, link):
    run = submitted(link)
    agent.say(messages.Refused("driver", "quickstart.ipynb on desk drives", "r1"))
    with pytest.raises(AgentError, match="desk drives"):
        list(run)


def test_agent_that_refuses_the_client_is_an_error():
    agent = ScriptedAgent()
    agent._welcome = lambda stream, _hello: stream.send(
        messages.encode(messages.Refused("version", "this agent speaks version 9"))
    )
    with pytest.raises(AgentError, match="version 9"):
        Link(agent.dial, agent.bulk, Dialogue("test")).open()


def test_garbage_from_the_agent_ends_the_run(agent, link):
    run = submitted(link)
    agent.streams[-1].send(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(ProtocolError, match="expected a frame"):
        list(run)


def test_needed_value_is_sent_in_blocks(agent, link):
    value = b"weights" * 1000
    submitted(link, blobs={digest(value): value})
    agent.say(messages.Need("r1", {digest(value): [0]}))
    blob = agent.next(messages.Blob)
    assert (blob.digest, blob.size, blob.data) == (digest(value), len(value), value)


def test_large_value_goes_over_a_stream_of_its_own(agent, link):
    value = bytes(5 << 20)
    submitted(link, blobs={digest(value): value})
    agent.say(messages.Need("r1", {digest(value): [0, 1]}))
    assert [agent.next(messages.Blob).index for _ in range(2)] == [0, 1]
    assert len(agent.streams) == 2


def test_needed_value_that_is_gone_is_named(agent, link):
    run = submitted(link)
    agent.say(messages.Need("r1", {"ab" * 32: [0]}))
    with pytest.raises(CannotCapture, match="abababab"):
        list(run)


def test_cancel_is_sent_once_the_run_is_open_and_not_after(agent, link):
    run = submitted(link)
    run.cancel(force=True)
    assert agent.next(messages.Cancel) == messages.Cancel("r1", True)
    agent.event("r1", "done")
    list(run)
    run.cancel()
    assert not any(isinstance(m, messages.Cancel) for m in list(agent.heard.queue))


def test_interrupt_cancels_the_job_and_waits_for_its_end(agent, link):
    """Ctrl-C in the wait is a request to the worker; the run still ends in order."""
    run = submitted(link)
    waits = iter([KeyboardInterrupt])
    plain_wait = run._wait

    def wait():
        for error in waits:
            raise error
        agent.next(messages.Cancel)
        agent.event("r1", "done")
        return plain_wait()

    run._wait = wait
    news = []
    with pytest.raises(KeyboardInterrupt):
        news.extend(run.watched())
    assert run.ended


def test_closed_link_ends_an_open_run(agent, link):
    run = submitted(link)
    link.close()
    with pytest.raises(LinkLost):
        list(run)


# Silence


@pytest.fixture
def quick(monkeypatch):
    """A link that suspects after half a second."""
    monkeypatch.setattr(pulses, "SUSPECT", 0.5)
    monkeypatch.setattr(pulses, "ASK", 0.1)
    monkeypatch.setattr(links, "TICK", 0.02)


@pytest.fixture
def watched(quick, agent):
    link = Link(agent.dial, agent.bulk, Dialogue("test on here"))
    link.open()
    yield link
    link.close()


def changes(news):
    """How the link was; that time has passed since is none, and a busy machine's affair."""
    return [u.state for u in news if isinstance(u, updates.LinkChanged) and u.is_news]


def test_silent_link_is_asked_and_its_answer_is_life(agent, watched):
    run = submitted(watched)
    for _ in range(8):
        agent.next(messages.Ping)
    agent.event("r1", "done")
    assert changes(run) == []


def test_second_stream_is_opened_beside_a_silent_one_and_kept_when_it_answers(agent, watched):
    run = submitted(watched)
    agent.next(messages.Submit)
    first = agent.streams[0]
    agent.freeze()
    assert agent.next(messages.Submit).request == "r1", "repeated on the second stream"
    agent.event("r1", "done")
    assert changes(run) == ["suspect", "back"]
    assert len(agent.streams) == 2
    until(lambda: first._incoming.is_closed)


def test_first_stream_is_kept_when_it_answers_before_the_second(agent, watched):
    reached, let_go = threading.Event(), threading.Event()
    dial = watched._dial

    def slowly():
        reached.set()
        let_go.wait(60)
        return dial()

    watched._dial = slowly
    run = submitted(watched)
    agent.freeze()
    assert reached.wait(60)
    agent.frozen.clear()
    until(lambda: watched._state is State.UP)
    let_go.set()
    until(lambda: len(agent.streams) == 2 and agent.streams[1]._incoming.is_closed)
    agent.heard.queue.clear()
    agent.streams[0].send(messages.encode(done(agent)))
    assert changes(run) == ["suspect", "back"]
    assert not any(isinstance(m, messages.Hello) for m in list(agent.heard.queue))


def done(agent, request="r1"):
    agent.event(request, "done", announce=False)
    return agent.journal[-1]


def test_link_that_stays_silent_while_nothing_answers_keeps_its_stream(agent, watched):
    watched._dial = unreachable
    run = submitted(watched)
    agent.freeze()
    until(lambda: watched._redial._tries > 3)
    agent.frozen.clear()
    agent.event("r1", "done")
    assert changes(run)[:1] == ["suspect"]
    assert watched._state is State.UP


def test_changed_host_key_ends_the_run_once_the_link_is_lost(agent, watched):
    def dial():
        raise HostKeyChanged("another key")

    watched._dial = dial
    run = submitted(watched)
    agent.cut()
    with pytest.raises(HostKeyChanged):
        list(run)


def test_second_cancel_on_a_silent_line_is_sent_before_the_wait_ends(agent, watched):
    watched._dial = unreachable
    run = begun(agent, watched)
    agent.freeze()
    until(lambda: watched._state is State.SUSPECT)
    agent.answers_pings = False
    agent.frozen.clear()
    run.cancel()
    run.cancel(force=True)
    with pytest.raises(LinkLost):
        list(run)
    assert agent.next(messages.Cancel) == messages.Cancel("r1")
    assert agent.next(messages.Cancel) == messages.Cancel("r1", force=True)


def test_slow_sending_is_life(agent, watched):
    """A large request on a thin link: nothing comes back before all of it is there."""
    line, sent = watched._line, []
    plain = line._stream.send

    def send(data):
        time.sleep(0.02)
        sent.append(len(data))
        plain(data)

    line._stream.send = send
    opened = OpenRequest(messages.Submit("r1", jobs=["x" * (64 * 60 << 10)]))
    run = Run(watched, "r1", opened, None)
    watched.submit("r1", opened)
    agent.next(messages.Submit)
    agent.event("r1", "done")
    assert changes(run) == []
    assert sum(sent) > 3 << 20


def test_busy_interpreter_is_no_silence(agent, watched):
    run = submitted(watched)
    agent.next(messages.Submit)
    began = time.monotonic()
    while time.monotonic() - began < 1.0:
        # Holds the interpreter: no other thread of this process runs meanwhile.
        sum(range(3_000_000))
    agent.event("r1", "done")
    assert changes(run) == []


def test_machine_that_slept_is_dialled_at_once(watched, monkeypatch):
    hurried = []
    monkeypatch.setattr(watched._redial, "hurry", lambda: hurried.append(1))
    watched._look(0.25, 0.25)
    assert hurried == []
    # The wall clock went on while the other stood still.
    watched._look(0.25, 60.0)
    assert hurried == [1]


def test_link_cut_again_and_again_right_after_it_is_back_is_not_hammered(agent, watched):
    run, dial = submitted(watched), watched._dial
    agent.next(messages.Submit)

    def dying():
        stream = dial()
        threading.Timer(0.01, agent.streams[-1].close).start()
        return stream

    watched._dial = dying
    agent.cut()
    time.sleep(1.5)
    assert len(agent.streams) <= 12
    until(lambda: len(agent.streams) >= 3)
    watched._dial = dial
    until(lambda: watched._state is State.UP)
    agent.event("r1", "done")
    assert list(run)[-1] == updates.Done()


# Backpressure


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(inboxes, "MOST_BYTES", 20_000)


def test_run_that_nobody_reads_holds_little_and_gets_all_in_order(small, agent, link):
    run = submitted(link)
    agent.event("r1", "accepted")
    for _ in range(200):
        agent.event("r1", "chunk", {"job": "j1"}, [b'{"output": "%s"}' % (b"x" * 1000)])
    until(lambda: link._dialogue.fullest() is not None)
    time.sleep(0.1)
    held = len(run._inbox._news)
    agent.event("r1", "done")
    assert 10 < held < 30
    assert len([u for u in run if isinstance(u, updates.Streamed)]) == 200


def test_link_is_not_suspected_while_nobody_reads(small, agent, watched):
    run = submitted(watched)
    agent.event("r1", "accepted")
    for _ in range(50):
        agent.event("r1", "chunk", {"job": "j1"}, [b'{"output": "%s"}' % (b"x" * 1000)])
    time.sleep(1.2)
    agent.event("r1", "done")
    assert changes(run) == []


def test_run_that_is_not_read_gives_way_to_one_that_waits(small, agent, link, monkeypatch):
    monkeypatch.setattr(links, "UNREAD", 0.2)
    first, second = submitted(link), submitted(link, "r2")
    agent.event("r1", "accepted")
    for _ in range(50):
        agent.event("r1", "chunk", {"job": "j1"}, [b'{"output": "%s"}' % (b"x" * 1000)])
    agent.event("r1", "done")
    agent.event("r2", "accepted")
    agent.event("r2", "done")
    assert list(second) == [updates.Done()]
    with pytest.raises(LinkLost, match="--attach r1"):
        list(first)


def test_value_that_changes_while_it_is_sent_is_an_error_and_not_sent(agent, link):
    array = bytearray(b"before")
    name = digest(bytes(array))
    run = submitted(link, blobs={name: memoryview(array)})
    array[:] = b"after!"
    agent.say(messages.Need("r1", {name: [0]}))
    with pytest.raises(CannotCapture, match="changed while it was being sent"):
        list(run)


def test_request_that_may_have_ended_in_what_is_no_longer_kept_is_asked_for_again(agent, link):
    run = submitted(link)
    assert agent.next(messages.Submit).request == "r1"
    agent.say(messages.Trimmed(9))
    assert agent.next(messages.Submit).request == "r1"
    agent.say(messages.Refused("trimmed", "The request r1 ended.", "r1"))
    with pytest.raises(JournalTrimmed):
        list(run)
