"""What is killed together, on which target and when; and what must hold of it afterwards."""

from __future__ import annotations

import itertools

import pytest

from rpnb.agent.journal import JournalReader
from rpnb.protocol.messages import encode
from rpnb.session.updates import JobStarted
from tests.faults.conftest import IS_LONG
from tests.faults.scene import LINES, STAGES

# Where `make test` strikes.
SOME = STAGES if IS_LONG else ("upload", "run", "result")
# A worker that dies here takes the run with it.
HAS_BEGUN = ("redial", "set-up", "run", "stream")
NAMES = ("relay", "keeper", "worker", "sshd")
SETS = [
    victims for size in range(len(NAMES) + 1) for victims in itertools.combinations(NAMES, size)
]
_numbers = itertools.count()


def next_name():
    return f"k{next(_numbers)}"


def cases(sets, short):
    """Every set over SSH, one process and all of them on this machine, too; `short` in each form.

    The agent is the same on both, and a local client has no sshd to lose.
    """
    found = []
    for victims in sets:
        for kind in ("local", "ssh"):
            if kind == "local" and ("sshd" in victims or len(victims) == 2):
                continue
            name = "-".join([" ".join(victims) or "nothing else", kind])
            marks = [pytest.mark.ssh] if kind == "ssh" else []
            marks += [pytest.mark.long] if name not in short else []
            found.append(pytest.param(victims, kind, marks=marks, id=name))
    assert short <= {case.id for case in found}
    return found


def survivors(processes, victims):
    """Return who must live on, with their numbers; a keeper ends with its worker."""
    names = {"relay", "keeper", "worker"} - set(victims)
    names -= {"keeper"} if "worker" in victims else set()
    return {name: processes.pid(name) for name in names}


def check(scene, seen, victims):
    dies = "worker" in victims and scene.stage in HAS_BEGUN
    # Its result may have been written just before.
    dies |= "worker" in victims and scene.stage == "result" and seen.result.status == "FAILED"
    (_check_account if dies else _check_whole)(scene, seen)


def _check_whole(scene, seen):
    assert seen.result.stream == scene.chunks, scene.stage
    assert seen.result.logs == LINES, scene.stage
    assert scene.calls() == 1, scene.stage


def _check_account(scene, seen):
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


def check_journal(scene, request, heard=None):
    """The request ended once on disk; what was `heard` of it is what is there."""
    events = [e for e in JournalReader(scene.directory.journal).poll() if e.request == request]
    assert sum(e.kind in ("done", "failed") for e in events) == 1, scene.stage
    assert sum(e.kind == "finished" for e in events) <= 1, scene.stage
    if heard is not None:
        assert [encode(e) for e in heard if e.request == request] == list(map(encode, events))
