"""What several async jobs at once leave in the process goes with the code that stored it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.agent.driver import Worker, handler_program, posted

# All three have begun before one goes on, and each stores after the one before it has ended.
TEXT = """
import asyncio, time
born = time.perf_counter_ns()
BEGUN = []
{before}
def value():
    return {value}
async def handler(job):
    {scope}
    BEGUN.append(job["input"])
    while len(BEGUN) % 3:
        await asyncio.sleep(0)
    for _ in range(20 * job["input"]):
        await asyncio.sleep(0)
    {store}
    await asyncio.sleep(0)
    return [{read}, born]
"""
START = '{"handler": handler, "concurrency_modifier": lambda now: 3}'


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker for all of them: each is another program."""
    worker = Worker(tmp_path_factory.mktemp("kept"))
    yield worker
    worker.close()


def answers(worker: Worker, text: str) -> list[Any]:
    events = worker.run(handler_program(text, START), 0, 1, 2)
    return [posted(event)["output"] for event in events if event.kind == "finished"]


@pytest.mark.parametrize(
    ("before", "scope", "store", "read"),
    [
        ("CACHE = {}", "n = job['input']", "CACHE.setdefault(n, value())", "CACHE[n]"),
        ("MODEL = None", "global MODEL", "MODEL = MODEL or value()", "MODEL"),
        # What no look at the code shows.
        ("BOX = {}", "n = 1", 'getattr(BOX, "set" + "default")(n, value())', "BOX[n]"),
        (
            "class Box:\n    pass\nBOX = Box()",
            "pass",
            'getattr(BOX, "__di" + "ct__").setdefault("model", value())',
            "BOX.model",
        ),
    ],
    ids=["each its own key", "one name", "unseen in a container", "unseen in an object"],
)
def test_what_jobs_at_once_have_stored_goes_with_its_code_and_the_rest_stays(
    worker: Worker, before: str, scope: str, store: str, read: str
) -> None:
    def text(value: int) -> str:
        return TEXT.format(before=before, scope=scope, store=store, read=read, value=value)

    first = answers(worker, text(1))
    assert [each[0] for each in first] == [1, 1, 1]
    born = first[0][1]
    assert answers(worker, text(2)) == [[2, born]] * 3
    assert answers(worker, text(2)) == [[2, born]] * 3
