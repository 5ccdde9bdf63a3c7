"""What is kept of a long log, and how its holes read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rpnb.session.logs import Decoder, KeptLog, Lost, hole
from rpnb.session.updates import LeftOut, Logged


@given(st.lists(st.text(max_size=30), max_size=12), st.integers(2, 40))
def test_kept_log_is_head_and_tail_and_counts_the_rest(pieces, most):
    kept, whole = KeptLog(most), "".join(pieces)
    for piece in pieces:
        kept.add(piece)
    half = most // 2
    if len(whole) <= 2 * half:
        assert kept.text() == whole
        return
    head, tail = whole[:half], whole[len(whole) - half :]
    assert kept.text() == head + hole(Lost.of(whole[half : len(whole) - half])) + tail


def test_kept_log_shows_a_hole_that_was_made_on_the_way():
    kept = KeptLog()
    kept.add("first\n")
    kept.leave_out(5_000_000)
    kept.add("last\n")
    assert kept.text() == "first\n\n[… 5 MB of output left out here …]\nlast\n"


def test_lines_that_are_left_out_are_counted_where_they_were_here():
    kept = KeptLog(20)
    kept.add("a line\n" * 2000)
    assert "[… 1,997 lines (14 kB) of output left out here …]" in kept.text()


def test_hole_that_falls_out_of_the_end_still_counts():
    kept = KeptLog(100)
    kept.add("x" * 60)
    kept.leave_out(5_000_000)
    kept.add("y" * 90)
    assert kept.text() == "x" * 50 + "\n[… 5 MB of output left out here …]\n" + "y" * 50


def test_decoder_begins_anew_after_a_hole():
    decoder = Decoder()
    assert list(decoder.read("out", 0, "é".encode()[:1])) == []
    assert list(decoder.read("out", 9, b"x")) == [LeftOut("out", 9), Logged("out", "x")]
