"""What a job ends with, against what production posts (facts/runpod-sdk.md, section 1)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.agent.driver import Worker, handler_program, posted


@pytest.fixture(scope="module")
def shared_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker for the whole module: each test brings its own program."""
    worker = Worker(tmp_path_factory.mktemp("home"))
    yield worker
    worker.close()


_PRELUDE = "import asyncio, datetime, dataclasses, decimal, functools, sys\nimport numpy as np\n"
_NEVER = object()


@dataclass(frozen=True)
class Case:
    """A handler, and what production posts for it; `problem` is a pattern of the reason."""

    row: str
    body: str
    post: Any = _NEVER
    status: str = "COMPLETED"
    problem: str | None = None
    note: str | None = None
    start: str = '{"handler": handler}'


def _returns(expression: str) -> str:
    return f"def handler(job):\n    return {expression}"


def _lost(row: str, expression: str, problem: str) -> Case:
    return Case(row, _returns(expression), status="FAILED", problem=problem)


SENT = [
    Case("1-dict", _returns('{"a": 1}'), {"output": {"a": 1}}),
    Case("2-empty-dict", _returns("{}"), {}),
    Case("3-empty-list", _returns("[]"), {"output": []}),
    Case("3-false", _returns("False"), {"output": False}),
    Case("4-none", _returns("None"), {"output": None}),
    Case("5-float", _returns("1.5"), {"output": 1.5}),
    Case("6-unicode", _returns('"é☃"'), {"output": "é☃"}),
    Case("8-tuple", _returns("(1, 2)"), {"output": [1, 2]}),
    Case("14-float64", _returns('{"x": np.float64(1.5)}'), {"output": {"x": 1.5}}),
    Case("17-keys", _returns('{1: "a", None: "b"}'), {"output": {"1": "a", "null": "b"}}),
    Case(
        "20-error-and-more",
        _returns('{"error": "boom", "extra": 1}'),
        {"output": {"extra": 1}, "error": "boom"},
        "FAILED",
    ),
    Case("21-only-error", _returns('{"error": "boom"}'), {"error": "boom"}, "FAILED"),
    Case("22-error-list", _returns('{"error": ["a", "b"]}'), {"error": ["a", "b"]}, "FAILED"),
    Case("23-falsy-error", _returns('{"error": "", "x": 1}'), {"output": {"x": 1}}),
    Case("23-error-none", _returns('{"error": None}'), {}),
    Case("plural", _returns('{"errors": ["a"]}'), {"output": {"errors": ["a"]}}),
    Case("28-stop-key", _returns('{"stopPod": True}'), {"output": {"stopPod": True}}),
    Case("29-output-key", _returns('{"output": 1}'), {"output": {"output": 1}}),
    Case(
        "33-async",
        "async def handler(job):\n    await asyncio.sleep(0)\n    return 1",
        {"output": 1},
    ),
    Case(
        "34-future",
        "async def later():\n    return 5\n"
        "def handler(job):\n    return asyncio.ensure_future(later())",
        {"output": 5},
    ),
    Case(
        "35-generator",
        "def handler(job):\n    yield 1\n    yield 2",
        {"output": []},
        note=r"streamed 2 chunks; callers of /run and /runsync get \[\]",
    ),
    Case(
        "36-aggregate",
        "def handler(job):\n    yield 1\n    yield 2",
        {"output": [1, 2]},
        start='{"handler": handler, "return_aggregate_stream": True}',
    ),
    Case(
        "37-async-generator",
        "async def handler(job):\n    yield 1",
        {"output": [1]},
        start='{"handler": handler, "return_aggregate_stream": True}',
    ),
    Case(
        "41-partial",
        "def gen(n, job):\n    yield n\nhandler = functools.partial(gen, 7)",
        {"output": [7]},
        start='{"handler": handler, "return_aggregate_stream": True}',
    ),
    Case(
        "42-callable",
        "class H:\n    async def __call__(self, job):\n        return 3\nhandler = H()",
        {"output": 3},
    ),
    Case(
        "44-yields-error",
        'def handler(job):\n    yield 1\n    yield {"error": "stop here"}\n    yield 2',
        {"error": "stop here"},
        "FAILED",
    ),
    Case(
        "46-lost-chunk",
        "def handler(job):\n    yield 1\n    yield b'x'\n    yield 2",
        {"output": []},
        note="production loses a chunk: output is a bytes",
    ),
]

