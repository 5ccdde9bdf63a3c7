"""Stopping jobs, steps and scratch cells, and what ends a worker's process."""

from __future__ import annotations

import asyncio
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from rpnb.agent.worker_cancel import Cancellation, JobCancelled
from tests.agent.driver import Worker, handler_program, posted, wire


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker of this test's own."""
    worker = Worker(tmp_path)
    yield worker
    worker.close()


def _cancel_when_running(worker: Worker, body: str) -> tuple[float, list]:
    """Run a job, cancel it once it has printed, and return the seconds that took and its events."""
    request = worker.submit(handler_program(body), jobs=[{"id": "j1", "input": {}}])
    worker.events(request, until=("progress",))
    started = time.perf_counter()
    worker.cancel(request)
    events = worker.events(request)
    return time.perf_counter() - started, events


_BEGIN = "import time, asyncio\nbegin = lambda job: runpod.serverless.progress_update(job, 0)\n"
SLEEPERS = {
    "sync": "def handler(job):\n    begin(job)\n    time.sleep(30)",
    "swallower": (
        "def handler(job):\n    begin(job)\n    try:\n        time.sleep(30)\n"
        "    except Exception:\n        return 'swallowed'"
    ),
    "async": "async def handler(job):\n    begin(job)\n    await asyncio.sleep(30)",
    "async-blocked": "async def handler(job):\n    begin(job)\n    time.sleep(30)",
    "generator": "def handler(job):\n    begin(job)\n    time.sleep(30)\n    yield 1",
    "loop": "def handler(job):\n    begin(job)\n    while True:\n        pass",
}


@pytest.mark.parametrize("kind", SLEEPERS)
def test_cancelled_job_ends_soon_and_worker_lives(worker: Worker, kind: str) -> None:
    # The grace time, after which the relay would kill the worker; a busy machine may be late once.
    for _ in range(3):
        seconds, events = _cancel_when_running(worker, _BEGIN + SLEEPERS[kind])
        if seconds < 3:
            break

    finished = next(e for e in events if e.kind == "finished")
    assert (finished.body["status"], finished.buffers) == ("CANCELLED", ())
    assert events[-1].kind == "done"
    assert seconds < 3
    after = worker.job(handler_program("def handler(job):\n    return 'alive'"))
    assert posted(after) == {"output": "alive"}


def test_what_a_cancelled_job_half_wrote_is_made_anew_and_the_model_is_kept(worker: Worker) -> None:
    body = _BEGIN + (
        "model = object()\nstate = {}\n"
        "def handler(job):\n    if job['input'] != {}:\n        return [id(model), dict(state)]\n"
        "    state['half'] = 1\n    begin(job)\n    time.sleep(30)\n    state['whole'] = 1\n"
    )
    before = posted(worker.job(handler_program(body), 1))["output"]
    _cancel_when_running(worker, body)
    assert posted(worker.job(handler_program(body), 1))["output"] == before


def test_job_that_answers_its_cancellation_is_completed(worker: Worker) -> None:
    """As in production: what a handler returns after CancelledError is posted."""
    body = (
        "async def handler(job):\n    begin(job)\n    try:\n        await asyncio.sleep(30)\n"
        "    except asyncio.CancelledError:\n        return 'swallowed'"
    )
    _, events = _cancel_when_running(worker, _BEGIN + body)

    assert posted(next(e for e in events if e.kind == "finished")) == {"output": "swallowed"}


def test_cleanup_of_a_cancelled_job_is_not_interrupted_again(worker: Worker) -> None:
    body = (
        "log = []\ndef handler(job):\n    if log:\n        return log\n    begin(job)\n"
        "    try:\n        time.sleep(30)\n    finally:\n        time.sleep(0.3)\n"
        "        log.append('clean')"
    )
    _cancel_when_running(worker, _BEGIN + body)

    assert posted(worker.job(None)) == {"output": ["clean"]}


def test_cancel_stops_the_jobs_that_wait_behind(worker: Worker) -> None:
    program = handler_program(_BEGIN + SLEEPERS["sync"])
    jobs = [{"id": "a", "input": 0}, {"id": "b", "input": 0}]
    request = worker.submit(program, jobs=jobs)
    worker.events(request, until=("progress",))
    worker.cancel(request)

    events = worker.events(request)
    statuses = [e.body["status"] for e in events if e.kind == "finished"]
    assert statuses == ["CANCELLED", "CANCELLED"]


def test_cancel_that_comes_with_its_request_is_not_lost(worker: Worker) -> None:
    program = handler_program(_BEGIN + SLEEPERS["sync"])
    request = worker.submit(program, jobs=[{"id": "a", "input": 0}])
    worker.cancel(request)

    assert worker.events(request)[-1].kind in ("done", "failed")


def test_cancel_of_another_request_changes_nothing(worker: Worker) -> None:
    worker.cancel("nobody")

    assert posted(worker.job(handler_program("def handler(job):\n    return 1"))) == {"output": 1}


