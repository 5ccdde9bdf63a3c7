"""What production would post is what the notebook gets, on every target."""

import json

import pytest

from tests.behaviour.cells import job, program, run

# What a handler does -> the post, and the status (facts/runpod-sdk.md, section 1).
OUTCOMES = {
    "dict": ("return {'a': 1}", {"output": {"a": 1}}, "COMPLETED"),
    "empty dict": ("return {}", {}, "COMPLETED"),
    "none": ("pass", {"output": None}, "COMPLETED"),
    "falsy": ("return 0", {"output": 0}, "COMPLETED"),
    "tuple": ("return (1, 2)", {"output": [1, 2]}, "COMPLETED"),
    "unicode": ("return 'żółw'", {"output": "żółw"}, "COMPLETED"),
    "error": ("return {'error': 'boom'}", {"error": "boom"}, "FAILED"),
    "error and more": (
        "return {'error': ['a'], 'extra': 1}",
        {"output": {"extra": 1}, "error": ["a"]},
        "FAILED",
    ),
    "error object": ("return {'error': {'code': 3}}", {"error": {"code": 3}}, "FAILED"),
    "falsy error": ("return {'error': '', 'x': 1}", {"output": {"x": 1}}, "COMPLETED"),
    "errors": ("return {'errors': ['a']}", {"output": {"errors": ["a"]}}, "COMPLETED"),
}


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_return_values_are_posted_as_in_production(session, kind):
    """One worker, every value: what one job returns must not reach the next."""
    for body, post, status in OUTCOMES.values():
        made = program(handler=f"{kind} handler(job):\n    {body}")
        result = run(session, made).result
        assert (json.loads(result.posted), result.status) == (post, status), body


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return {'a': [1, {2}]}", r"a.*set"),
        ("return {'x': b'abc'}", r"x.*bytes"),
        ("d = {}; d['self'] = d; return d", r"[Cc]ircular|itself"),
        ("return (i for i in range(3))", r"generator"),
    ],
)
def test_result_that_production_would_lose_is_failed_with_its_place(session, body, reason):
    result = run(session, program(handler=f"def handler(job):\n    {body}")).result
    assert result.status == "FAILED"
    assert result.posted is None
    import re

    assert re.search(reason, result.problem), result.problem


def test_exception_names_the_cell_line_and_source(session):
    made = program(
        "def pick(data):\n    return data['prompt']",
        handler="""
            def handler(job):
                return pick(job["input"])
        """,
    )
    result = run(session, made).result
    raised = result.exception
    assert (raised.type, raised.message) == ("KeyError", "'prompt'")
    assert raised.where == "cell 1, line 2"
    assert "data['prompt']" in raised.source
    assert [frame[0] for frame in raised.frames] == ["cell 2", "cell 1"]
    assert "_rpnb" not in "".join(raised.traceback)
    assert "rp_job" not in "".join(raised.traceback)
    assert json.loads(result.error)["error_type"] == "<class 'KeyError'>"


@pytest.mark.parametrize("prefix", ["def", "async def"])
def test_generator_streams_its_chunks(session, prefix):
    made = program(
        handler=f"""
            import runpod

            {prefix} handler(job):
                for number in range(job["input"]["n"]):
                    yield {{"number": number}}

            runpod.serverless.start({{"handler": handler, "return_aggregate_stream": True}})
        """
    )
    result = run(session, made, {"n": 3}).result
    assert result.stream == [{"number": n} for n in range(3)]
    assert result.output == result.stream


def test_generator_without_aggregation_says_what_callers_get(session):
    made = program(handler="def handler(job):\n    yield 1\n    yield 2")
    result = run(session, made).result
    assert (result.output, result.stream) == ([], [1, 2])
    assert "return_aggregate_stream" in result.metrics["note"]


def test_progress_arrives_in_order(session):
    made = program(
        handler="""
            import runpod

            def handler(job):
                for number in range(20):
                    runpod.serverless.progress_update(job, number)
                return "done"
        """
    )
    result = run(session, made).result
    assert (result.progress, result.output) == (list(range(20)), "done")


def test_output_streams_while_the_job_runs_and_belongs_to_it(session):
    made = program(
        handler="""
            import sys

            def handler(job):
                print("out")
                print("err", file=sys.stderr)
                return 1
        """
    )
    seen = run(session, made)
    assert "out\n" in seen.out
    assert "out\n" in seen.result.logs
    assert "err\n" in seen.result.logs


def test_refresh_worker_gives_the_next_job_a_fresh_process(session):
    made = program(
        "count = 0",
        handler="""
            def handler(job):
                global count
                count += 1
                return {"count": count, "refresh_worker": True}
        """,
    )
    first, second = (run(session, made).result for _ in range(2))
    assert first.stop
    assert (first.output, second.output) == ({"count": 1}, {"count": 1})


@pytest.mark.parametrize(
    "end", ["sys.exit(3)", "os._exit(5)", "os.kill(os.getpid(), signal.SIGKILL)"]
)
def test_handler_that_ends_the_process_fails_and_the_next_job_works(session, end):
    made = program(
        "import os, signal, sys\nloaded = 'model'",
        handler=f"""
            def handler(job):
                if job["input"].get("die"):
                    {end}
                return loaded
        """,
    )
    dead = run(session, made, {"die": True})
    assert dead.result.status == "FAILED"
    assert dead.result.posted is None
    assert dead.result.problem
    assert run(session, made, {}).result.output == "model"


def test_job_sees_its_id_and_every_key(session):
    made = program(handler="def handler(job):\n    return sorted(job)")
    given = job({"a": 1}, webhook="https://example.org", policy={"ttl": 5})
    result = run(session, made, job=given).result
    assert (result.id, result.output) == (given["id"], ["id", "input", "policy", "webhook"])


def test_asyncio_objects_in_globals_live_from_job_to_job(session):
    """One event loop for the worker's life: a lock made by one job serves the next."""
    made = program(
        "import asyncio\nstate = {}",
        handler="""
            async def handler(job):
                lock = state.setdefault("lock", asyncio.Lock())
                async with lock:
                    task = state.get("task")
                    if task is None:
                        state["task"] = asyncio.ensure_future(asyncio.sleep(0.01, "from before"))
                        return None
                    return await task
        """,
    )
    assert run(session, made).result.output is None
    assert run(session, made).result.output == "from before"


def test_handler_runs_as_main_in_its_own_folder(session):
    made = program(
        handler="""
            import os, sys, threading

            def handler(job):
                return {
                    "name": __name__,
                    "file": os.path.basename(__file__),
                    "cwd": os.getcwd() == os.path.dirname(os.path.abspath(__file__)),
                    "argv": sys.argv,
                    "thread": threading.current_thread() is threading.main_thread(),
                    "main": sys.modules["__main__"].handler is handler,
                }
        """
    )
    assert run(session, made).result.output == {
        "name": "__main__",
        "file": "handler.py",
        "cwd": True,
        "argv": ["handler.py"],
        "thread": True,
        "main": True,
    }
