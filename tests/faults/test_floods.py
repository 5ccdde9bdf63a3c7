"""Floods: a handler that prints or yields without end, and nobody who reads in time."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import rpnb
from rpnb.agent.journal import JournalReader
from rpnb.session.attach import attach
from rpnb.session.logs import bytes_of
from rpnb.session.updates import Finished, JobStarted, LeftOut, Logged, Streamed, Waiting
from tests.behaviour.cells import Seen, job, program, run
from tests.conftest import TARGETS, _end_processes
from tests.faults.breaking import WORKER, Processes, until

MB = 1_000_000
# A worker may keep this much: a flood of a few seconds is beyond it.
CAP = 8 * MB
PRINTS = """
def handler(job):
    for number in range(job["input"]["lines"]):
        print(f"{number:9d} " + "x" * 989)
    open("printed", "w").close()
    return "done"
"""
YIELDS = """
def handler(job):
    text = "x" * job["input"].get("size", 0)
    for number in range(job["input"]["chunks"]):
        yield [number, text]
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RPNB_HOME", str(tmp_path))
    monkeypatch.setenv("RPNB_KEEP_BYTES", str(CAP))
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


def held_bytes(folder):
    files = [folder / "out", folder / "err", *(folder / "journal").iterdir()]
    return sum(file.stat().st_blocks * 512 for file in files)


def has_finished(processes):
    events = JournalReader(processes.directory.journal).poll()
    return any(event.kind == "finished" for event in events)


def left_alone(session, made, value):
    """Submit a job and leave once it has begun; return its request."""
    running = session.submit(made, job=job(value))
    for update in running:
        if isinstance(update, JobStarted):
            break
    session.close()
    return running.request


def test_flood_of_prints_without_a_reader_is_bounded_everywhere(session, processes):
    made = program(handler=PRINTS)
    run(session, made, {"lines": 1})
    (processes.directory.app / "printed").unlink()
    pids = [processes.pid(name) for name in ("relay", "worker")]
    before = [peak_bytes(pid) for pid in pids]
    lines = 60_000
    request = left_alone(session, made, {"lines": lines})
    # Nobody reads: the handler comes to its end all the same.
    until((processes.directory.app / "printed").exists, "the handler's end")
    until(lambda: held_bytes(processes.directory.path) < CAP, "room")
    session.open()
    seen = Seen(attach(session, request))
    grown = [peak_bytes(pid) - was for pid, was in zip(pids, before, strict=True)]
    assert max(grown) < 8 * MB, grown
    assert held_bytes(processes.directory.path) < CAP
    # Not a byte is missing without being counted.
    told = sum(bytes_of(each.text) for each in seen.of(Logged))
    left_out = sum(each.size_bytes for each in seen.of(LeftOut))
    assert told + left_out == lines * 1000 and left_out > lines * 500
    assert seen.out.startswith("        0 xxx") and seen.out.endswith("\n")
    assert f"\n{lines - 1:9d} x" in seen.out
    assert seen.result.output == "done" and "left out here" in seen.result.logs


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


def test_flood_of_chunks_arrives_whole_although_nobody_read_for_long(session, processes):
    made = program(handler=YIELDS)
    relay = processes.pid("relay")
    before = peak_bytes(relay)
    request = left_alone(session, made, {"chunks": 10_000})
    until(lambda: has_finished(processes), "the handler's end", within=50)
    session.open()
    seen = Seen(attach(session, request))
    assert [each.value[0] for each in seen.of(Streamed)] == list(range(10_000))
    assert len(seen.result.stream) == 10_000
    assert peak_bytes(relay) - before < 4 * MB


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
@pytest.mark.parametrize("target", TARGETS[1:], indirect=True)
def test_million_lines_arrive_whole(target):
    made = program(handler="def handler(job):\n    for n in range(1_000_000):\n        print(n)")
    count = last = 0
    with rpnb.connect(target.text, name=WORKER, python=sys.executable) as session:
        for update in session.submit(made, job=job()):
            if isinstance(update, Logged):
                count += update.text.count("\n")
                last = update.text
        session.stop()
    assert count == 1_000_000
    assert last.endswith("999999\n")


@pytest.mark.slow  # 100 MB
def test_large_result_arrives_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("RPNB_HOME", str(tmp_path))
    with rpnb.connect("local", name=WORKER, python=sys.executable) as session:
        made = program(handler="def handler(job):\n    return 'x' * (100 << 20)")
        assert len(run(session, made).result.output) == 100 << 20
        session.stop()
