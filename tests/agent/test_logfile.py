"""A log that gives up its middle: offsets stay, holes are told from text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.agent import logfile
from rpnb.agent.logfile import HOLE_BYTES, LogFile

MIB = 1 << 20


@pytest.fixture(params=["punched", "begun anew"])
def log(request, tmp_path, monkeypatch):
    """A log of 4 MiB of letters, on a disk that punches holes and on one that cannot."""
    if request.param == "begun anew":
        monkeypatch.setattr(logfile, "_punch", lambda *_: False)
    path = tmp_path / "out"
    path.write_bytes(b"".join(bytes([letter]) * MIB for letter in b"abcd"))
    log = LogFile(path)
    yield log
    log.close()


def pieces(log, offset=0, piece=1 << 16):
    """Read the log as a client does: (offset, text) of each stretch of text."""
    found = []
    while offset < log.size:
        text = log.text(offset, min(piece, log.size - offset))
        if not text:
            offset = log.end_of_hole(offset)
        elif found and found[-1][0] + len(found[-1][1]) == offset:
            found[-1] = (found[-1][0], found[-1][1] + text)
            offset += len(text)
        else:
            found.append((offset, text))
            offset += len(text)
    return found


def test_log_that_gives_up_text_frees_the_disk_and_keeps_its_size(log):
    before = log.held_bytes
    log.give_up(MIB, 3 * MIB)
    assert log.size == 4 * MIB
    assert log.held_bytes <= before - 2 * MIB
    assert log.read(3 * MIB, 5) == b"ddddd"


def test_what_follows_a_hole_is_where_it_was(log):
    log.give_up(MIB, 3 * MIB + 17)
    assert pieces(log)[-1] == (3 * MIB + 17, b"d" * (MIB - 17))


def test_log_that_is_written_on_after_it_gave_up_text_goes_on_at_its_end(log, tmp_path):
    with (tmp_path / "out").open("ab") as worker:
        log.give_up(MIB, 2 * MIB)
        worker.write(b"new")
    assert log.read(4 * MIB, 9) == b"new"


def test_log_may_give_up_all_it_has(log):
    log.give_up(0, 4 * MIB)
    assert pieces(log) == []
    assert log.end_of_hole(0) == log.size == 4 * MIB


def test_log_given_up_twice_holds_what_is_left(log):
    log.give_up(MIB, 2 * MIB)
    log.give_up(MIB + 100, 3 * MIB)
    assert log.held_bytes <= 2 * MIB + 2 * HOLE_BYTES


def test_holes_side_by_side_are_one_and_leave_no_block_between_them(log, tmp_path):
    """A long flood gives way in a thousand steps."""
    for start in range(100_001, 3_000_001, 10_000):
        log.give_up(start, start + 10_000)
    assert (tmp_path / "out").stat().st_blocks * 512 <= 4 * MIB - 2_900_000 + 2 * HOLE_BYTES
    starts = [offset for offset, _ in pieces(log)]
    assert starts[-1] == 3_000_001 and len(starts) <= 2


@given(
    start=st.integers(0, 40_000),
    size=st.integers(HOLE_BYTES, 40_000),
    piece=st.integers(700, 9000),
    nuls=st.integers(0, HOLE_BYTES - 1),
)
def test_hole_is_found_exactly_however_it_is_read(tmp_path_factory, start, size, piece, nuls):
    path = tmp_path_factory.mktemp("log") / "out"
    # A program may print NULs, too.
    text = b"x" * 10_000 + bytes(nuls) + b"y" * 70_000
    path.write_bytes(text)
    log = LogFile(path)
    end = start + size
    log.give_up(start, end)
    before, after = text[:start].rstrip(b"\0"), text[end:].lstrip(b"\0")
    found = b"".join(each for _, each in pieces(log, piece=piece))
    assert found.replace(b"\0", b"") == (before + after).replace(b"\0", b"")
    log.close()
