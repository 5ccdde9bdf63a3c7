"""What an undone step had started ends: child processes at once, threads with the worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rpnb.protocol.messages import Event
from tests.agent.driver import Worker, wire

MODEL = "model = object()"
CHILD = "import subprocess\nserver = subprocess.Popen(['sleep', '100'])\nprint(server.pid)"
THREAD = (
    "import threading, time\nSTEPS = []\n"
    "def tick():\n    while True:\n        STEPS.append(1)\n        time.sleep(0.01)"
)
START = "\nthreading.Thread(target=tick, daemon=True).start()"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker of this test's own."""
    worker = Worker(tmp_path)
    yield worker
    worker.close()


def _planned(events: list[Event]) -> Event:
    return next(event for event in events if event.kind == "planned")


def _is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def test_child_process_ends_when_its_step_is_gone(worker: Worker) -> None:
    worker.run(wire(MODEL, CHILD))
    pid = int(worker.directory.out.read_text())
    assert _is_alive(pid)
    events = worker.run(wire(MODEL))
    assert not _is_alive(pid)
    assert _planned(events).body["restart"] is None


def test_child_process_of_a_kept_step_lives_on(worker: Worker) -> None:
    worker.run(wire(CHILD, "x = 1"))
    worker.run(wire(CHILD, "x = 2"))
    assert _is_alive(int(worker.directory.out.read_text()))


def test_child_that_ignores_the_request_is_killed(worker: Worker) -> None:
    stubborn = CHILD.replace("['sleep', '100']", "['sh', '-c', 'trap \"\" TERM; sleep 100']")
    worker.run(wire(stubborn))
    worker.run(wire("x = 1"))
    assert not _is_alive(int(worker.directory.out.read_text()))


def test_thread_of_an_undone_step_needs_a_new_worker_and_says_so(worker: Worker) -> None:
    worker.run(wire(MODEL, THREAD + START))
    events = worker.events(worker.submit(wire(MODEL, THREAD)), until=("planned",))
    assert _planned(events).body["restart"] == f"`{START.strip()}` was removed"


def test_thread_of_a_kept_step_costs_nothing(worker: Worker) -> None:
    worker.run(wire(MODEL, THREAD + START))
    events = worker.run(wire(MODEL, THREAD + START, "x = 1"))
    assert _planned(events).body["restart"] is None
    assert [step["names"] for step in _planned(events).body["run"]] == [["x"]]


def test_thread_of_a_library_is_its_own_affair(worker: Worker) -> None:
    pool = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(1)\npool.submit(print).result()"
    )
    worker.run(wire(MODEL, pool))
    events = worker.run(wire(MODEL))
    assert _planned(events).body["restart"] is None
