"""One model at a time: what a reload peaks at, whatever else held the old one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agent.driver import Worker, wire
from tests.agent.memory import can_measure, memory, peak_above

pytestmark = pytest.mark.skipif(not can_measure(), reason="only Linux tells a process's peak")

MIB = 1 << 20
MODEL_BYTES = 256 * MIB
LOAD = f"""import numpy as np
class Model:
    def __init__(self, fill):
        self.weights = np.full({MODEL_BYTES // 8}, fill)
    def handle(self, job):
        return 1
model = Model(1.0)"""
START = "\nimport runpod\nrunpod.serverless.start({'handler': %s})"
FAILS = "\ndef use(m):\n    raise ValueError(m)\n"
HANDLER = "\ndef handler(job):\n    m = model\n    "

# What holds the old model besides its name; the second part runs as a scratch cell.
HOLDERS = {
    "nothing": (LOAD, ""),
    "a reference cycle": (f"{LOAD}\nmodel.me = model", ""),
    "a step that raised": (f"{LOAD}{FAILS}use(model)", ""),
    "an exception that was kept": (
        f"{LOAD}{FAILS}try:\n    use(model)\nexcept ValueError as error:\n    kept = error",
        "",
    ),
    "a suspended generator": (
        f"{LOAD}\ndef chunks(m):\n    yield 1\n    yield m\nsource = chunks(model)\nnext(source)",
        "",
    ),
    "a closure": (f"{LOAD}\ndef bound(m):\n    return lambda: m\nget = bound(model)", ""),
    "a class": (f"{LOAD}\nclass Service:\n    engine = model", ""),
    **{
        f"sys.{last}": (
            f"{LOAD}{FAILS}",
            "import sys\ntry:\n    use(model)\nexcept ValueError as error:\n"
            f"    sys.{last} = error" + ".__traceback__" * (last == "last_traceback"),
        )
        for last in ("last_value", "last_traceback", "last_exc")
    },
    "a handler that is bound to it": (LOAD + START % "model.handle", ""),
    "a handler that is a partial of it": (
        f"{LOAD}\nimport functools\ndef handle(m, job):\n    return 1"
        + START % "functools.partial(handle, model)",
        "",
    ),
    "a job that raised": (LOAD + HANDLER + "raise ValueError(m)" + START % "handler", ""),
    "an asynchronous job that raised": (
        LOAD + HANDLER.replace("def", "async def") + "raise ValueError(m)" + START % "handler",
        "",
    ),
    "a stream that broke off": (
        LOAD + HANDLER + "yield 1\n    raise ValueError(m)" + START % "handler",
        "",
    ),
    "a cache that a job filled": (
        f"{LOAD}\nimport functools\n@functools.lru_cache\ndef get(k):\n    return model"
        + HANDLER
        + "return get(1) is m"
        + START % "handler",
        "",
    ),
    "a task that a job left running": (
        f"{LOAD}\nimport asyncio\nasync def poll(m):\n    await asyncio.sleep(99)\nTASKS = []"
        + "\nasync def handler(job):\n    TASKS.append(asyncio.create_task(poll(model)))\n"
        + "    await asyncio.sleep(0)"
        + START % "handler",
        "",
    ),
    "a look at it": (LOAD, "model"),
    "a name of a scratch cell": (LOAD, "mine = model"),
    "a scratch cell that raised": (f"{LOAD}{FAILS}", "use(model)"),
}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker for all: its memory is read before each reload."""
    worker = Worker(tmp_path_factory.mktemp("home"))
    yield worker
    worker.close()


def _run(worker: Worker, text: str) -> None:
    worker.run(wire(text), *([{}] if "runpod" in text else []))


@pytest.mark.parametrize(("text", "scratch"), HOLDERS.values(), ids=list(HOLDERS))
def test_reload_holds_one_model_whatever_held_the_old(
    worker: Worker, text: str, scratch: str
) -> None:
    _run(worker, text)
    if scratch:
        worker.run(scratch={"text": scratch, "label": "cell 9", "first_line": 1})
    edited = text.replace("Model(1.0)", "Model(2.0)")
    more = peak_above(worker, lambda: _run(worker, edited))
    assert more < MODEL_BYTES // 10


def test_load_that_failed_half_way_is_freed_before_the_next(worker: Worker) -> None:
    """As a model that runs out of the GPU's memory: its parts hold each other."""
    fails = LOAD.replace("fill)\n", "fill)\n        self.me = self\n        assert fill > 1\n", 1)
    worker.run(wire("model = None"))
    empty = memory(worker, "VmRSS")
    _run(worker, fails)
    edited = fails.replace("Model(1.0)", "Model(2.0)")
    above = peak_above(worker, lambda: _run(worker, edited))
    assert memory(worker, "VmHWM") - empty < MODEL_BYTES * 1.1
    assert above < MODEL_BYTES // 10


def test_names_that_hold_something_else_stay_in_scratch_cells(worker: Worker) -> None:
    worker.run(wire(LOAD, "kept = [1]"))
    worker.run(scratch={"text": "mine, other = kept, [2]", "label": "cell 9", "first_line": 1})
    worker.run(wire(LOAD.replace("1.0", "2.0"), "kept = [1]"))
    events = worker.run(scratch={"text": "mine is kept, other", "label": "c", "first_line": 1})
    shown = next(e for e in events if e.kind == "shown")
    assert shown.buffers[shown.body["mimes"].index("text/plain")] == b"(True, [2])"
