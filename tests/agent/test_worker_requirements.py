"""`%pip install` lines: installed on the target before the steps run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rpnb.protocol.messages import Event
from tests.agent.driver import Worker, handler_program, posted
from tests.agent.test_overlay import put_wheel

HANDLER = "import rpnb_fruit\ndef handler(job):\n    return rpnb_fruit.VERSION"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker whose only package index is a folder with two versions of one package."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for version in ("1.0", "2.0"):
        put_wheel(folder, "rpnb_fruit", version)
    here = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": os.fspath(folder), "PIP_CONFIG_FILE": os.devnull}
    worker = Worker(tmp_path, env=here)
    yield worker
    worker.close()


def _asking(*requirements: str, body: str = HANDLER) -> dict[str, Any]:
    return {**handler_program(body), "requirements": list(requirements)}


def _failed(events: list[Event]) -> dict[str, Any]:
    return next(event.body for event in events if event.kind == "failed")


def test_requirement_is_installed_before_the_steps_run(worker: Worker) -> None:
    assert posted(worker.job(_asking("rpnb_fruit<2"))) == {"output": "1.0"}
    assert "installing rpnb-fruit 1.0" in worker.directory.err.read_text().replace("_", "-")


def test_constraint_limits_what_is_installed_and_installs_nothing_itself(worker: Worker) -> None:
    asked = ("--constraint=rpnb_fruit<2", "--constraint=rpnb_vegetable==1", "rpnb_fruit")
    assert posted(worker.job(_asking(*asked))) == {"output": "1.0"}


def test_same_requirements_are_installed_once(worker: Worker) -> None:
    worker.job(_asking("rpnb_fruit"))
    said = worker.directory.err.read_text()
    worker.job(_asking("rpnb_fruit", body=HANDLER.replace("VERSION", "__name__")))
    assert worker.directory.err.read_text() == said


def test_requirement_that_came_later_keeps_the_worker(worker: Worker) -> None:
    worker.job(handler_program("import os\ndef handler(job):\n    return os.getpid()"))
    events = worker.run(_asking("rpnb_fruit"))
    assert events[-1].kind == "done"


def test_requirement_that_nobody_has_is_a_clear_failure(worker: Worker) -> None:
    events = worker.run(_asking("rpnb_vegetable"))
    assert _failed(events)["phase"] == "plan"
    assert "rpnb_vegetable" in _failed(events)["error"]["message"]
    assert _failed(events)["error"]["type"] == "CannotPrepare"
