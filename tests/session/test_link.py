import sys
import time

import pytest

from rpnb.errors import (
    AgentError,
    CannotCapture,
    CannotReach,
    JournalTrimmed,
    LinkLost,
    ProtocolError,
)
from rpnb.protocol import messages
from rpnb.protocol.blobs import digest
from rpnb.session import updates
from rpnb.session.link import Link, OpenRequest
from rpnb.session.run import Run
from tests.session.scripted import INFO, ScriptedAgent


@pytest.fixture
def agent():
    return ScriptedAgent()


@pytest.fixture
def link(agent):
    link = Link(agent.dial, agent.bulk, "test on here")
    link.open()
    yield link
    link.close()


def submitted(link, request="r1", blobs=None):
    opened = OpenRequest(messages.Submit(request), blobs or {})
    run = Run(link, request, opened, None)
    link.submit(request, opened)
    return run


def unreachable():
    raise CannotReach("no answer")


def until(condition):
    deadline = time.monotonic() + 10
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
    link.info = INFO | {"python": python}
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
    assert [u.state for u in news if isinstance(u, updates.LinkChanged)] == ["lost", "back"]
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


def test_request_that_could_not_be_sent_is_not_sent_later(agent, link):
    agent.cut()
    until(lambda: link._stream is None)
    link._dial, dial = unreachable, link._dial
    with pytest.raises(CannotReach):
        submitted(link, "r1")
    link._dial = dial
    submitted(link, "r2")
    assert agent.next(messages.Submit).request == "r2"


def test_link_that_was_closed_can_be_opened_again(agent, link):
    link.close()
    link.open()
    run = submitted(link)
    agent.event("r1", "accepted")
    agent.cut()  # it mends itself as the first one did
    agent.next(messages.Submit)
    until(lambda: link._stream is not None)
    agent.event("r1", "done")
    assert list(run)[-1] == updates.Done()


def test_job_whose_journal_is_gone_is_lost_and_not_run_again(agent, link):
    run = submitted(link)
    agent.next(messages.Submit)
    agent.event("r1", "accepted")
    until(lambda: link._requests["r1"].is_accepted)
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
    assert agent.next(messages.Submit).request in ("r1", "r2")
    agent.event("r2", "done")
    assert list(run) == [updates.Done()]


def test_upload_that_is_cut_asks_again_and_sends_the_rest(agent, link):
    value = bytes(9 << 20)
    submitted(link, blobs={digest(value): value})
    agent.next(messages.Submit)
    agent.say(messages.Need("r1", {digest(value): [0, 1, 2]}))
    agent.next(messages.Blob)
    agent.cut()  # the stream beside the control stream
    agent.next(messages.Submit)
    agent.streams[0].send(messages.encode(messages.Need("r1", {digest(value): [1, 2]})))
    agent.heard.queue.clear()
    assert [agent.next(messages.Blob).index for _ in range(2)] == [1, 2]


def test_cut_while_idle_is_mended_at_the_next_request(agent, link):
    agent.cut()
    while link._stream is not None:  # the reader thread notices
        pass
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
        Link(agent.dial, agent.bulk, "test").open()


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
