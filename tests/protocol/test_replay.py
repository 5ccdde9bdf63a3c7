import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.errors import ProtocolError
from rpnb.protocol.messages import Event, Output, Trimmed
from rpnb.protocol.replay import Cursor


def event(seq):
    return Event(seq, 0.0, 0, 0, None, "done", {})


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(1, 30))
def test_replay_after_cuts_gives_each_event_once(cuts, last):
    """Whatever the agent repeats after each cut, each event passes once and in order."""
    cursor, seen = Cursor(0), []
    for cut in [*cuts, last]:
        # After a cut the agent starts at most one past what the client has.
        start = min(cut, cursor.seq) + 1
        seen += [seq for seq in range(start, max(cut, start) + 1) if cursor.take(event(seq))]
    assert seen == list(range(1, cursor.seq + 1))


def test_missing_event_is_noticed():
    with pytest.raises(ProtocolError, match="expected event 4, got 6"):
        Cursor(3).take(event(6))


@given(st.binary(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))))
def test_log_pieces_that_overlap_give_each_byte_once(log, pieces):
    cursor, seen = Cursor(0), b""
    for start, size in [*pieces, (0, len(log))]:
        # The agent never skips bytes of a log that was not trimmed.
        start = min(start, len(seen), len(log))
        missed, new = cursor.take_output(Output("out", start, log[start : start + size]))
        assert not missed
        seen += new
    assert seen == log


def test_trimmed_log_continues_after_the_hole_which_is_counted():
    cursor = Cursor(0, out=3)
    assert cursor.take_output(Output("out", 10, b"tail")) == (7, b"tail")
    assert cursor.offsets["out"] == 14


def test_hole_at_the_end_is_counted_once():
    cursor = Cursor(0, out=3)
    assert cursor.take_output(Output("out", 10, b"")) == (7, b"")
    assert cursor.take_output(Output("out", 10, b"more")) == (0, b"more")


def test_trimmed_events_are_not_missed():
    cursor = Cursor(3)
    cursor.skip(Trimmed(7))
    assert cursor.take(event(8))


def test_unknown_log_is_refused():
    with pytest.raises(ProtocolError, match="log out or err"):
        Cursor(0).take_output(Output("secret", 0, b""))
