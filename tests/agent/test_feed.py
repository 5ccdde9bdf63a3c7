"""What a client is told: everything, in order; of a log that is too long, how much is missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.agent import feed as feeds
from rpnb.agent import journal as journals
from rpnb.agent.feed import Feed
from rpnb.protocol.frames import FrameReader
from rpnb.protocol.messages import Event, Output, Trimmed, decode
from tests.agent.writer import Writer

FROM_THE_START = {"out": 0, "err": 0}


@pytest.fixture
def writer(tmp_path):
    writer = Writer(tmp_path)
    yield writer
    writer.journal.close()


@pytest.fixture
def small(monkeypatch):
    """A client is behind after 3 kB; segments of a few events."""
    for name, value in (("_BEHIND", 3000), ("_TAIL", 1000), ("_PATIENCE", -1)):
        monkeypatch.setattr(feeds, name, value)
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 600)


def told(feed):
    """Return all that the feed has now, as messages."""
    reader, found = FrameReader(), []
    while (pieces := feed.take()) is not None:
        for piece in pieces:
            found += [decode(frame) for frame in reader.receive_data(piece)]
    feed.close()
    return found


def log_of(messages, stream="out"):
    """Return the log's text as a client puts it together: each byte missing is a dot."""
    text = ""
    for message in messages:
        if isinstance(message, Output) and message.stream == stream:
            assert message.offset >= len(text)
            text += "." * (message.offset - len(text)) + message.data.decode()
    return text


def events(messages):
    return [message for message in messages if isinstance(message, Event)]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("out"), st.text("ab\n", max_size=30)),
        st.tuples(st.just("err"), st.text("xy\n", max_size=30)),
        st.tuples(st.just("event"), st.binary(max_size=900)),
    ),
    max_size=30,
)


@given(steps=steps, after=st.integers(0, 10))
def test_feed_tells_everything_in_order(tmp_path_factory, steps, after):
    writer = Writer(tmp_path_factory.mktemp("feed"))
    expected, so_far = [], {"out": "", "err": ""}
    for kind, what in steps:
        if kind == "event":
            expected.append((writer.event(buffers=(what,)), dict(so_far)))
        else:
            writer.print(what, kind)
            so_far[kind] += what
    after = min(after, len(expected))
    begin = {"out": 0, "err": 0}
    if after:
        begin = {"out": expected[after - 1][0].out, "err": expected[after - 1][0].err}
    with writer.record() as record:
        seen = {name: so_far[name][: begin[name]] for name in begin}
        for message in told(Feed(record, after, begin)):
            if isinstance(message, Output):
                assert message.offset == len(seen[message.stream])
                seen[message.stream] += message.data.decode()
            else:
                event, logs = expected[message.seq - 1]
                assert (message, seen) == (event, logs)
                after += 1
    assert after == len(expected) and seen == so_far
    writer.journal.close()


def test_million_chunks_cost_a_relay_no_memory_each(writer):
    for _ in range(300):
        writer.event()
    with writer.record() as record:
        held = len(repr(vars(record.known)))
        for _ in range(300):
            writer.event()
        list(record.poll())
        assert len(repr(vars(record.known))) - held < 10


def test_chunks_without_log_between_them_travel_together(writer):
    for _ in range(100):
        writer.event()
    with writer.record() as record:
        feed = Feed(record, 0, FROM_THE_START)
        assert sum(1 for _ in iter(feed.take, None)) == 1
        feed.close()


def test_client_far_behind_gets_every_event_and_the_end_of_the_log(writer, small):
    writer.run("r", "a line of text\n" * 10, chunks=100)
    with writer.record() as record:
        messages = told(Feed(record, 0, FROM_THE_START))
    assert [e.buffers for e in events(messages) if e.kind == "chunk"] == [
        (str(number).encode(),) for number in range(100)
    ]
    text = log_of(messages)
    assert len(text) == 15_000
    assert text.endswith("a line of text\n" * 66) and 800 < len(text.strip(".")) < 1000
    assert text.strip(".").startswith("a line"), "begins with a whole line"


