"""What an undone step had started ends: child processes at once, threads with the worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rpnb.protocol.messages import Event
from tests.agent.driver import Worker, handler_program, posted, wire

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


def test_function_that_runs_on_in_a_librarys_thread_needs_a_new_worker(worker: Worker) -> None:
    pool = "\nfrom concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)"
    worker.run(wire(MODEL, THREAD + pool, "pool.submit(tick)"))
    events = worker.events(worker.submit(wire(MODEL, THREAD + pool)), until=("planned",))
    assert _planned(events).body["restart"] == "`pool.submit(tick)` was removed"


# What a job starts once and leaves running; `BEATS` counts what it does.
POLL = "BEATS = []\ndef beat():\n    BEATS.append(1)\n"
TASK = f"""import asyncio
{POLL}async def poll():
    while True:
        beat()
        await asyncio.sleep(0.001)
TASK = None
def ensure():
    global TASK
    if TASK is None:
        TASK = asyncio.create_task(poll())
async def handler(job):
    ensure()
    await asyncio.sleep(0.01)
    return len(asyncio.all_tasks()) - 2  # this job's own two apart
"""
JOB_THREAD = f"""import threading, time
{POLL}def poll():
    while True:
        beat()
        time.sleep(0.001)
THREAD = None
def ensure():
    global THREAD
    if THREAD is None:
        THREAD = threading.Thread(target=poll, daemon=True)
        THREAD.start()
def handler(job):
    ensure()
    return True
"""


def _tasks(worker: Worker, text: str) -> int:
    return int(posted(worker.job(handler_program(text)))["output"])


def test_task_that_a_job_left_running_ends_when_its_code_changes(worker: Worker) -> None:
    assert _tasks(worker, TASK) == 1
    assert _tasks(worker, TASK.replace("append(1)", "append(2)")) == 1


def test_task_ends_when_the_function_that_starts_it_changes(worker: Worker) -> None:
    """Else the edited function would start a second one beside it."""
    _tasks(worker, TASK)
    assert _tasks(worker, TASK.replace("TASK is None", "TASK is None or 0")) == 1


def test_task_that_a_job_left_running_lives_on_when_other_code_changes(worker: Worker) -> None:
    _tasks(worker, TASK)
    worker.run(scratch={"text": "first = TASK", "label": "c", "first_line": 1})
    _tasks(worker, TASK.replace("return len", "return 0 + len"))
    events = worker.run(scratch={"text": "first.done()", "label": "c", "first_line": 1})
    shown = next(event for event in events if event.kind == "shown")
    assert shown.buffers[shown.body["mimes"].index("text/plain")] == b"False"


def test_task_of_an_undone_step_ends(worker: Worker) -> None:
    start = "async def start():\n    global T\n    T = asyncio.create_task(poll())\n"
    text = TASK.replace("async def handler", f"{start}async def handler").replace(
        "    ensure()\n", ""
    )
    assert _tasks(worker, f"{text}\nawait start()") == 1
    assert _tasks(worker, text) == 0


def test_thread_that_a_job_left_running_takes_a_new_worker_when_its_code_changes(
    worker: Worker,
) -> None:
    worker.job(handler_program(JOB_THREAD))
    edited = handler_program(JOB_THREAD.replace("append(1)", "append(2)"))
    events = worker.events(worker.submit(edited), until=("planned",))
    assert _planned(events).body["restart"] == "a thread runs `poll`, which changed"


def test_thread_that_a_job_left_running_costs_nothing_when_other_code_changes(
    worker: Worker,
) -> None:
    worker.job(handler_program(JOB_THREAD))
    events = worker.run(handler_program(JOB_THREAD.replace("return True", "return False")))
    assert _planned(events).body["restart"] is None
