"""What CUDA read when it was first used: only a new process reads it again.

A stand-in for torch: what matters is when it says that CUDA is in use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.driver import Worker, wire

TORCH = """
DONE = []

class cuda:
    used = False
    is_initialized = classmethod(lambda cls: cls.used)
    empty_cache = staticmethod(lambda: DONE.append("emptied"))
    device_count = memory_reserved = max_memory_allocated = staticmethod(lambda *index: 0)

class Model:
    def __del__(self):
        DONE.append("freed")

def load(*_):
    DONE.append("loaded")
    cuda.used = True
    return Model()
"""
LOADED = "import os, torch\n{line}\nmodel = torch.load()"
LINE = "os.environ['CUDA_VISIBLE_DEVICES'] = '{}'"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker that finds the stand-in before any torch."""
    (tmp_path / "torch.py").write_text(TORCH)
    repository = Path(__file__).parent.parent.parent
    worker = Worker(tmp_path, env={"PYTHONPATH": f"{repository}{os.pathsep}{tmp_path}"})
    yield worker
    worker.close()


def _restart(worker: Worker, text: str) -> str | None:
    request = worker.submit(wire(text))
    while True:
        event = worker.events(request, until=("planned", "done", "failed"))[-1]
        assert event.kind != "failed", event.body
        if event.kind == "done" or event.body["restart"]:
            return event.body.get("restart")


@pytest.mark.parametrize(
    ("before", "after"), [("0", "1"), ("", "1"), ("0", "")], ids=["edited", "added", "removed"]
)
def test_variable_that_cuda_has_read_takes_a_new_worker(
    worker: Worker, before: str, after: str
) -> None:
    old, new = (LOADED.format(line=LINE.format(x) if x else "") for x in (before, after))
    worker.run(wire(old))
    assert _restart(worker, new) == "`CUDA_VISIBLE_DEVICES` changed"
    assert worker.process.wait(90) == 75


def test_variable_that_cuda_does_not_read_is_put_back(worker: Worker) -> None:
    line = "os.environ['HF_HUB_OFFLINE'] = '1'"
    worker.run(wire(LOADED.format(line="") + f"\n{line}"))
    assert _restart(worker, LOADED.format(line="")) is None


def test_variable_that_stands_behind_the_first_use_stays_warm(worker: Worker) -> None:
    text = LOADED.format(line="") + "\n" + LINE.format(0)
    worker.run(wire(text))
    assert _restart(worker, f"{text}\nx = 1") is None


def test_memory_that_torch_keeps_is_given_back_before_the_next_load(worker: Worker) -> None:
    text = LOADED.format(line="")
    worker.run(wire(text))
    worker.run(wire(text.replace("load()", "load(1)"), "print(*torch.DONE)"))
    assert worker.logs() == "loaded freed emptied loaded\n"