LOST = [
    _lost("7-surrogate", r'{"a": "x\ud800"}', r'^output\["a"\] has half a surrogate pair at 1'),
    _lost(
        "10-bytes", '{"a": b"x"}', r'^output\["a"\] is a bytes, which JSON cannot carry .*base64'
    ),
    _lost("11-set", "{1, 2}", "^output is a set"),
    _lost(
        "13-float32", '{"a": [0, np.float32(1)]}', r'^output\["a"\]\[1\] is a numpy.float32.*item'
    ),
    _lost("15-datetime", "datetime.datetime.now()", "^output is a datetime.datetime.*isoformat"),
    _lost("15-decimal", "[decimal.Decimal(1)]", r"^output\[0\] is a decimal.Decimal"),
    _lost("16-generator", "(i for i in [1])", "^output is a generator that production never iter"),
    _lost("18-tuple-keys", "{(1, 2): 3}", r"^output has the key \(1, 2\), a tuple"),
    _lost("24-error-object", '{"error": ValueError("x")}', "^error is a ValueError"),
    Case(
        "19-circular",
        'def handler(job):\n    d = {}\n    d["self"] = d\n    return d',
        status="FAILED",
        problem=r'^output\["self"\] refers back to itself',
    ),
    Case(
        "40-callable-generator",
        "class H:\n    def __call__(self, job):\n        yield 3\nhandler = H()",
        status="FAILED",
        problem="^output is a generator",
    ),
    Case(
        "57-str-raises",
        "class E(Exception):\n    def __str__(self):\n        raise OSError('no')\n"
        "def handler(job):\n    raise E",
        status="FAILED",
        problem=r"str\(\) of the handler's E raised OSError",
    ),
    Case(
        "63-base-exception",
        "class B(BaseException): pass\ndef handler(job):\n    raise B('x')",
        status="FAILED",
        problem=r"the handler raised B\(x\), which is no Exception",
    ),
    Case(
        "64-cancelled",
        "async def handler(job):\n    raise asyncio.CancelledError",
        status="FAILED",
        problem="raised asyncio.CancelledError",
    ),
    Case(
        "69-id-changed",
        'def handler(job):\n    job["id"] = "other"\n    return 1',
        status="FAILED",
        problem="changed job\\[\"id\"\\] from 'j1' to 'other'",
    ),
    Case(
        "70-id-popped",
        'def handler(job):\n    del job["id"]\n    return 1',
        status="FAILED",
        problem='removed job\\["id"\\]',
    ),
    Case(
        "50-no-handler", _returns("1"), status="FAILED", problem="KeyError: 'handler'", start="{}"
    ),
]


@pytest.mark.parametrize("case", SENT, ids=lambda case: case.row)
def test_result_that_arrives_is_what_production_posts(shared_worker: Worker, case: Case) -> None:
    event = shared_worker.job(handler_program(_PRELUDE + case.body, case.start), {"k": 1})

    assert posted(event) == case.post
    assert (event.body["status"], event.body["problem"]) == (case.status, None)
    assert re.search(case.note or "^$", event.body["metrics"].get("note", ""))


@pytest.mark.parametrize("case", LOST, ids=lambda case: case.row)
def test_result_that_production_loses_fails_and_says_why(shared_worker: Worker, case: Case) -> None:
    event = shared_worker.job(handler_program(_PRELUDE + case.body, case.start), {"k": 1})

    assert event.body["status"] == "FAILED"
    assert event.buffers == ()
    assert re.search(case.problem or "", event.body["problem"])


