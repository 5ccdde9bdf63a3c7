"""How a worker died, told: by its own last words, by the keeper, and by the system."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from rpnb.agent import death, memory
from rpnb.agent.directory import RunDirectory, Settings, hold
from rpnb.agent.generation import Generation
from rpnb.agent.journal import JournalReader
from rpnb.agent.known import Trace
from rpnb.agent.obituary import Obituary
from rpnb.agent.processes import boot, started
from rpnb.protocol.messages import Submit
from tests.agent.agents import Agent, Peer, program, until
from tests.agent.writer import Writer

RECORD = {"generation": 1, "code": None, "signal": None, "peak_bytes": 24_000_000_000}
CRASH = """Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/usr/lib/python3/ctypes/__init__.py", line 519 in string_at
  File "/w/app/handler.py", line 2 in read
  File "/w/app/handler.py", line 5 in handler
  File "/w/agent.pyz/_rpnb/agent/runner.py", line 129 in _run

Extension modules: numpy (total: 1)
"""


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ({"signal": 11}, "died of a segmentation fault (signal 11, SIGSEGV), at a peak of 24.0 GB"),
        ({"signal": 6}, "died of an abort (signal 6, SIGABRT)"),
        ({"signal": 9}, "was ended by a signal (signal 9, SIGKILL)"),
        ({"signal": 9, "oom_kills": 1}, "was killed because memory ran out (signal 9)"),
        ({"signal": 250}, "(signal 250, unknown)"),
        ({"code": 3}, "ended by itself with exit code 3"),
        ({}, "how is not known"),
        ({"rebooted": True}, "was restarted"),
    ],
)
def test_death_is_described(ended, said):
    assert said in death.describe({**RECORD, **ended})


def test_memory_that_ran_out_is_named_with_its_limit():
    text = death.describe({**RECORD, "signal": 9, "oom_kills": 1})
    assert f"24.0 of {memory.limit_bytes() / 1e9:.1f} GB" in text


def test_crash_is_placed_at_the_persons_lines():
    frames = death.crash_frames(CRASH, "/w/app")
    assert [frame[:3] for frame in frames] == [
        ["handler.py", 5, "handler"],
        ["handler.py", 2, "read"],
        ["/usr/lib/python3/ctypes/__init__.py", 519, "string_at"],
    ]


def test_crash_outside_the_persons_code_has_no_place():
    assert death.crash_frames(CRASH, "/elsewhere") == []


def test_kernel_is_heard_on_the_right_process(tmp_path, monkeypatch):
    stamp = int(1e15)
    log = tmp_path / "kmsg"
    log.write_bytes(f"6,1,{stamp},-;python[77]: segfault at 0\n key=value\n".encode())
    monkeypatch.setattr(death, "_KERNEL_LOG", log)
    assert death.kernel_says(77, 60) == ["python[77]: segfault at 0"]
    assert death.kernel_says(7, 60) == []


def test_old_words_of_the_kernel_are_left_out(tmp_path, monkeypatch):
    log = tmp_path / "kmsg"
    log.write_bytes(b"6,1,5,-;python[77]: segfault at 0\n")
    monkeypatch.setattr(death, "_KERNEL_LOG", log)
    assert death.kernel_says(77, 1) == []


def test_death_after_the_clock_was_set_back_is_told_without_a_time(tmp_path, monkeypatch):
    log, stamp = tmp_path / "kmsg", int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)
    log.write_bytes(f"6,1,{stamp},-;python[77]: segfault at 0\n".encode())
    monkeypatch.setattr(death, "_KERNEL_LOG", log)
    writer, later = Writer(tmp_path), time.time() + 3600
    ended = {"generation": 1, "code": None, "signal": 11, "pid": 77, "since": later}
    trace = Trace("r", later, 1, {"out": 0, "err": 0}, {}, jobs={"j": later})
    with writer.record() as record:
        obituary = Obituary(writer.directory, record, ended)
        obituary.failed("r", trace, None)
        obituary.close()
    finished = JournalReader(writer.directory.journal).poll()
    problem = next(iter(finished)).body["problem"]
    writer.journal.close()
    assert "in job 'j'" in problem and ", after" not in problem
    assert "The kernel's log says: python[77]: segfault at 0" in problem


# Real workers

ACTS = """
import ctypes, os, signal, sys, time
model = os.getpid()

def die(how):
    print("going to", how, file=sys.stderr)
    if how == "segfault":
        ctypes.string_at(0)
    if how == "abort":
        os.abort()
    if how == "exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

def handler(job):
    die(job["input"])
    return model

