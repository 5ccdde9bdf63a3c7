"""Processes killed with SIGKILL, alone and together, at each stage of a run: nothing is lost.

`make faults` kills each set of them at each stage, `make test` some.
"""

from __future__ import annotations

import json
import sys
import time

import pytest

import rpnb
from rpnb.agent.journal import JournalReader
from rpnb.session.attach import attach
from rpnb.session.updates import LinkChanged
from tests.behaviour.cells import Seen, job, program, run
from tests.faults.breaking import WORKER, heard_by, is_alive, until
from tests.faults.handlers import CHUNKS, COUNTED, ONE, WAITS, calls
from tests.faults.killing import SETS, SOME, cases, check, check_journal, next_name, survivors
from tests.faults.scene import Scene

SHORT = {
    "relay-local",
    "keeper-local",
    "worker-local",
    "relay sshd-ssh",
    "relay keeper worker sshd-ssh",
}


@pytest.mark.slow  # seven stages
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("victims", "target"), cases(SETS[1:], SHORT), indirect=["target"])
def test_killed_at_any_stage_nothing_is_lost(session, processes, victims):
    heard = heard_by(session)
    for stage in SOME:
        scene = Scene(stage, processes.directory, next_name())
        living = survivors(processes, victims)
        request, seen = scene.play(session, lambda _request: processes.kill(*victims))
        check(scene, seen, victims)
        check_journal(scene, request, heard)
        assert {name: processes.pid(name) for name in living} == living, stage
        if "keeper" in victims and "worker" not in victims:
            session.restart()  # the next stage has a keeper to kill
        # As if it had held for long: one that is cut soon is dialled ever more patiently.
        session._link._attached_at -= 2.0


def test_secret_outlives_relay_and_worker_while_its_client_lives(session, processes):
    session.set_env({"TOKEN": "s3cret"})
    look = program(handler="import os\n\ndef handler(job):\n    return os.environ.get('TOKEN')")
    assert run(session, look).result.output == "s3cret"
    processes.kill("relay", "keeper", "worker")
    assert run(session, look).result.output == "s3cret"


def test_secret_is_gone_with_its_client_and_its_agent(session, processes, target):
    look = program(handler="import os\n\ndef handler(job):\n    return os.environ.get('TOKEN')")
    session.set_env({"TOKEN": "s3cret"})
    assert run(session, look).result.output == "s3cret"
    session.close()
    processes.kill("relay", "keeper", "worker")
    with rpnb.connect(target.text, name=WORKER, python=sys.executable) as other:
        assert run(other, look).result.output is None


def test_journal_tells_after_a_reboot_what_finished_and_what_was_lost(session, processes, target):
    run(session, program(handler=ONE))
    session.submit(program(handler=WAITS), job=job())
    until(lambda: calls(processes), "the job's beginning")
    session.close()
    processes.kill("relay", "keeper", "worker")
    pids = json.loads(processes.directory.pids.read_bytes())
    processes.directory.pids.write_text(json.dumps({**pids, "boot": "the one before"}))
    with rpnb.connect(target.text, name=WORKER, python=sys.executable) as other:
        finished, lost = other.jobs
        assert attached(other, finished).result.output == 1
        assert "restarted" in str(attached(other, lost).failed)
        assert run(other, program(handler=ONE)).result.output == 1
    assert calls(processes) == 1


def attached(session, past):
    return Seen(attach(session, past.request))


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
