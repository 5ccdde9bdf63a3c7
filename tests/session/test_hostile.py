"""An agent that means harm: it can make a run fail, and nothing else."""

from __future__ import annotations

import contextlib
import itertools
import json
import struct
import threading
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rpnb
from rpnb.errors import AgentError, CannotCapture, LinkLost, ProtocolError, RpnbError
from rpnb.protocol import bodies, messages
from rpnb.protocol.blobs import digest
from rpnb.session import outgoing, pulse, updates
from rpnb.session.dialogue import Dialogue, OpenRequest
from rpnb.session.link import Link
from rpnb.session.run import Run
from rpnb.session.upload import SMALL_BYTES
from rpnb.transport.text import LogText, harmless
from tests.session.scripted import ScriptedAgent

ESCAPES = "\x1b]0;owned\x07\x1b]52;c;aGk=\x07\x1b[2J\x1b[1;1H\x9b31m\u202egnp.\x00\x08"
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@pytest.fixture
def agent():
    return ScriptedAgent()


@pytest.fixture
def link(agent, monkeypatch):
    # On a busy machine it would be left for its silence, and another one heard instead.
    monkeypatch.setattr(pulse, "SUSPECT", 60.0)
    link = Link(agent.dial, agent.bulk, Dialogue("test on here"))
    link.open()
    yield link
    link.close()


def submitted(link, request="r1", blobs=None):
    opened = OpenRequest(messages.Submit(request), blobs or {})
    run = Run(link, request, opened, None)
    link.submit(request, opened)
    return run


def said(agent, head, *buffers):
    """Send a frame that no honest agent would make."""
    text = json.dumps(head).encode("utf-8", "surrogatepass")
    sizes = struct.pack(f">{len(buffers)}I", *map(len, buffers))
    frame = struct.pack(">4sIH", b"rpn1", len(text), len(buffers)) + sizes + text
    agent.streams[-1].send(frame + b"".join(buffers))


def event(**changed):
    body = {"type": "Event", "seq": 1, "at": 0.0, "out": 0, "err": 0, "request": "r1"}
    return {**body, "kind": "done", "body": {}, **changed}


HUGE = 10**400
BAD_HEADS = [
    event(seq="1"),
    event(seq=True),
    event(seq=HUGE),
    event(seq=-5),
    event(seq=7),
    event(at=float("nan")),
    event(at=float("inf")),
    event(kind="job", body={"job": 5}),
    event(kind="job", body={"job": {"id": ["x"]}}),
    event(kind="planned", body={"run": 5, "keep": [], "restart": None}),
    event(kind="planned", body={"run": [{"names": 1}], "keep": [], "restart": None}),
    event(kind="synced", body={"cells": [], "kept": {}, "names": 0, "gpus": 0, "notes": 0}),
    event(kind="shown", body={"mimes": 5, "to": None, "encoding": None}),
    event(kind="failed", body={"phase": "step", "error": "x", "cell": None}),
    event(kind="finished", body={"job": "j", "status": 5, "problem": {}, "exception": []}),
    {"type": "Output", "stream": "secret", "offset": 0},
    {"type": "Output", "stream": "out", "offset": HUGE},
    {"type": "Welcome"},
    {"type": "Submit", "request": "r1"},
    {"type": "Blob", "digest": "d", "size": 1, "index": 0},
    {"type": "nobody"},
    [],
]


@pytest.mark.parametrize("head", BAD_HEADS, ids=range(len(BAD_HEADS)))
def test_frame_that_is_not_what_it_should_be_ends_the_run_and_says_so(agent, link, head):
    run = submitted(link)
    said(agent, head, b"x")
    if head == event(seq=-5):  # an old number: taken by nobody
        agent.event("r1", "done")
        assert list(run) == [updates.Done()]
        return
    with pytest.raises(RpnbError):
        list(run)


def test_deep_and_endless_heads_are_refused(agent, link):
    for frame in (
        struct.pack(">4sIH", b"rpn1", 1 << 31, 0),
        struct.pack(">4sIHI", b"rpn1", 2, 1, 0xFFFFFFFF),
        struct.pack(">4sIH", b"rpn1", 200_000, 0) + b"[" * 200_000,
    ):
        run = submitted(link)
        agent.next(messages.Submit)
        agent.heard.queue.clear()
        agent.streams[-1].send(frame)
        with pytest.raises(ProtocolError):
            list(run)


