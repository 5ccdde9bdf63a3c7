"""Disks that fill, at any moment: it is said, it waits, and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest

import rpnb
from rpnb.errors import AgentError, NoSpace, RpnbError
from rpnb.session.attach import attach
from rpnb.session.updates import JobStarted, Streamed, Waiting
from tests.behaviour.cells import Seen, job, program, run
from tests.conftest import _end_processes
from tests.faults.breaking import WORKER, Processes, hang_up, is_alive, until

ONE = "def handler(job):\n    return 1"
# Fills the disk with a file of its own, as a checkpoint does.
FILLS = """
import errno, os

def fill():
    with open("ballast", "wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
"""
STREAMS = f"""
{FILLS}

def handler(job):
    yield "begun"
    fill()
    for number in range(20):
        print("line", number)
        yield [number, "x" * 10_000]
"""


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """RPNB_HOME on a disk of 16 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk here")
    monkeypatch.setenv("RPNB_HOME", str(folder))
    yield folder
    _end_processes(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def session(small_disk):
    session = rpnb.connect("local", name=WORKER, python=sys.executable)
    yield session
    with contextlib.suppress(RpnbError):
        session.stop()


@pytest.fixture
def processes(session, small_disk):
    return Processes(small_disk)


@pytest.fixture
def ballast(processes):
    return processes.directory.app / "ballast"


def fill(folder, room=0):
    """Leave so many bytes free and no more; return the file that takes the others."""
    file = folder / "full"
    with file.open("wb", buffering=0) as writer:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while writer.write(bytes(size)) == size:
                    pass
        os.truncate(file, file.stat().st_size - room)
    return file


def free_when_told(running, file):
    """Follow a run; remove the file once it is said that the disk is full."""
    seen = Seen()
    for update in running:
        seen.append(update)
        if isinstance(update, Waiting):
            file.unlink(missing_ok=True)
    return seen


def test_disk_that_is_full_is_said_before_anything_is_started(small_disk):
    fill(small_disk)
    with pytest.raises(NoSpace, match="(?s)space.*RPNB_HOME"):
        rpnb.connect("local", name="full", python=sys.executable)
    assert not (small_disk / "run" / "full" / "pids").exists()


def test_job_whose_disk_fills_waits_and_loses_nothing(session, ballast):
    seen = free_when_told(session.submit(program(handler=STREAMS), job=job()), ballast)
    assert "space" in seen.of(Waiting)[0].text and len(seen.of(Waiting)) == 1
    assert seen.result.ok
    assert [each[0] for each in seen.result.stream[1:]] == list(range(20))
    assert run(session, program(handler=ONE)).result.ok


def test_prints_on_a_full_disk_fail_no_job(session, ballast):
    text = FILLS + (
        "def handler(job):\n"
        "    fill()\n"
        "    for number in range(50_000):\n"
        "        print('x' * 99)\n"
        "    os.unlink('ballast')\n"
        "    print('last')\n"
        "    return 'done'\n"
    )
    result = run(session, program(handler=text)).result
    assert result.output == "done", result
    assert "output left out: the disk was full" in result.logs and result.logs.endswith("last\n")


def test_log_makes_room_for_what_must_not_be_lost(session, small_disk):
    """The flood is rpnb's own: no person need free anything."""
    # The relay makes room within 50 ms; a busy machine is given more before it is told.
    text = (
        "import sys\n"
        "def handler(job):\n"
        "    sys.modules['_rpnb.agent.worker_events']._SILENCE = 20.0\n"
        "    for number in range(12):\n"
        "        print('x' * 1_999_999)\n"
        "        yield [number, 'x' * 100_000]\n"
    )
    seen = run(session, program(handler=text))
    assert seen.result.ok and len(seen.of(Streamed)) == 12
    assert not seen.of(Waiting)


def test_waiting_job_is_found_again_over_a_new_link(session, ballast):
    running, seen = session.submit(program(handler=STREAMS), job=job()), Seen()
    for update in running:
        seen.append(update)
        if isinstance(update, Waiting):
            hang_up(session)
            ballast.unlink()
            break
    seen += running
    assert [each[0] for each in seen.result.stream[1:]] == list(range(20))


def test_client_that_comes_later_is_told_why_the_job_waits(session, ballast):
    running = session.submit(program(handler=STREAMS), job=job())
    for update in running:
        if isinstance(update, Waiting):
            break
    session.close()
    session.open()
    seen = free_when_told(attach(session, running.request), ballast)
    assert seen.of(Waiting) and seen.result.ok


def test_relay_killed_on_a_full_disk_is_replaced(session, processes, ballast):
    running = session.submit(program(handler=STREAMS), job=job())
    for update in running:
        if isinstance(update, Waiting):
            processes.kill("relay")
            break
    until(processes.directory.is_relay_alive, "a new relay")
    seen = free_when_told(running, ballast)
    assert [each[0] for each in seen.result.stream[-20:]] == list(range(20))


def test_worker_killed_on_a_full_disk_is_told_when_there_is_room(session, processes, small_disk):
    waits = "import time\ndef handler(job):\n    time.sleep(60)"
    running = session.submit(program(handler=waits), job=job())
    for update in running:
        if isinstance(update, JobStarted):
            break
    full = fill(small_disk)
    processes.kill("worker")
    seen = free_when_told(running, full)
    assert seen.of(Waiting) and seen.result.status == "FAILED"
    assert run(session, program(handler=ONE)).result.ok


def test_cancel_on_a_full_disk_keeps_the_worker_once_there_is_room(session, ballast):
    model = "import os\nmodel = os.getpid()"
    tells = program(model, handler="def handler(job):\n    return model")
    before = run(session, tells).result.output
    running, seen = session.submit(program(model, handler=STREAMS), job=job()), Seen()
    for update in running:
        seen.append(update)
        if isinstance(update, Waiting):
            running.cancel()
            ballast.unlink(missing_ok=True)
    assert seen.result.status == "CANCELLED"
    assert run(session, tells).result.output == before


@pytest.mark.long  # its keeper waits 10 s for room to say how it ended
def test_worker_is_stopped_on_a_full_disk(session, processes):
    running = session.submit(program(handler=STREAMS), job=job())
    for update in running:
        if isinstance(update, Waiting):
            break
    worker, relay = processes.pid("worker"), processes.pid("relay")
    with pytest.raises(AgentError, match="worker was stopped"):
        session.stop()
    until(lambda: not is_alive(worker) and not is_alive(relay), "their end")


def test_value_that_does_not_fit_is_said_and_leaves_the_rest_usable(session):
    from rpnb.program.names import Names

    value = os.urandom(17 << 20)
    length = "def handler(job):\n    return len(value)"
    large = program(handler=length, names=Names({"value": value}, send={"value": value}))
    with pytest.raises(RpnbError, match="[Nn]o space"):
        run(session, large)
    assert run(session, program(handler=ONE)).result.ok


def test_program_that_finds_no_room_is_said(session, small_disk):
    run(session, program(handler=ONE))
    # For the journal, which waits where it finds none; the program's text is longer.
    full = fill(small_disk, room=1 << 14)
    seen = run(session, program("text = 1\n" * 3000, handler=ONE))
    assert seen.failed is not None
    full.unlink()
    assert "space" in seen.failed.exception.message and "RPNB_HOME" in seen.failed.exception.message
    assert run(session, program(handler=ONE)).result.ok