def test_cancel_at_the_time_limit_says_so(worker: Worker) -> None:
    program = handler_program(_BEGIN + SLEEPERS["sync"])
    request = worker.submit(program, jobs=[{"id": "a", "input": 0}], timeout=0.01)
    worker.events(request, until=("progress",))
    time.sleep(0.02)
    worker.cancel(request)

    finished = next(e for e in worker.events(request) if e.kind == "finished")
    assert finished.body["problem"] == "timed out after 0.01 s"


def test_cancelled_step_fails_as_cancelled_and_runs_again(worker: Worker) -> None:
    source = (
        "import time, os\nif not os.path.exists('mark'):\n    open('mark', 'w')\n    time.sleep(30)"
    )
    request = worker.submit(wire(source))
    while not (worker.directory.app / "mark").exists():
        time.sleep(0.005)
    worker.cancel(request)

    end = worker.events(request)[-1]
    assert (end.kind, end.body["phase"], end.body["cell"]) == ("failed", "cancelled", "c1")
    assert worker.run(None)[-1].kind == "done"


def test_cancelled_scratch_cell_fails_as_cancelled(worker: Worker) -> None:
    text = "import time\nopen('mark', 'w').close()\ntime.sleep(30)"
    request = worker.submit(scratch={"text": text, "label": "cell 9", "first_line": 1, "to": None})
    while not (worker.directory.app / "mark").exists():
        time.sleep(0.005)
    worker.cancel(request)

    assert worker.events(request)[-1].body["phase"] == "cancelled"


def test_sys_exit_ends_the_job_and_then_the_process(worker: Worker) -> None:
    events = worker.run(handler_program("import sys\ndef handler(job):\n    sys.exit(3)"), {})

    finished = next(e for e in events if e.kind == "finished")
    assert finished.body["status"] == "FAILED"
    assert finished.body["problem"].startswith(
        "the handler called sys.exit(3): production's worker"
    )
    assert (events[-1].kind, worker.process.wait(90)) == ("done", 0)


def test_sys_exit_in_async_handler_fails_its_neighbours(worker: Worker) -> None:
    body = (
        "import sys, asyncio\nasync def handler(job):\n    await asyncio.sleep(0.01)\n"
        "    if job['input']:\n        sys.exit(1)\n    await asyncio.sleep(30)"
    )
    start = '{"handler": handler, "concurrency_modifier": lambda now: 2}'
    events = worker.run(handler_program(body, start), False, True)

    problems = [e.body["problem"] for e in events if e.kind == "finished"]
    assert len(problems) == 2
    assert all("sys.exit(1)" in problem for problem in problems)
    assert worker.process.wait(90) == 0


@pytest.mark.parametrize(
    ("value", "start"),
    [
        ('{"refresh_worker": True, "x": 1}', '{"handler": handler}'),
        ('{"x": 1}', '{"handler": handler, "refresh_worker": True}'),
    ],
)
def test_refresh_worker_posts_stop_pod_and_ends_the_process(
    worker: Worker, value: str, start: str
) -> None:
    events = worker.run(handler_program(f"def handler(job):\n    return {value}", start), {})

    finished = next(e for e in events if e.kind == "finished")
    assert posted(finished) == {"output": {"x": 1}, "stopPod": True}
    assert finished.body["stop"] is True
    assert (events[-1].kind, worker.process.wait(90)) == ("done", 0)


def test_interrupt_of_the_terminal_does_not_reach_the_program(worker: Worker) -> None:
    program = handler_program("def handler(job):\n    return 1")
    worker.run(program, {})
    worker.process.send_signal(2)

    assert posted(worker.job(None)) == {"output": 1}


def _function(name: str, inner: Callable[[], object]) -> types.FunctionType:
    """Return a function of a module of that name that calls another one."""
    scope: dict[str, object] = {"__name__": name, "inner": inner}
    # Code of the same name and text would be one entry.
    called = f"run{id(inner)}"
    exec(f"def {called}():\n    inner()", scope)
    return cast("types.FunctionType", scope[called])


def test_cancel_reaches_frames_of_the_persons_alone() -> None:
    """Ours may hold a lock, or be in the midst of a piece of the journal."""
    loop = asyncio.new_event_loop()
    loop.close()
    cancellation = Cancellation(loop)
    cancellation._wanted = True
    theirs = _function("__main__", lambda: cancellation._interrupt(0, sys._getframe(1)))
    ours = _function("rpnb.output", lambda: cancellation._interrupt(0, sys._getframe(1)))
    _function("rpnb.runner", theirs)()  # no entry of a job's leads there
    entry = _function("rpnb.runner", _function("__main__", ours))
    cancellation.entries.add(entry.__code__)
    entry()  # our own code, called by the person's
    entry = _function("rpnb.runner", theirs)
    cancellation.entries.add(entry.__code__)
    with pytest.raises(JobCancelled):
        entry()
