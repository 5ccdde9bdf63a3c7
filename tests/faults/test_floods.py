"""Floods: a handler that prints or yields without end, and nobody who reads in time."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from pathlib import Path

import pytest

import rpnb
from rpnb.agent.journal import JournalReader, segments
from rpnb.session.attach import attach
from rpnb.session.chunks import MOST_BYTES
from rpnb.session.logs import bytes_of
from rpnb.session.updates import Finished, JobStarted, LeftOut, Logged, Streamed, Waiting
from tests.behaviour.cells import Seen, job, program, run
from tests.conftest import TARGETS, _end_processes
from tests.faults.breaking import WORKER, Processes, until

MB = 1_000_000
# A worker may keep this much: a flood of a few seconds is beyond it.
CAP = 8 * MB
# No print and no yield of a handler takes longer, whoever reads or does not: one that waited
# for a reader would have no end. 0.02 s were measured; a busy machine may stop the process
# itself, or its disk, for a while.
LONGEST = 30.0
PRINTS = """
import time

def handler(job):
    longest = 0.0
    for number in range(job["input"]["lines"]):
        began = time.perf_counter()
        print(f"{number:9d} " + "x" * 989)
        longest = max(longest, time.perf_counter() - began)
    open("longest", "w").write(str(longest))
    return "done"
"""
YIELDS = """
import time

def handler(job):
    text, longest = "x" * job["input"].get("size", 0), 0.0
    for number in range(job["input"]["chunks"]):
        began = time.perf_counter()
        yield [number, text]
        longest = max(longest, time.perf_counter() - began)
    open("longest", "w").write(str(longest))
"""


@pytest.fixture
def cap():
    """What the worker may keep."""
    return CAP


@pytest.fixture
def home(tmp_path, monkeypatch, cap):
    monkeypatch.setenv("RPNB_HOME", str(tmp_path))
    monkeypatch.setenv("RPNB_KEEP_BYTES", str(cap))
    yield tmp_path
    _end_processes(tmp_path)


@pytest.fixture
def session(home):
    session = rpnb.connect("local", name=WORKER, python=sys.executable)
    yield session
    session.stop()


@pytest.fixture
def processes(session, home):
    return Processes(home)


def peak_bytes(pid):
    """The most memory that a process ever held."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", text).group(1)) * 1024


class Peaks:
    """How much more memory relay, worker and this process, which is the kernel, came to hold.

    And how long the handler's longest print or yield took, by its own clock.
    """

    def __init__(self, processes):
        self._pids = {name: processes.pid(name) for name in ("relay", "worker")}
        self._pids["kernel"] = os.getpid()
        for pid in self._pids.values():
            # The peak so far is forgotten: imports and earlier tests had theirs.
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        self._before = {name: peak_bytes(pid) for name, pid in self._pids.items()}
        self._longest = processes.directory.app / "longest"
        self._longest.unlink()
        self._began = time.monotonic()

    def grown(self):
        return {name: peak_bytes(pid) - self._before[name] for name, pid in self._pids.items()}

    def longest(self):
        """Return the seconds of the longest call, once the handler has come to its end."""
        file = self._longest
        return float(until(lambda: file.exists() and file.read_text(), "the handler's end", 500))

    def told(self, what):
        figures = ", ".join(f"{name} {size / MB:.1f} MB" for name, size in self.grown().items())
        seconds = f"{time.monotonic() - self._began:.0f} s, longest call {self.longest():.3f} s"
        return f"{what}: {seconds}; more at its peak: {figures}"


def late(running, seconds):
    """Yield a run's updates to somebody who reads ten a second for so long, and then on."""
    end = time.monotonic() + seconds
    for update in running:
        if time.monotonic() < end:
            time.sleep(0.1)
        yield update


def held_bytes(folder):
    size = 0
    for file in (folder / "out", folder / "err", *(folder / "journal").iterdir()):
        with contextlib.suppress(FileNotFoundError):  # it was let go meanwhile
            size += file.stat().st_blocks * 512
    return size