@pytest.mark.parametrize(
    ("job", "problem"),
    [
        ({"input": 1}, 'the job has no "id"'),
        ({"id": "a"}, 'the job has no "input"'),
        ([1], "a job is an object, and this is a list"),
        ({"id": 5, "input": 1}, "the job's id is 5, not a string"),
    ],
)
def test_what_is_no_job_is_not_run(shared_worker: Worker, job: Any, problem: str) -> None:
    program = handler_program("def handler(job):\n    return 1")
    events = shared_worker.run(program, jobs=[job])

    finished = next(e for e in events if e.kind == "finished")
    assert finished.body["problem"].startswith(problem)
    assert events[-1].kind == "done"


def test_input_null_and_extra_keys_reach_the_handler(shared_worker: Worker) -> None:
    program = handler_program("def handler(job):\n    return job")
    job = {"id": "a", "input": None, "webhook": "u", "batchId": "b"}
    events = shared_worker.run(program, jobs=[job])

    assert posted(next(e for e in events if e.kind == "finished"))["output"] == job


def test_nan_is_posted_and_named(shared_worker: Worker) -> None:
    event = shared_worker.job(handler_program(_returns('{"a": [float("nan")]}')))

    assert event.buffers == (b'{"output": {"a": [NaN]}}',)
    assert event.body["metrics"]["note"].startswith('output["a"][0] is NaN')


def test_exception_carries_the_frames_of_the_person_only(shared_worker: Worker) -> None:
    body = (
        'def inner(job):\n    return job["input"]["no"]\ndef handler(job):\n    return inner(job)'
    )
    event = shared_worker.job(handler_program(body), {"k": 1})

    exception = event.body["exception"]
    assert (exception["type"], exception["message"]) == ("KeyError", "'no'")
    assert [frame[:3] for frame in exception["frames"]] == [
        ["handler.py", 5, "handler"],
        ["handler.py", 3, "inner"],
    ]
    assert exception["frames"][1][3] == 'return job["input"]["no"]'
    assert "rp_job" not in "".join(exception["traceback"])


def test_exception_is_posted_as_the_sdk_writes_it(shared_worker: Worker) -> None:
    event = shared_worker.job(handler_program("def handler(job):\n    raise ValueError('m')"))

    error = json.loads(posted(event)["error"])
    assert list(error) == [
        *("error_type", "error_message", "error_traceback"),
        *("hostname", "worker_id", "runpod_version"),
    ]
    assert error["error_type"] == "<class 'ValueError'>"
    assert "rpnb/agent" not in error["error_traceback"]


def test_generator_that_raises_keeps_its_frames_and_chunks(shared_worker: Worker) -> None:
    program = handler_program("def handler(job):\n    yield 1\n    raise OSError('midway')")
    events = shared_worker.run(program, {})

    assert [posted(e) for e in events if e.kind == "chunk"] == [{"output": 1}]
    finished = next(e for e in events if e.kind == "finished")
    assert posted(finished)["error"].startswith("handler: midway \ntraceback: Traceback")
    assert finished.body["exception"]["frames"][0][1] == 4


def test_progress_comes_in_order_and_before_the_result(shared_worker: Worker) -> None:
    body = (
        "def handler(job):\n    for i in range(5):\n"
        "        runpod.serverless.progress_update(job, {'i': i})\n    return 'end'"
    )
    events = shared_worker.run(handler_program(body), {})

    kinds = [e.kind for e in events if e.kind in ("progress", "finished")]
    assert kinds == ["progress"] * 5 + ["finished"]
    posts = [posted(e) for e in events if e.kind == "progress"]
    assert posts == [{"status": "IN_PROGRESS", "output": {"i": i}} for i in range(5)]


def test_progress_from_a_thread_reaches_its_job(shared_worker: Worker) -> None:
    body = (
        "import threading\nfrom runpod.serverless.modules.rp_progress import progress_update\n"
        "def handler(job):\n    t = threading.Thread(target=progress_update, args=(job, 1))\n"
        "    t.start(); t.join()\n    return 2"
    )
    events = shared_worker.run(handler_program(body), {})

    assert [posted(e)["output"] for e in events if e.kind == "progress"] == [1]


