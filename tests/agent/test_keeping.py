"""What gives way when a worker has said too much: log text, then old runs; never a stream."""

from __future__ import annotations

import os
import time

import pytest

from rpnb.agent import journal as journals
from rpnb.agent import keeping
from rpnb.agent.journal import JournalReader
from rpnb.agent.keeping import Allowance, Keeping
from rpnb.errors import NoSpace
from tests.agent.writer import Writer

KIB = 1 << 10
DAY = 86_400.0
# Block by block: what a file holds is counted in those.
BLOCK = 4 * KIB


@pytest.fixture
def writer(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 16 * KIB)
    monkeypatch.setattr(keeping, "_LOOK", 0)
    # What is free on the disk of the tests is no part of them.
    monkeypatch.setattr(keeping, "_RESERVE", 0)
    writer = Writer(tmp_path)
    yield writer
    writer.journal.close()


def kept(writer, size, days=7.0):
    """Look once, as a relay does; return its record."""
    record = writer.opened()
    Keeping(writer.directory, record, Allowance(size, days)).step()
    return record


def held(record):
    return sum(log.held_bytes for log in record.logs.values())


def chunks(writer, request):
    events = JournalReader(writer.directory.journal).poll()
    return [e.buffers[0] for e in events if e.request == request and e.kind == "chunk"]


def test_what_fits_is_left_alone(writer):
    writer.run("a", "x" * 100 * KIB, chunks=3)
    record = kept(writer, 1000 * KIB)
    assert held(record) >= 300 * KIB and "a" in record.traces


def test_too_long_a_log_loses_its_middle_and_keeps_both_ends(writer):
    writer.run("a", "line\n" * 200_000)
    record = kept(writer, 512 * KIB)
    edge, log = 32 * KIB, record.logs["out"]
    assert held(record) <= 512 * KIB
    assert log.read(0, edge) == (b"line\n" * KIB * 7)[:edge]
    assert log.read(log.size - edge, edge).endswith(b"line\n" * 6000)


def test_log_gives_way_before_any_result(writer):
    writer.run("old", "", chunks=20)
    writer.run("flood", "x" * 2000 * KIB)
    record = kept(writer, 512 * KIB)
    assert [*record.traces] == ["old", "flood"]
    assert len(chunks(writer, "old")) == 20


def test_oldest_log_gives_way_first(writer):
    for name in "ab":
        writer.run(name, f"{name}\n" * 150 * KIB)
    record = kept(writer, 512 * KIB)
    log, middle = record.logs["out"], 150 * KIB
    assert log.text(middle, 10) == b""
    assert log.text(3 * middle + 50 * KIB, 10).startswith(b"b\n")


def test_run_that_goes_on_gives_way_as_it_grows(writer):
    writer.event("accepted", "a")
    record = writer.opened()
    keeper = Keeping(writer.directory, record, Allowance(512 * KIB))
    for number in range(20):
        writer.print(f"{number:4}\n" * 20 * KIB)
        list(record.poll())
        keeper.step()
        assert held(record) <= 600 * KIB
    log = record.logs["out"]
    assert log.read(0, 5) == b"   0\n" and log.read(log.size - 5, 5) == b"  19\n"


def test_flood_that_gave_way_in_many_steps_has_one_hole(writer):
    writer.event("accepted", "a")
    record = writer.opened()
    keeper = Keeping(writer.directory, record, Allowance(512 * KIB))
    for number in range(60):
        writer.print(f"{number:9} {'x' * 989}\n" * 40)
        list(record.poll())
        keeper.step()
    log, edge = record.logs["out"], 32 * KIB
    hole = log.line_after(edge)
    rest = log.end_of_hole(hole)
    assert not log.text(hole, KIB) and rest > 1000 * KIB
    assert b"\0" not in log.read(rest, log.size - rest)
    assert writer.directory.out.stat().st_blocks * 512 <= 512 * KIB


