"""What jobs leave in objects of libraries, and files that come where others were looked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.planner.differential import there_and_back
from tests.planner.stage import Stage
from tests.planner.version import Version

# ruff: noqa: E501 - a file's whole text is one line here
_START = "import runpod; runpod.serverless.start({'handler': handler})"

# Set-up, and what a job answers: what it moves by a call whose text shows no store.
MOVED = {
    "a lock that stays taken": (
        "import threading\nlock = threading.Lock()",
        "lock.acquire(timeout=0.01)",
    ),
    "a semaphore that runs out": (
        "import threading\nsem = threading.BoundedSemaphore(2)",
        "sem.acquire(), sem._value",
    ),
    "an event that is set": (
        "import threading\nev = threading.Event()",
        "ev.is_set(), ev.set()",
    ),
    "one of asyncio's": (
        "import asyncio\nev = asyncio.Event()",
        "ev.is_set(), ev.set()",
    ),
    "a text buffer": (
        "import io\nbuf = io.StringIO()",
        "print(1, file=buf), buf.getvalue()",
    ),
    "an array": (
        "import numpy as np\na = np.zeros(3)",
        "np.add(a, 5, out=a).tolist()",
    ),
    "a generator of numpy": (
        "import numpy as np\nrng = np.random.default_rng(1)\ndef draw(r): return r.random()",
        "draw(rng)",
    ),
    "one that an object holds": (
        "import random\nclass P:\n    def __init__(self): self.r = random.Random(1)\n    def go(self): return self.r.random()\np = P()",
        "p.go()",
    ),
    "one in a dictionary": (
        "import random\nG = {'r': random.Random(1)}",
        "G['r'].sample([1, 2, 3], 2)",
    ),
}
# The same of torch.
OF_TORCH = {
    "a generator": (
        "g = torch.Generator().manual_seed(1)",
        "torch.rand(1, generator=g).item()",
    ),
    "a tensor": ("t = torch.zeros(2)", "torch.add(t, 1, out=t).tolist()"),
    "a buffer of a model": (
        "m = torch.nn.Module()\nm.register_buffer('b', torch.zeros(2))",
        "m.b.add_(1).tolist()",
    ),
    "a weight of a model": (
        "m = torch.nn.Linear(1, 1).requires_grad_(False)\nm.weight.fill_(0)\nat = {'n': 0}\ndef fuse(n):\n    m.weight.add_(n - at['n'])\n    at['n'] = n",
        "fuse(job['input']), m.weight.item()",
    ),
    "a hook": (
        "import torch.nn.utils\nm = torch.nn.Identity()\nSEEN = []\ndef note(m, args): SEEN.append(args)",
        "m.register_forward_pre_hook(note), m(torch.ones(1)), len(SEEN)",
    ),
}


def _series(setup: str, answer: str) -> list[Version]:
    handler = "def handler(job):\n    return {}, str(({},)[-1])"
    return [Version((setup, handler.format(n, answer), _START), {}, (1, 1)) for n in (1, 2)]


@pytest.mark.parametrize("about", MOVED)
def test_what_jobs_moved_in_an_object_of_a_library_begins_anew_with_their_code(
    stage: Stage, about: str
) -> None:
    assert not there_and_back(stage, *_series(*MOVED[about]))


@pytest.fixture(scope="module")
def torch_stage() -> Iterator[Stage]:
    with Stage(preload=("torch",)) as stage:
        yield stage


@pytest.mark.parametrize("about", OF_TORCH)
def test_what_jobs_moved_in_torch_begins_anew_with_their_code(
    torch_stage: Stage, about: str
) -> None:
    setup, answer = OF_TORCH[about]
    assert not there_and_back(torch_stage, *_series("import torch\n" + setup, answer))


def test_generator_of_one_s_own_costs_no_load(torch_stage: Stage) -> None:
    load = "import modelkit, torch\nm = modelkit.LOAD(1)\n"
    one, other = _series(load + OF_TORCH["a generator"][0], OF_TORCH["a generator"][1])
    with torch_stage.warm() as warm:
        assert [len(warm.sync(each).loads) for each in (one, other, one)] == [1, 0, 0]


@pytest.mark.parametrize("how", ["torch.autocast('cpu')", "with_stack"])
def test_autocast_that_is_entered_for_good_ends_with_its_line(torch_stage: Stage, how: str) -> None:
    text = "import torch, contextlib\nwith_stack = contextlib.ExitStack()\nac = torch.autocast('cpu')\n{}\nx = torch.is_autocast_enabled('cpu')"
    enter = {"with_stack": "with_stack.enter_context(ac)"}.get(how, "ac.__enter__()")
    assert not there_and_back(torch_stage, *(Version((text.format(e),)) for e in (enter, "")))


_CALLBACK = "T = []\ndef on(t): T.append(t); return t\ndef handler(job):\n    return sorted({}, key=on), len(T)"


def test_what_a_callback_stored_goes_with_who_handed_it_on(stage: Stage) -> None:
    one, other = (Version((_CALLBACK.format(v), _START), {}, (1,)) for v in ("[3, 1]", "[3, 1, 2]"))
    assert not there_and_back(stage, one, other)


_USES_GLOB = "import pathlib\nD = sorted(p.name for p in pathlib.Path(__file__).parent.glob('p/*'))"
# A program, and its files one after the other.
COMING: dict[str, tuple[str, list[Mapping[str, str]]]] = {
    "a file that set-up looks for": (
        "import os\nx = os.path.exists('prompt.txt')",
        [{}, {"prompt.txt": "1"}],
    ),
    "a module that set-up looks for": (
        "import importlib.util\nx = importlib.util.find_spec('fast') is None",
        [{}, {"fast.py": ""}],
    ),
    "files of a folder": (_USES_GLOB, [{"p/a": "1"}, {"p/a": "1", "p/b": "2"}]),
    "a module that covers a library": (
        "import colorsys\nx = hasattr(colorsys, 'mine')",
        [{}, {"colorsys.py": "mine = 1"}],
    ),
    "one that another module imports": (
        "import lm\nx = lm.x",
        [
            {"lm.py": "import colorsys\nx = hasattr(colorsys, 'mine')"},
            {
                "lm.py": "import colorsys\nx = hasattr(colorsys, 'mine')",
                "colorsys.py": "mine = 1",
            },
        ],
    ),
}


@pytest.mark.parametrize("about", COMING)
def test_file_that_comes_or_goes_is_seen_by_who_looked_for_it(stage: Stage, about: str) -> None:
    text, files = COMING[about]
    versions = [Version((text,), {p: c.encode() for p, c in each.items()}) for each in files]
    assert not there_and_back(stage, *versions)


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("d = open('words.txt').read()", {"words.txt": "1"}),
        ("def d(n): return open(f'texts/{n}.txt')", {"texts/m.txt": "1", "texts/a.txt": "2"}),
        # Without its suffix it is a word of any text.
        ("d = open('m.onnx').read()", {"m.onnx": "1"}),
        (
            "import pathlib\nd = (pathlib.Path('data') / 'm-0a.pkl').read_bytes()",
            {"data/m-0a.pkl": ""},
        ),
        ("import lm", {"lm.py": "import pkg.a", "pkg/a.py": "", "pkg/__init__.py": ""}),
        (
            "import lm",
            {
                "lm.py": "W = open(__file__.replace('lm.py', 'words.txt')).read()",
                "words.txt": "1",
            },
        ),
    ],
    ids=[
        "a file",
        "a file of a common name",
        "a folder",
        "a value",
        "modules",
        "a module and its file",
    ],
)
def test_file_that_comes_with_what_names_it_loads_nothing(
    stage: Stage, text: str, files: dict[str, str]
) -> None:
    load = "import modelkit, os\nm = modelkit.LOAD(1)\nx = os.path.exists('/models')"
    new = Version((load, text), {path: content.encode() for path, content in files.items()})
    with stage.warm() as warm:
        assert [len(warm.sync(each).loads) for each in (Version((load,)), new)] == [1, 0]


_SETTING = "import decimal, socket, json, modelkit\nm = modelkit.LOAD(1)\ndef prep(): {}\ndef handler(job):\n    prep()\n    return {}, socket.getdefaulttimeout(), decimal.getcontext().prec, hasattr(json, 'tag')"


@pytest.mark.parametrize(
    "sets",
    ["socket.setdefaulttimeout(5)", "decimal.getcontext().prec = 5", "json.tag = 1"],
)
def test_what_a_job_set_in_a_library_takes_a_new_worker_when_that_line_goes(
    stage: Stage, sets: str
) -> None:
    lines = ((sets, 1), (sets, 2), ("pass", 2))
    one, other, gone = (Version((_SETTING.format(*at), _START), {}, (1,)) for at in lines)
    assert not there_and_back(stage, one, other, gone)
    with stage.warm() as warm:
        assert [warm.sync(each).restarts for each in (one, other, gone)] == [0, 0, 1]


def test_asynchronous_generator_that_is_dropped_ends_before_the_new_one_begins(
    stage: Stage,
) -> None:
    text = "import contextlib\nLOG = []\n@contextlib.asynccontextmanager\nasync def session(n):\n    LOG.append(n)\n    try: yield n\n    finally: LOG.append(-n)\nstack = contextlib.AsyncExitStack()\n{}\n{}"
    enter, handler = (
        "s = await stack.enter_async_context(session({}))",
        "async def handler(job): return s, LOG",
    )
    one, other = (
        Version((text.format(enter.format(n), handler), _START), {}, (1,)) for n in (1, 2)
    )
    assert not there_and_back(stage, one, other)


def test_module_that_a_failed_import_left_behind_is_imported_anew_once_it_changed(
    stage: Stage,
) -> None:
    files = {"lm.py": b"", "lh.py": b"import lp", "lp.py": b"from lm import N"}
    failing = Version(("import lp",), files)
    other = Version(("x = 1 / 0", "lb = importlib.import_module('lh')"), files)
    load = "import importlib; lm = importlib.import_module('lm')"
    assert not there_and_back(stage, failing, other, Version((load,), {"lm.py": b"N = 1"}))