@settings(max_examples=300)
@given(kind=st.sampled_from(sorted(messages.EVENTS)), body=st.dictionaries(st.text(), _json))
def test_any_body_is_a_news_an_error_of_ours_or_nothing(kind, body):
    """Straight into what a run makes of it: nothing but ProtocolError comes out."""
    full = {**dict.fromkeys(messages.EVENTS[kind]), **body}
    run = Run(None, "r1", OpenRequest(messages.Submit("r1")), None)
    try:
        checked = bodies.check(messages.Event(1, 0.0, 0, 0, "r1", kind, full))
    except ProtocolError:
        return
    run._inbox.put(checked)
    news = run._inbox.first(0.001)
    assert not isinstance(news, Exception) or isinstance(news, RpnbError)


def test_need_for_what_the_request_does_not_hold_gets_nothing(agent, link):
    value = b"mine"
    run = submitted(link, blobs={digest(value): value})
    agent.say(messages.Need("r1", {digest(b"another file"): [0]}))
    with pytest.raises(CannotCapture):
        list(run)
    assert not any(isinstance(m, messages.Blob) for m in list(agent.heard.queue))


@pytest.mark.parametrize("wanted", [5, ["0"], [True], [-1], [7], [0, 0], [None], {"0": 1}])
def test_need_for_blocks_that_are_none_gets_nothing(agent, link, wanted):
    value = b"mine"
    run = submitted(link, blobs={digest(value): value})
    agent.say(messages.Need("r1", {digest(value): wanted}))
    with pytest.raises(ProtocolError):
        list(run)
    assert not any(isinstance(m, messages.Blob) for m in list(agent.heard.queue))


def test_need_that_names_a_path_opens_no_file(agent, link):
    run = submitted(link)
    agent.say(messages.Need("r1", {"../../etc/passwd": [0]}))
    with pytest.raises(ProtocolError):
        list(run)


def test_escapes_in_logs_and_errors_do_not_reach_a_terminal(agent, link):
    run = submitted(link)
    agent.event("r1", "accepted")
    agent.say(messages.Output("out", 0, ESCAPES.encode()))
    error = {"type": ESCAPES, "message": ESCAPES, "frames": [], "traceback": [ESCAPES]}
    agent.event("r1", "failed", {"phase": "step", "error": error, "cell": None})
    logged, failed = run
    raised = failed.exception
    for text in (logged.text, raised.type, raised.message, raised.traceback[0]):
        assert not {"\x1b", "\x9b", "\x07", "\x00", "\u202e"} & set(text)


def test_escapes_in_a_refusal_do_not_reach_a_terminal(agent, link):
    run = submitted(link)
    agent.say(messages.Refused("driver", ESCAPES, "r1"))
    with pytest.raises(AgentError) as caught:
        list(run)
    assert "\x1b" not in str(caught.value)


@given(st.text(), st.lists(st.integers(0, 30), max_size=5))
def test_log_text_is_safe_however_it_is_cut(text, cuts):
    text = "\x1b[31mred\x1b[0m" + text + ESCAPES
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    read = LogText()
    shown = "".join(read.read(text[a:b]) for a, b in itertools.pairwise(places))
    assert shown.startswith("\x1b[31mred\x1b[0m")
    assert not {"\x9b", "\x07", "\x00", "\u202e"} & set(shown)
    assert shown == LogText().read(text), "the cuts do not matter"


def test_colours_and_progress_bars_stay():
    text = "\r 50%|#####     | 5/10\x1b[K\x1b[32m ok\x1b[0m\n"
    assert LogText().read(text) == text
    assert harmless("a\x1b[31mb\tc\n") == "ab\tc\n"


def test_agent_that_never_stops_talking_holds_little_memory(agent, link, monkeypatch):
    from rpnb.session import inbox

    monkeypatch.setattr(inbox, "MOST_BYTES", 1 << 20)
    run, stop = submitted(link), threading.Event()
    agent.event("r1", "accepted")
    offset = 0

    def flood():
        nonlocal offset
        piece = b"x" * (1 << 16)
        while not stop.is_set() and offset < 64 << 20:
            waiting = agent.streams[-1]._outgoing
            if len(waiting.waiting) < 8:
                agent.say(messages.Output("out", offset, piece))
                offset += len(piece)

    talking = threading.Thread(target=flood, daemon=True)
    talking.start()
    try:
        until(lambda: offset > 1 << 20)
        for _ in range(100):
            held = sum(size for _, size in list(run._inbox._news))
            assert held < 2 << 20
            stop.wait(0.01)
    finally:
        stop.set()
        # Before the link is closed under it.
        talking.join()


