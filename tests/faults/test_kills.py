"""Processes killed with SIGKILL, alone and together, at each stage of a run: nothing is lost.

`make faults` kills each set of them at each stage on each target, `make test` some.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rpnb.agent.journal import JournalReader
from rpnb.protocol.messages import encode
from rpnb.session.attach import attach
from rpnb.session.updates import JobStarted, LinkChanged
from tests.behaviour.cells import Seen, job, program, run
from tests.faults.breaking import heard_by, is_alive, until
from tests.faults.conftest import IS_LONG
from tests.faults.handlers import CHUNKS, COUNTED, ONE, calls
from tests.faults.scene import LINES, STAGES, Scene

# Where `make test` strikes.
SOME = STAGES if IS_LONG else ("upload", "run", "result")
# A worker that dies here takes the run with it.
HAS_BEGUN = ("redial", "set-up", "run", "stream")
# What is killed together, and on which target `make test` does it.
SETS = {
    "relay": "local",
    "keeper": "local",
    "worker": "local",
    "sshd": "",
    "relay keeper": "",
    "relay worker": "",
    "keeper worker": "",
    "relay keeper worker": "",
    "relay sshd": "ssh",
    "worker sshd": "",
    "relay keeper worker sshd": "",
}
KERNELS = {
    "kernel": "",
    "kernel relay": "local",
    "kernel worker": "",
    "kernel sshd": "",
    "kernel relay keeper worker": "",
}
_numbers = itertools.count()
REPOSITORY = Path(__file__).parents[2]


def cases(sets):
    found = []
    for victims, short in sets.items():
        for kind in ("local", "ssh"):
            if kind == "local" and "sshd" in victims:
                continue
            marks = [pytest.mark.ssh] if kind == "ssh" else []
            marks += [pytest.mark.long] if kind != short else []
            found.append(pytest.param(victims.split(), kind, marks=marks, id=f"{victims}-{kind}"))
    return found


def check_whole(scene, seen):
    assert seen.result.stream == scene.chunks, scene.stage
    assert seen.result.logs == LINES, scene.stage
    assert scene.calls() == 1, scene.stage


def check_account(scene, seen):
    """The worker was killed in the middle of it: that is said, and what came before is there."""
    if seen.of(JobStarted):
        result = seen.result
        assert result.status == "FAILED", scene.stage
        assert "worker" in result.problem, scene.stage
        assert result.stream == scene.chunks[: len(result.stream)], scene.stage
        assert LINES.startswith(result.logs), scene.stage
    else:
        assert seen.failed.phase == "worker", scene.stage
    assert scene.calls() <= 1, scene.stage


def check(scene, seen, victims):
    dies = "worker" in victims and scene.stage in HAS_BEGUN
    # Its result may have been written just before.
    dies |= "worker" in victims and scene.stage == "result" and seen.result.status == "FAILED"
    (check_account if dies else check_whole)(scene, seen)


def check_journal(scene, request, heard):
    """What was heard of the request is what is on disk, and it ended once."""
    events = [e for e in JournalReader(scene.directory.journal).poll() if e.request == request]
    assert [encode(e) for e in heard if e.request == request] == list(map(encode, events))
    assert sum(e.kind in ("done", "failed") for e in events) == 1, scene.stage


@pytest.mark.slow  # seven stages
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("victims", "target"), cases(SETS), indirect=["target"])
def test_killed_at_any_stage_nothing_is_lost(session, processes, victims):
    heard = heard_by(session)
    for stage in SOME:
        scene = Scene(stage, processes.directory, f"k{next(_numbers)}")
        request, seen = scene.play(session, lambda _request: processes.kill(*victims))
        check(scene, seen, victims)
        check_journal(scene, request, heard)
        if "keeper" in victims and "worker" not in victims:
            session.restart()  # the next stage has a keeper to kill
        # A link that is cut sooner is dialled ever more patiently.
        until(lambda: time.monotonic() - session._link._attached_at > 2.0, "a link that holds")


@pytest.mark.slow  # a client in a process of its own for each stage
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("victims", "target"), cases(KERNELS), indirect=["target"])
def test_kernel_killed_at_any_stage_loses_nothing(session, processes, victims, target):
    for stage in [stage for stage in SOME if stage != "redial"]:
        session.close()
        scene = Scene(stage, processes.directory, f"k{next(_numbers)}")
        with kernel(target, scene) as client:
            request = client.stdout.readline().strip()
            kill(client, processes, victims)
        scene.go_on()
        session.open()
        if request:
            check(scene, Seen(attach(session, request)), victims)
        assert run(session, program(handler=ONE)).result.ok, stage
        assert scene.calls() <= 1, stage


def kernel(target, scene):
    command = [sys.executable, "-m", "tests.faults.scene", target.text, scene.stage]
    command += [str(scene.directory.path), scene.name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)


def kill(client, processes, victims):
    """Kill them as close together as can be."""
    client.kill()
    processes.kill(*[name for name in victims if name != "kernel"])


@pytest.mark.parametrize("delay", [0.0, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.long
def test_kernel_killed_while_it_connects_is_in_nobodys_way(session, processes, target, delay):
    session.close()
    for victims in KERNELS:
        scene = Scene("idle", processes.directory, f"k{next(_numbers)}")
        with kernel(target, scene) as client:
            time.sleep(delay)
            names = [name for name in victims.split() if target.kind == "ssh" or name != "sshd"]
            kill(client, processes, names)
        session.open()
        assert run(session, program(handler=ONE)).result.ok, victims
        session.close()
    session.open()


def test_secret_outlives_relay_and_worker_while_its_client_lives(session, processes):
    session.set_env({"TOKEN": "s3cret"})
    look = program(handler="import os\n\ndef handler(job):\n    return os.environ.get('TOKEN')")
    assert run(session, look).result.output == "s3cret"
    processes.kill("relay", "keeper", "worker")
    assert run(session, look).result.output == "s3cret"


def test_request_that_a_killed_relay_had_handed_over_runs_once(session, processes):
    made = program(handler=COUNTED)
    run(session, program(handler=ONE))
    processes.signal("worker", "stop")
    running = session.submit(made, job=job())
    time.sleep(0.1)  # the relay hands it over; there is nothing to see of that
    processes.kill("relay")
    Seen(_until_back(running))
    processes.signal("worker", "go on")
    assert Seen(running).result.stream == CHUNKS
    assert run(session, made).result.ok
    assert calls(processes) == 2
    events = JournalReader(processes.directory.journal).poll()
    assert [(e.kind, e.request) for e in events].count(("finished", running.request)) == 1


def _until_back(running):
    for update in running:
        yield update
        if isinstance(update, LinkChanged) and update.state == "back":
            return


def test_session_that_is_opened_again_starts_an_agent_that_was_killed(session, processes):
    session.close()
    processes.kill("relay")
    session.open()
    assert run(session, program(handler=ONE)).result.ok


def test_session_stops_though_its_worker_is_dead(session, processes):
    processes.kill("worker", "keeper")
    relay = processes.pid("relay")
    session.stop()
    until(lambda: not is_alive(relay), "the relay's end")
