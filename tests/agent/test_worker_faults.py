"""What programs do to the worker's process, and what killed relays leave it with."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpnb.agent.journal import path_of, segments
from rpnb.protocol.messages import Submit
from tests.agent.agents import until
from tests.agent.driver import Worker, handler_program, posted

COUNT = """
calls = []

def handler(job):
    calls.append(1)
    return len(calls)
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    worker.close()


def test_request_that_two_relays_hand_over_runs_once(worker):
    program = handler_program(COUNT)
    for _ in range(2):
        worker.send(Submit("same", program, jobs=[{"id": "1", "input": {}}]))
    worker.events("same")
    assert posted(worker.job(None)) == {"output": 2}
    assert [e.kind for e in worker.history()].count("finished") == 2


def test_handler_that_forks_and_returns_twice_has_one_result(worker):
    body = "import os\n\ndef handler(job):\n    child = os.fork()\n    return child == 0"
    events = worker.run(handler_program(body), {})
    worker.run(None, {})
    assert [e.kind for e in events].count("finished") == 1
    assert [e.seq for e in worker.history()] == list(range(1, len(worker.history()) + 1))


def test_progress_from_a_forked_process_does_not_tear_the_journal(worker):
    body = """
import os, runpod

def handler(job):
    child = os.fork()
    if child == 0:
        runpod.serverless.progress_update(job, "from the child")
        os._exit(0)
    os.waitpid(child, 0)
    return 1
"""
    worker.run(handler_program(body), {})
    assert [e.seq for e in worker.history()] == list(range(1, len(worker.history()) + 1))


def test_process_that_outlives_the_worker_does_not_pass_for_it(worker):
    """Slow to notice where it did: the next worker waited for the lock for ever."""
    body = """
import os, time

def handler(job):
    if os.fork() == 0:
        os.setsid()
        time.sleep(30)
        os._exit(0)
"""
    worker.run(handler_program(body), {})
    os.kill(worker.process.pid, 9)
    worker.process.wait()
    until(lambda: not worker.directory.is_worker_alive(), "the lock to be free")


def test_relay_that_reads_nothing_holds_up_no_handler(worker):
    body = "def handler(job):\n    for n in range(20000):\n        yield n"
    worker.send(Submit("r", handler_program(body), jobs=[{"id": "1", "input": {}}]))
    journal = worker.directory.journal
    until(lambda: b'"done"' in _last_bytes(journal), "the end of the job")


def _last_bytes(journal):
    """The end of the journal's newest segment."""
    found = segments(journal)
    return path_of(journal, found[-1]).read_bytes()[-300:] if found else b""


def test_handler_that_closes_every_descriptor_ends_its_worker_and_nothing_else(worker):
    body = "import os\n\ndef handler(job):\n    os.closerange(3, 200)\n    return 1"
    worker.send(Submit("r", handler_program(body), jobs=[{"id": "1", "input": {}}]))
    assert worker.process.wait(90) != 0
    assert not worker.directory.is_worker_alive()


@pytest.mark.parametrize(
    "act",
    [
        "os.chdir('/')",
        "os.close(0); os.close(1); os.close(2)",
        "sys.stdout = sys.stderr = None",
        "sys.stdout.close()",
        "sys.stdout = io.StringIO()",
        "signal.signal(signal.SIGUSR2, signal.SIG_DFL)",
        "threading.Thread(target=time.sleep, args=(60,)).start()",
        "subprocess.Popen(['sleep', '60'], start_new_session=True)",
        "os.environ.clear()",
        "sys.path.clear()",
        "sys.modules.pop('json')",
        "asyncio.set_event_loop(None)",
        "gc.disable()",
        "os.umask(0o777)",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    ],
)
def test_job_after_one_that_misbehaves_works(worker, act):
    names = "asyncio, gc, io, os, resource, signal, subprocess, sys, threading, time"
    body = f"import {names}\n\ndef handler(job):\n    if job['input']:\n        {act}\n    return 7"
    program = handler_program(body)
    assert posted(worker.job(program, True)) == {"output": 7}
    assert posted(worker.job(None, False)) == {"output": 7}
    edited = handler_program(body.replace("return 7", "return 8"))
    assert posted(worker.job(edited, False)) == {"output": 8}


def test_job_after_an_edit_waits_for_no_nvidia_smi(tmp_path):
    """It takes 50 ms, and an edit takes 8."""
    asked = tmp_path / "asked"
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho x >> {asked}\necho '0, GPU-1, NVIDIA Stand-in, 5, 100'\n")
    tool.chmod(0o755)
    worker = Worker(tmp_path, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    try:
        slow = "import time\ntime.sleep(0.3)\nmodel = [1]\n"
        first = worker.run(handler_program(slow + "def handler(job):\n    return 1"), {})
        counts = [asked.read_text().count("x")]
        for number in range(5):
            worker.run(handler_program(f"{slow}def handler(job):\n    return {number + 2}"), {})
            counts.append(asked.read_text().count("x"))
    finally:
        worker.close()
    synced = next(e for e in first if e.kind == "synced")
    assert synced.body["gpus"][0]["used_bytes"] == 5 << 20
    assert counts[0] == 2, "when it was born, and after the load"
    # An edit that takes a quarter of a second on a busy machine counts as a load.
    assert any(before == after for before, after in itertools.pairwise(counts))
