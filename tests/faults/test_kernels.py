"""A kernel killed with SIGKILL, alone and with every set of the target's processes.

`make faults` kills each set at each stage, `make test` some.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from rpnb.session.attach import attach
from tests.behaviour.cells import Seen, program, run
from tests.faults.handlers import ONE
from tests.faults.killing import SETS, SOME, cases, check, check_journal, next_name, survivors
from tests.faults.scene import Scene

SHORT = {"nothing else-ssh", "relay-local"}
REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow  # a client in a process of its own for each stage
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("victims", "target"), cases(SETS, SHORT), indirect=["target"])
def test_kernel_killed_at_any_stage_loses_nothing(session, processes, victims, target):
    # A redial is of the same client: there would be nobody who dials.
    for stage in [stage for stage in SOME if stage != "redial"]:
        session.close()
        scene = Scene(stage, processes.directory, next_name())
        living = survivors(processes, victims)
        with kernel(target, scene) as client:
            request = client.stdout.readline().strip()
            kill(client, processes, victims)
        scene.go_on()
        session.open()
        if request:
            check(scene, Seen(attach(session, request)), victims)
            check_journal(scene, request)
        assert run(session, program(handler=ONE)).result.ok, stage
        assert scene.calls() <= 1, stage
        assert {name: processes.pid(name) for name in living} == living, stage
        if "keeper" in victims and "worker" not in victims:
            session.restart()  # the next stage has a keeper to kill


def kernel(target, scene):
    command = [sys.executable, "-m", "tests.faults.scene", target.text, scene.stage]
    command += [str(scene.directory.path), scene.name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)


def kill(client, processes, victims):
    """Kill them as close together as can be."""
    client.kill()
    processes.kill(*victims)


@pytest.mark.parametrize("delay", [0.0, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.long
def test_kernel_killed_while_it_connects_is_in_nobodys_way(session, processes, target, delay):
    session.close()
    for victims in [(), ("relay",), ("worker",), ("sshd",), ("relay", "keeper", "worker")]:
        scene = Scene("idle", processes.directory, next_name())
        with kernel(target, scene) as client:
            time.sleep(delay)
            names = [name for name in victims if target.kind == "ssh" or name != "sshd"]
            kill(client, processes, names)
        session.open()
        assert run(session, program(handler=ONE)).result.ok, victims
        session.close()
    session.open()