def test_client_that_soon_catches_up_gets_the_whole_log(writer, small, monkeypatch):
    monkeypatch.setattr(feeds, "_PATIENCE", 60)
    writer.run("r", "a line of text\n" * 1000)
    with writer.record() as record:
        assert log_of(told(Feed(record, 0, FROM_THE_START))) == "a line of text\n" * 1000


def test_end_of_each_run_is_told_to_a_client_behind_several(writer, small):
    for name in "abc":
        writer.run(name, f"{name} line\n" * 1000)
    with writer.record() as record:
        text = log_of(told(Feed(record, 0, FROM_THE_START)))
    assert [f"{name} line\n" * 100 in text for name in "abc"] == [True] * 3


def test_hole_in_the_log_is_passed_and_counted(writer):
    writer.run("r", "x" * 100_000 + "\n")
    with writer.record() as record:
        record.logs["out"].give_up(10_000, 90_000)
        text = log_of(told(Feed(record, 0, FROM_THE_START)))
    assert text == "x" * 10_000 + "." * 80_000 + "x" * 10_000 + "\n"


def test_hole_at_the_end_of_a_run_is_told_before_its_end(writer):
    writer.run("r", "x" * 50_000)
    with writer.record() as record:
        record.logs["out"].give_up(10_000, 50_000)
        messages = told(Feed(record, 0, FROM_THE_START))
    assert messages[-2] == Output("out", 50_000, b"") and messages[-1].kind == "done"


def test_request_is_told_again_alone(writer):
    writer.run("before", "before\n")
    writer.run("r", "told\n", chunks=3)
    writer.event("done", "secrets")
    writer.run("after", "after\n")
    with writer.record() as record:
        live = Feed(record, record.seq, record.settled)
        messages = told(Feed.again(record, record.traces["r"], live))
    assert {event.request for event in events(messages)} == {"r"}
    assert log_of(messages).strip(".") == "told\n" * 3


def test_request_under_way_is_told_up_to_where_the_client_is(writer):
    writer.event("accepted")
    writer.print("first\n")
    with writer.record() as record:
        live = Feed(record, record.seq, record.settled)
        again = Feed.again(record, record.traces["r"], live)
        writer.print("second\n")
        writer.event("done")
        list(record.poll())
        assert log_of(told(again)) == "first\n"
        assert [e.kind for e in events(told(live))] == ["done"]


def test_client_whose_events_are_gone_is_told_where_they_begin(writer, small):
    for name in "abc":
        writer.run(name, chunks=5)
    with writer.record() as record:
        record.forget([record.traces["a"]])
        messages = told(Feed(record, 2, FROM_THE_START))
        first = record.segments[0]
    assert messages[0] == Trimmed(first - 1)
    assert [event.seq for event in events(messages)] == list(range(first, 22))


def test_journal_that_is_trimmed_while_a_client_reads_goes_on_after_the_gap(writer, small):
    for name in "abc":
        writer.run(name, chunks=5)
    with writer.record() as record:
        feed = Feed(record, 0, FROM_THE_START)
        next(feed.take())
        record.forget([record.traces["a"], record.traces["b"]])
        messages = told(feed)
    assert Trimmed(record.segments[0] - 1) in messages
    assert messages[-1].seq == 21


def test_event_that_was_looked_at_before_its_segment_was_removed_is_not_sent(writer, small):
    """Its log is sent first; meanwhile the file that it was found in may go."""
    for name in "abc":
        writer.run(name, "a line\n", chunks=5)
    with writer.record() as record:
        feed = Feed(record, 1, FROM_THE_START)
        frame = next(FrameReader().receive_data(b"".join(feed.take())))
        assert isinstance(decode(frame), Output)
        record.forget([record.traces["a"], record.traces["b"]])
        messages = told(feed)
    assert messages[0] == Trimmed(record.segments[0] - 1)
    numbers = [event.seq for event in events(messages)]
    assert numbers == list(range(messages[0].seq + 1, 22))
