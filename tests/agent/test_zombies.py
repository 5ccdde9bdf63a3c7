"""The dead that nobody buries: PID 1 in a pod may reap nothing, and a zombie keeps its number."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
from pathlib import Path

import pytest

from rpnb.protocol.messages import Submit
from tests.agent.agents import Peer, program, until

_PR_SET_CHILD_SUBREAPER = 36
RUNS_ON = "import time\ndef handler(job):\n    time.sleep({})\n    return 1\n"


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def unburied():
    """Orphans come to this process; those in the list are buried only after the test."""
    prctl, pids = ctypes.CDLL(None).prctl, []
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield pids
    prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def kill(agent, unburied, *names):
    """Kill processes of the agent; return once each is a zombie."""
    pids = {**json.loads(agent.directory.pids.read_bytes()), "relay": agent.relay_pid()}
    # A parent first: its children come here, and not to one that would bury them.
    unburied += [pids[name] for name in names]
    for pid in unburied:
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: state(pid) == "Z", f"the death of {names}")


def begun(agent, seconds):
    """Start the agent and a job that takes so long; return the last event seen."""
    agent.start()
    peer = Peer(agent)
    peer.wait_ready()
    peer.send(Submit("r", program(RUNS_ON.format(seconds)), jobs=[{"id": "j", "input": 1}]))
    return peer.event("job")


@pytest.mark.parametrize("names", [["relay"], ["relay", "keeper"]], ids=" ".join)
def test_directory_of_a_zombie_is_adopted_and_its_job_goes_on(agent, unburied, names):
    seen, worker = begun(agent, 1.0), agent.worker_pid()
    kill(agent, unburied, *names)
    agent.start()
    again = Peer(agent, "me", seq=seen.seq, out=seen.out, err=seen.err)
    assert again.ended("r").kind == "done"
    assert agent.worker_pid() == worker
    assert again.run("next", "1").kind == "done"
    assert {state(pid) for pid in unburied} == {"Z"}


def test_directory_of_nothing_but_zombies_is_adopted_and_has_a_new_worker(agent, unburied):
    seen = begun(agent, 60)
    kill(agent, unburied, "relay", "keeper", "worker")
    # The first thread is a zombie a moment before the last one lets go of the lock.
    until(lambda: not agent.directory.is_alive(), "the end of the last thread")
    agent.start()
    again = Peer(agent, "me", seq=seen.seq, out=seen.out, err=seen.err)
    assert again.ended("r").body["phase"] == "worker"
    assert again.run("next", "1").kind == "done" and agent.directory.read_generation() == 2
    assert {state(pid) for pid in unburied} == {"Z"}
