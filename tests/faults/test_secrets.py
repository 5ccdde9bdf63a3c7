"""A secret of `%runpod_env` is in memory only: no process list, environment or file shows it."""

from __future__ import annotations

import hashlib
import secrets

import pytest

from rpnb.session.updates import JobStarted
from tests.behaviour.cells import Seen, job, program, run
from tests.faults.handlers import let_go
from tests.showing import showing

SET_UP = "import os\nkey = os.environ['TOKEN']"
HANDLER = """
import hashlib, time

def handler(job):
    if job["input"] == "abort":
        os.abort()
    while job["input"] == "wait" and not os.path.exists("go"):
        time.sleep(0.005)
    return hashlib.sha256(os.environ["TOKEN"].encode()).hexdigest()
"""


def controls(processes):
    """Return what must be found of the text that all of them know: their directory."""
    pids = [processes.pid(name) for name in ("relay", "keeper", "worker")]
    listed = [f"/proc/{pid}/{name}" for pid in pids for name in ("cmdline", "environ")]
    return {*listed, *map(str, processes.directory.journal.iterdir())}


@pytest.fixture
def folders(target, request):
    """Everything that is written on the target."""
    ssh = [request.getfixturevalue("sshd").folder] if target.kind == "ssh" else []
    return [target.home, *ssh]


def test_secret_shows_nowhere_while_it_is_used_and_after_each_death(session, processes, folders):
    secret = secrets.token_hex(16)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    made = program(SET_UP, handler=HANDLER)
    session.set_env({"TOKEN": secret})
    assert showing(secret, folders) == set()
    waiting, seen = session.submit(made, job=job("wait")), Seen()
    for update in waiting:
        seen.append(update)
        if isinstance(update, JobStarted):
            assert showing(secret, folders) == set()
            assert showing(str(folders[0]), folders) >= controls(processes)
            let_go(processes)
    assert seen.result.output == digest
    assert run(session, made, "abort").result.status == "FAILED"
    assert run(session, made, "after the worker's").result.output == digest
    assert showing(secret, folders) == set()
    processes.kill("relay", "keeper", "worker")
    assert run(session, made, "after everybody's").result.output == digest
    assert showing(secret, folders) == set()
    session.stop()
    assert showing(secret, folders) == set()