class Deaf:
    """A stream whose other end says what it likes, and after the hello takes nothing."""

    def __init__(self, stream):
        self._stream, self._is_greeted = stream, False
        self._closed = threading.Event()
        self.receive, self.unacknowledged = stream.receive, stream.unacknowledged

    def send(self, data):
        if self._is_greeted:
            self._closed.wait()
            raise LinkLost("closed")
        self._is_greeted = True
        self._stream.send(data)

    def close(self):
        self._closed.set()
        self._stream.close()


@pytest.fixture
def unheard(agent, monkeypatch):
    # As above.
    monkeypatch.setattr(pulse, "SUSPECT", 60.0)
    link = Link(lambda: Deaf(agent.dial()), agent.bulk, Dialogue("test on here"))
    link.open()
    yield link
    link.close()


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def uploads():
    return {each for each in threading.enumerate() if each.name == "rpnb upload"}


def held_by_the_client():
    """Return the bytes allocated by code of rpnb since the tracing began, and still held.

    What the tests' own machinery takes meanwhile is not the client's.
    """
    of_rpnb = tracemalloc.Filter(True, str(Path(rpnb.__file__).parent / "*"))
    taken = tracemalloc.take_snapshot().filter_traces([of_rpnb])
    return sum(each.size for each in taken.traces)


def assert_holds_less(most, agent, link, flood):
    """Let the agent say all of a flood; hold that what it makes the client keep is bounded.

    A thread that is just ending may hold more for a moment: what is queued stays.
    """
    control, mark, before = agent.streams[-1], submitted(link, "mark"), uploads()
    tracemalloc.start()
    try:
        with contextlib.suppress(LinkLost):
            for message in flood:
                control.send(messages.encode(message))
            control.send(messages.encode(messages.Refused("driver", "all is read", "mark")))
        with pytest.raises(RpnbError):
            list(mark)
        until(lambda: uploads() <= before)
        # What came by streams of their own is the agent's memory.
        while not agent.heard.empty():
            agent.heard.get()
        until(lambda: held_by_the_client() < most)
    finally:
        tracemalloc.stop()


def test_agent_that_asks_on_and_on_for_a_value_and_takes_nothing_gets_it_queued_once(
    agent, unheard
):
    values = [bytes([number]) * SMALL_BYTES for number in range(3)]
    submitted(unheard, blobs={digest(value): value for value in values})
    needs = [messages.Need("r1", {digest(value): [0]}) for value in values]
    assert_holds_less(3 * SMALL_BYTES, agent, unheard, 20 * needs)
    assert unheard._line.waiting_bytes < 1.1 * SMALL_BYTES


def test_agent_that_forgets_on_and_on_and_takes_nothing_gets_a_request_queued_once(agent, unheard):
    program = {"text": "x" * (1 << 18)}
    unheard.submit("r1", OpenRequest(messages.Submit("r1", program)))
    assert_holds_less(1 << 20, agent, unheard, map(messages.Trimmed, range(1, 50)))
    assert unheard._line.waiting_bytes < 1.1 * (1 << 18)


def test_agent_that_pings_on_and_on_and_takes_nothing_is_left(agent, unheard, monkeypatch):
    monkeypatch.setattr(outgoing, "MOST_WAITING", 100)
    run = submitted(unheard)
    assert_holds_less(1 << 20, agent, unheard, map(messages.Ping, range(1, 1000)))
    with pytest.raises(ProtocolError, match="does not read"):
        list(run)


def test_small_value_behind_another_that_waits_goes_over_a_stream_of_its_own(agent, unheard):
    for request in ("r1", "r2"):
        value = request.encode() * (SMALL_BYTES // 3)
        submitted(unheard, request, {digest(value): value})
        agent.streams[0].send(messages.encode(messages.Need(request, {digest(value): [0]})))
        if request == "r1":
            until(lambda: unheard._line.waiting_bytes > SMALL_BYTES // 2)
    assert agent.next(messages.Blob).digest == digest(value)