def has_finished(processes, request):
    """Look into the last segment only: a million events take a while."""
    last = segments(processes.directory.journal)[-1]
    with contextlib.closing(JournalReader(processes.directory.journal, last - 1)) as reader:
        return any((e.kind, e.request) == ("finished", request) for e in reader.poll())


def left_alone(session, made, value):
    """Submit a job and leave once it has begun; return its request."""
    running = session.submit(made, job=job(value))
    for update in running:
        if isinstance(update, JobStarted):
            break
    session.close()
    return running.request


# As many lines of 1000 bytes, and how long it takes.
LINES = [
    pytest.param(60_000, id="60 MB"),
    pytest.param(MB, id="1 GB", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
]


def check_flood(seen, lines):
    """Not a byte is missing without being counted."""
    text = sum(bytes_of(each.text) for each in seen.of(Logged))
    assert text + sum(each.size_bytes for each in seen.of(LeftOut)) == lines * 1000
    assert seen.out.startswith("        0 xxx") and seen.out.endswith("\n")
    assert f"\n{lines - 1:9d} x" in seen.out
    assert seen.result.output == "done"


@pytest.mark.slow  # 60 MB
@pytest.mark.parametrize("lines", LINES)
def test_flood_of_prints_without_a_reader_is_bounded_everywhere(session, processes, lines, tell):
    made = program(handler=PRINTS)
    run(session, made, {"lines": 1})
    peaks = Peaks(processes)
    request = left_alone(session, made, {"lines": lines})
    # Nobody reads: the handler comes to its end all the same.
    assert peaks.longest() < LONGEST
    until(lambda: held_bytes(processes.directory.path) < CAP, "room")
    session.open()
    seen = Seen(attach(session, request))
    tell(peaks.told(f"{lines / 1000:.0f} MB printed, nobody there"))
    grown = peaks.grown()
    assert max(grown["relay"], grown["worker"]) < 8 * MB and grown["kernel"] < 64 * MB
    assert held_bytes(processes.directory.path) < CAP
    check_flood(seen, lines)
    assert sum(each.size_bytes for each in seen.of(LeftOut)) > lines * 500
    assert "left out here" in seen.result.logs


@pytest.mark.slow  # 60 MB
@pytest.mark.parametrize("lines", LINES)
def test_flood_of_prints_with_a_slow_reader_is_bounded_everywhere(session, processes, lines, tell):
    made = program(handler=PRINTS)
    run(session, made, {"lines": 1})
    peaks = Peaks(processes)
    running = session.submit(made, job=job({"lines": lines}))
    seen = Seen(late(running, lines / 10_000))
    tell(peaks.told(f"{lines / 1000:.0f} MB printed, a slow reader"))
    grown = peaks.grown()
    assert peaks.longest() < LONGEST
    assert max(grown["relay"], grown["worker"]) < 8 * MB and grown["kernel"] < 128 * MB
    assert held_bytes(processes.directory.path) < 2 * CAP
    check_flood(seen, lines)


def test_logs_of_earlier_runs_give_way_and_their_results_stay(session, processes):
    made = program(handler=PRINTS)
    first = session.submit(made, job=job({"lines": 3000}))
    assert Seen(first).result.ok
    for _ in range(3):
        assert run(session, made, {"lines": 3000}).result.ok
    until(lambda: held_bytes(processes.directory.path) < CAP, "room")
    again = Seen(attach(session, first.request))
    assert again.result.output == "done"
    told = sum(bytes_of(each.text) for each in again.of(Logged))
    assert told + sum(each.size_bytes for each in again.of(LeftOut)) == 3000 * 1000


def check_chunks(updates, count):
    """Each chunk once and in order, and the end; none is kept here."""
    numbers, result = iter(range(count)), None
    for update in updates:
        if isinstance(update, Streamed):
            assert update.value[0] == next(numbers)
        elif isinstance(update, Finished):
            result = update.result
    assert next(numbers, None) is None
    assert result.ok and len(result.stream) + result.left_out.get("stream", 0) == count


def check_peaks(peaks, size):
    """What a kernel holds at most: what no cell has read (16 MiB and a message), and 64 MB of JSON.

    As objects these are up to three times as much where each chunk is small.
    """
    grown, held = peaks.grown(), MOST_BYTES * (1 if size else 3)
    assert max(grown["relay"], grown["worker"]) < 8 * MB
    assert grown["kernel"] < 17 * MB + held + 8 * MB
    assert peaks.longest() < LONGEST


# How many, of how many bytes, and what the worker may keep.
CHUNKS = [
    pytest.param(10_000, 0, CAP, id="10^4"),
    pytest.param(15_000, 10_000, 2000 * MB, id="150 MB"),
    pytest.param(MB, 0, 2000 * MB, id="10^6", marks=[pytest.mark.long, pytest.mark.timeout(1200)]),
]


@pytest.mark.slow  # RunPod's SDK takes 0.1 ms for each
@pytest.mark.parametrize(("chunks", "size", "cap"), CHUNKS)
def test_flood_of_chunks_arrives_whole_although_nobody_read_for_long(
    session, processes, chunks, size, tell
):
    made = program(handler=YIELDS)
    run(session, made, {"chunks": 1})
    peaks = Peaks(processes)
    request = left_alone(session, made, {"chunks": chunks, "size": size})
    until(lambda: has_finished(processes, request), "the handler's end", within=1000)
    session.open()
    check_chunks(attach(session, request), chunks)
    tell(peaks.told(f"{chunks} chunks of {size} bytes, nobody there"))
    check_peaks(peaks, size)


@pytest.mark.slow  # the same
@pytest.mark.parametrize(("chunks", "size", "cap"), CHUNKS)
def test_flood_of_chunks_arrives_whole_with_a_slow_reader(session, processes, chunks, size, tell):
    made = program(handler=YIELDS)
    run(session, made, {"chunks": 1})
    peaks = Peaks(processes)
    running = session.submit(made, job=job({"chunks": chunks, "size": size}))
    check_chunks(late(running, chunks / 10_000), chunks)
    tell(peaks.told(f"{chunks} chunks of {size} bytes, a slow reader"))
    check_peaks(peaks, size)


def test_stream_beyond_the_cap_waits_is_told_and_can_be_cancelled(session):
    made = program(handler=YIELDS)
    running, seen, waiting = session.submit(made, job=job({"chunks": 50, "size": MB})), Seen(), None
    for update in running:
        seen.append(update)
        if isinstance(update, Waiting) and waiting is None:
            waiting = update.text
            running.cancel()
    assert "RPNB_KEEP_BYTES" in waiting and "waits until there is room" in waiting
    assert len(seen.of(Waiting)) == 1
    assert seen.of(Finished)[0].result.status == "CANCELLED"
    # What came before is whole.
    values = [each.value[0] for each in seen.of(Streamed)]
    assert values == list(range(len(values))) and len(values) >= 7
    assert run(session, made, {"chunks": 3}).result.ok


@pytest.mark.slow  # a million lines over SSH
@pytest.mark.parametrize("lines", [200_000, pytest.param(1_000_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("target", TARGETS[1:], indirect=True)
def test_many_short_lines_arrive_whole(target, lines):
    made = program(handler=f"def handler(job):\n    for n in range({lines}):\n        print(n)")
    count = last = 0
    with rpnb.connect(target.text, name=WORKER, python=sys.executable) as session:
        for update in session.submit(made, job=job()):
            if isinstance(update, Logged):
                count += update.text.count("\n")
                last = update.text
        session.stop()
    assert count == lines
    assert last.endswith(f"{lines - 1}\n")


@pytest.mark.long  # 100 MB
def test_large_result_arrives_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("RPNB_HOME", str(tmp_path))
    with rpnb.connect("local", name=WORKER, python=sys.executable) as session:
        made = program(handler="def handler(job):\n    return 'x' * (100 << 20)")
        assert len(run(session, made).result.output) == 100 << 20
        session.stop()