import runpod
runpod.serverless.start({"handler": handler})
"""
TOLD = {
    "segfault": ("segmentation fault (signal 11, SIGSEGV)", [18, 8]),
    "abort": ("abort (signal 6, SIGABRT)", [18, 10]),
    "exit": ("exit code 3", []),
    "kill": ("signal 9, SIGKILL", []),
}


@pytest.fixture
def real(tmp_path):
    """A driver of an agent with the real worker."""
    agent = Agent(tmp_path / "home", stand_in=False)
    agent.start("--python", sys.executable)
    peer = Peer(agent)
    peer.app = agent.directory.app
    yield peer
    agent.end()


def run(peer, value, text=ACTS, **job):
    request = uuid.uuid4().hex
    peer.send(Submit(request, program(text), jobs=[{"id": "a1", "input": value, **job}]))
    peer.ended(request)
    return next(e for e in reversed(peer.events) if e.kind == "finished")


def test_each_death_is_told_and_the_next_job_is_served(real):
    """Slow: four workers in a row."""
    for number, (how, (said, lines)) in enumerate(TOLD.items(), 2):
        body = run(real, how).body
        assert body["status"] == "FAILED"
        assert said in body["problem"]
        assert re.search(r"in job 'a1', after \d+ s", body["problem"])
        assert "is being rebuilt" in body["problem"]
        assert body["problem"].splitlines()[-1] == f"    going to {how}"
        assert "Fatal" not in real.log["err"].decode(), "production prints no such thing"
        frames = body["exception"]["frames"]
        assert [line for file, line, *_ in frames if file == "handler.py"] == lines
        assert real.ended(f"rebuild-{number}").kind == "done"
    born = [event for event in real.events if event.kind == "born"]
    served = json.loads(run(real, "nothing").buffers[0])
    assert served["output"] == born[-1].body["info"]["pid"]


def test_job_over_its_own_time_is_stopped(real):
    text = "import time, runpod\ndef handler(job):\n    time.sleep(60)\n"
    text += "runpod.serverless.start({'handler': handler})"
    body = run(real, 1, text, policy={"executionTimeout": 300}).body
    assert body["status"] == "CANCELLED"
    assert body["problem"] == "timed out after 0.3 s, its policy.executionTimeout"


# A stand-in for a torch whose device met a failed assertion.
TORCH = """
class cuda:
    broken = False
    is_initialized = staticmethod(lambda: True)
    synchronize = classmethod(lambda cls: check(cls))
    device_count = memory_reserved = max_memory_allocated = staticmethod(lambda *a: 0)
    reset_peak_memory_stats = empty_cache = staticmethod(lambda: None)

def check(cls):
    if cls.broken:
        raise RuntimeError("CUDA error: device-side assert triggered")
"""
BREAKS = """
import torch, runpod

def handler(job):
    torch.cuda.broken = torch.cuda.broken or job["input"]
    try:
        torch.cuda.synchronize()
    except RuntimeError as error:
        return {"error": str(error)}
    return "fine"

runpod.serverless.start({"handler": handler})
"""


def test_worker_whose_cuda_is_broken_is_replaced(real):
    (real.app / "torch.py").write_text(TORCH)
    body = run(real, True, BREAKS).body
    assert "CUDA is broken in this process" in body["metrics"]["note"]
    assert real.event("exited").body["reason"] == "CUDA was broken in its process"
    assert real.ended("rebuild-2").kind == "done"
    assert json.loads(run(real, False, BREAKS).buffers[0]) == {"output": "fine"}


def test_job_that_fails_with_a_sound_cuda_keeps_its_worker(real):
    (real.app / "torch.py").write_text(TORCH)
    fails = BREAKS.replace("torch.cuda.broken = ", "raise ValueError  # ")
    assert "note" not in run(real, True, fails).body["metrics"]
    assert "exited" not in real.kinds()


HUNGRY = """
import runpod
def handler(job):
    return len(bytearray(job["input"]))
runpod.serverless.start({"handler": handler})
"""


@pytest.fixture
def little_memory():
    """A control group whose processes may hold 400 MB: enough for a worker, not for a model."""
    root, limit = Path("/sys/fs/cgroup"), "memory.max"
    if not (root / "cgroup.procs").exists():
        root, limit = root / "memory", "memory.limit_in_bytes"
    group = root / f"rpnb-test-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("no right to make a control group here")
    try:
        (group / limit).write_text(str(400 << 20))
        yield group
    except OSError:
        pytest.skip("no right to limit memory here")
    finally:
        until(lambda: _is_removed(group), "the group to be empty")


def _is_removed(group):
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def test_worker_that_runs_out_of_memory_says_so(tmp_path, little_memory):
    agent = Agent(tmp_path / "home", stand_in=False)
    inside = f"echo $$ > {little_memory}/cgroup.procs; exec {{}}"
    start = agent.command("start", "--worker", "w", "--python", sys.executable)
    subprocess.run(["sh", "-c", inside.format(shlex.join(start))], env=agent.env, check=True)
    try:
        peer = Peer(agent)
        body = run(peer, 1 << 30, HUNGRY).body
        assert "was killed because memory ran out (signal 9)" in body["problem"]
        assert "of 0.4 GB of memory" in body["problem"]
        assert "half precision" in body["problem"]
        assert "The kernel's log says: " in body["problem"] or not os.access("/dev/kmsg", os.R_OK)
        assert json.loads(run(peer, 1, HUNGRY).buffers[0]) == {"output": 1}
    finally:
        agent.end()


# Whose number is it?


@pytest.fixture
def held(tmp_path):
    """A generation whose keeper lives, and a process with the number of its worker."""
    directory = RunDirectory(tmp_path / "run" / "w")
    directory.create()
    directory.write_settings(Settings(sys.executable))
    lock = hold(directory.keeper_lock)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield directory, process
        process.kill()
    os.close(lock)


@pytest.mark.parametrize("is_same", [True, False])
def test_only_the_worker_itself_is_killed_not_who_has_its_number(held, tmp_path, is_same):
    directory, process = held
    began = started(process.pid) if is_same else "12345"
    pids = {"generation": 0, "worker": process.pid, "started": began}
    directory.pids.write_text(json.dumps(pids))
    Generation(directory, tmp_path / "agent.pyz").kill()
    if is_same:
        assert process.wait(60) == -signal.SIGKILL
    else:
        assert process.poll() is None


def test_end_that_nobody_saw_is_a_restart_where_the_machine_was_restarted(tmp_path):
    directory = RunDirectory(tmp_path / "run" / "w")
    directory.create()
    generation = Generation(directory, tmp_path / "agent.pyz")
    directory.pids.write_text(json.dumps({"generation": 0, "boot": "another"}))
    assert generation.exit()["rebooted"]
    directory.pids.write_text(json.dumps({"generation": 0, "boot": boot()}))
    assert not generation.exit()["rebooted"]