def test_runs_that_ended_go_oldest_first_when_logs_are_not_enough(writer):
    for number in range(40):
        writer.run(f"r{number}", chunks=100)
    record = kept(writer, 256 * KIB)
    names = [*record.traces]
    assert names == [f"r{number}" for number in range(40 - len(names), 40)]
    assert 3 < len(names) < 30
    assert len(chunks(writer, "r39")) == 100


def test_stream_of_a_run_that_goes_on_is_never_dropped(writer):
    writer.run("old", chunks=100)
    writer.event("accepted", "a")
    for number in range(2000):
        writer.event("chunk", "a", buffers=(b"%d" % number,))
    record = kept(writer, 128 * KIB)
    assert [*record.traces] == ["a"] and "old" in record.known.forgotten
    assert chunks(writer, "a") == [b"%d" % number for number in range(2000)]
    with pytest.raises(NoSpace, match="may keep"):
        Allowance(128 * KIB).check(writer.directory)


def test_worker_need_not_wait_while_there_is_room(writer):
    writer.run("a", "x" * 100 * KIB, chunks=10)
    Allowance(2000 * KIB).check(writer.directory)


# Age


def test_runs_that_are_too_old_are_let_go(writer, monkeypatch):
    monkeypatch.setattr(keeping, "_STEADY", 0)
    writer.run("old", "x" * 100 * KIB)
    then = time.time()
    monkeypatch.setattr(time, "time", lambda: then + 8 * DAY)
    writer.run("new")
    record = kept(writer, 10_000 * KIB)
    assert [*record.traces] == ["new"] and held(record) <= BLOCK


def test_clock_that_was_set_makes_nothing_old(writer, monkeypatch):
    monkeypatch.setattr(keeping, "_STEADY", -1)
    monkeypatch.setattr(keeping, "_LOOK_AT_AGE", 0)
    writer.run("a")
    record, now = writer.opened(), time.time
    keeper = Keeping(writer.directory, record, Allowance())
    monkeypatch.setattr(time, "time", lambda: now() + 400 * DAY)
    keeper.step()
    assert [*record.traces] == ["a"]


def test_new_relay_trusts_no_clock_at_once(writer, monkeypatch):
    writer.run("a")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 400 * DAY)
    assert [*kept(writer, 10_000 * KIB).traces] == ["a"]


def test_more_runs_than_anybody_looks_through_are_let_go(writer, monkeypatch):
    monkeypatch.setattr(keeping, "_MOST_RUNS", 5)
    for number in range(9):
        writer.run(f"r{number}")
    assert [*kept(writer, 10_000 * KIB).traces] == [f"r{number}" for number in range(4, 9)]


# Full disks


def test_log_gives_way_where_the_disk_is_nearly_full(writer, monkeypatch):
    writer.run("a", "x" * 2000 * KIB)
    found = os.statvfs(writer.directory.path)
    monkeypatch.setattr(keeping, "_RESERVE", found.f_blocks * found.f_frsize)
    monkeypatch.setattr(keeping, "_RESERVE_SHARE", 1.0)
    record = kept(writer, 16_000 * KIB)
    assert held(record) <= 2 * 1000 * KIB + BLOCK and "a" in record.traces


def test_environment_says_what_may_be_kept():
    assert Allowance.of({}) == Allowance(2_000_000_000, 7.0)
    assert Allowance.of({"RPNB_KEEP_BYTES": "5e6", "RPNB_KEEP_DAYS": "0.5"}) == Allowance(
        5_000_000, 0.5
    )


def test_agent_that_runs_collects_old_caches_every_six_hours(writer, monkeypatch):
    roots, now = [], [time.monotonic()]
    monkeypatch.setattr(keeping, "collect", roots.append)
    monkeypatch.setattr(keeping.time, "monotonic", lambda: now[0])
    found = Keeping(writer.directory, writer.opened(), Allowance(1 << 30, 7.0))
    monkeypatch.setattr(found._clock, "is_steady", lambda: True)
    for hours in (0, 5, 7, 8, 14):
        now[0] = hours * 3600.0 + 1e6
        found.step()
    # At the start, and after 7 and 14 hours.
    assert roots == [writer.directory.root] * 3