def test_progress_that_is_not_json_is_noted_and_harmless(shared_worker: Worker) -> None:
    body = "def handler(job):\n    runpod.serverless.progress_update(job, {1, 2})\n    return 1"
    event = shared_worker.job(handler_program(body))

    assert posted(event) == {"output": 1}
    assert "loses a progress: output is a set" in event.body["metrics"]["note"]


def test_sdk_lines_are_folded_and_the_persons_own_stay(shared_worker: Worker) -> None:
    before = len(shared_worker.logs())
    body = (
        "log = runpod.RunPodLogger()\ndef handler(job):\n    log.info('mine', job['id'])\n"
        "    print('printed')\n    return 1"
    )
    shared_worker.job(handler_program(body))

    assert shared_worker.logs()[before:] == "INFO   | j1 | mine\nprinted\n"


def test_jobs_run_in_order_without_a_concurrency_modifier(shared_worker: Worker) -> None:
    body = (
        "import asyncio\nseen = []\nasync def handler(job):\n    seen.append(job['input'])\n"
        "    await asyncio.sleep(0.01)\n    seen.append(job['input'])\n    return list(seen)"
    )
    events = shared_worker.run(handler_program(body), 1, 2)

    assert posted([e for e in events if e.kind == "finished"][-1])["output"] == [1, 1, 2, 2]


def test_jobs_overlap_as_the_concurrency_modifier_says(shared_worker: Worker) -> None:
    body = (
        "import asyncio\nseen = []\nasync def handler(job):\n    seen.append(job['input'])\n"
        "    while len(seen) < 2:\n        await asyncio.sleep(0)\n"
        "    seen.append(job['input'])\n    return list(seen)"
    )
    start = '{"handler": handler, "concurrency_modifier": lambda now: 2}'
    events = shared_worker.run(handler_program(body, start), 1, 2, 3)

    outputs = [posted(e)["output"] for e in events if e.kind == "finished"]
    assert outputs[-1][:2] == [1, 2]
    assert len(outputs) == 3


def test_concurrent_jobs_keep_their_own_chunks(shared_worker: Worker) -> None:
    body = (
        "import asyncio\nasync def handler(job):\n    for i in range(3):\n"
        "        await asyncio.sleep(0.001)\n        yield [job['id'], i]"
    )
    start = '{"handler": handler, "concurrency_modifier": lambda now: 3}'
    events = shared_worker.run(handler_program(body, start), 0, 0, 0)

    for event in (e for e in events if e.kind == "chunk"):
        assert posted(event)["output"][0] == event.body["job"]


def test_concurrency_modifier_of_zero_runs_no_job_and_says_so(shared_worker: Worker) -> None:
    start = '{"handler": handler, "concurrency_modifier": lambda now: 0}'
    event = shared_worker.job(handler_program(_returns("1"), start))

    assert "concurrency_modifier returned 0" in event.body["problem"]


def test_background_tasks_live_between_jobs(shared_worker: Worker) -> None:
    body = (
        "import asyncio\nbeats = []\nasync def beat():\n    while True:\n"
        "        beats.append(1)\n        await asyncio.sleep(0.001)\n"
        "async def handler(job):\n    if not beats:\n"
        "        global task\n        task = asyncio.create_task(beat())\n"
        "        await asyncio.sleep(0)\n    return len(beats)"
    )
    program = handler_program(body)
    first = posted(shared_worker.job(program))["output"]

    assert any(posted(shared_worker.job(None))["output"] > first + 1 for _ in range(200))


def test_shared_error_dict_loses_its_error_as_in_production(shared_worker: Worker) -> None:
    body = "BAD = {'error': 'boom', 'n': 1}\ndef handler(job):\n    return BAD"
    events = shared_worker.run(handler_program(body), 1, 2)

    posts = [posted(e) for e in events if e.kind == "finished"]
    assert posts == [{"output": {"n": 1}, "error": "boom"}, {"output": {"n": 1}}]
