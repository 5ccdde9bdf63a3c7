"""The worker as a process: what it looks like from inside, and what a sync does."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rpnb.protocol.messages import Event
from tests.agent.driver import Worker, handler_program, posted, wire


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker of this test's own."""
    worker = Worker(tmp_path)
    yield worker
    worker.close()


def _only(events: list[Event], kind: str) -> Event:
    found = [event for event in events if event.kind == kind]
    assert len(found) == 1, [event.kind for event in events]
    return found[0]


def _shown(events: list[Event]) -> str:
    event = _only(events, "shown")
    return event.buffers[event.body["mimes"].index("text/plain")].decode()


def _value(worker: Worker, expression: str) -> str:
    """Return what a scratch cell shows for an expression."""
    return _shown(worker.run(scratch={"text": expression, "label": "cell 1", "first_line": 1}))


def _with_files(program: dict[str, Any], worker: Worker, **files: str) -> dict[str, Any]:
    """Add module files to a program; their content is put where the relay would put it."""
    added = {}
    for name, text in files.items():
        digest = hashlib.sha256(text.encode()).hexdigest()
        (worker.directory.values / digest).write_text(text)
        added[name if "." in name else f"{name}.py"] = [digest, len(text)]
    return {**program, "files": added}


INSIDE = {
    "__name__": "'__main__'",
    "__import__('sys').modules['__main__'].__dict__ is handler.__globals__": "True",
    "__import__('sys').argv": "['handler.py']",
    "__import__('os').path.relpath(__file__, __import__('os').getcwd())": "'handler.py'",
    "__import__('sys').path[0] == __import__('os').getcwd()": "True",
    "[p for p in __import__('sys').path if p == '']": "[]",
    "__import__('inspect').getsource(handler)": r"'def handler(job):\n    return 1\n'",
    "__import__('inspect').getsource(Model)": r"""'class Model:\n    size: "int" = 3\n'""",
    "Model.__module__": "'__main__'",
    "__import__('pickle').loads(__import__('pickle').dumps(Model)) is Model": "True",
    "[n for n in __import__('os').environ if n.startswith(('RUNPOD_', 'RPNB_'))]": "[]",
}


def test_program_finds_itself_where_production_puts_it(tmp_path: Path) -> None:
    worker = Worker(tmp_path, env={"RUNPOD_API_KEY": "secret", "RPNB_HOME": "/x"})
    try:
        body = 'class Model:\n    size: "int" = 3\n\ndef handler(job):\n    return 1\n'
        worker.run(handler_program(body))
        found = {expression: _value(worker, expression) for expression in INSIDE}
    finally:
        worker.close()

    assert found == INSIDE


def test_born_says_what_the_worker_is(worker: Worker) -> None:
    born = next(e for e in worker.history() if e.kind == "born")

    assert born.body["generation"] == 1
    machine = {"python", "executable", "sdk", "gpus", "hostname", "pid"}
    assert set(born.body["info"]) == machine | {"packages", "search", "directory"}
    assert born.body["info"]["packages"]["numpy"] == np.__version__
    assert "sys" in born.body["info"]["search"]["names"]
    assert str(Path(json.__file__).parent.parent) in born.body["info"]["search"]["path"]
    assert born.body["info"]["pid"] == worker.process.pid


def test_sync_runs_new_steps_and_keeps_the_rest(worker: Worker) -> None:
    worker.run(wire("a = object()", "b = 1"))
    events = worker.run(wire("a = object()", "b = 2"))

    planned = _only(events, "planned").body
    assert [step["names"] for step in planned["run"]] == [["b"]]
    assert [step["names"] for step in planned["keep"]] == [["a"]]
    cells = _only(events, "synced").body["cells"]
    assert {cell: found["state"] for cell, found in cells.items()} == {"c1": "kept", "c2": "ran"}


def test_same_program_again_runs_nothing(worker: Worker) -> None:
    program = handler_program("import time\nstarted = time.time()\ndef handler(job):\n    return 1")
    worker.run(program)
    before = _value(worker, "started")
    events = worker.run(program, {})

    assert _only(events, "planned").body["run"] == []
    assert _value(worker, "started") == before


def test_again_runs_an_unchanged_cell_anew(worker: Worker) -> None:
    program = wire("n = []", "n.append(1)\nlen(n)")
    worker.run(program)
    events = worker.run(program, again="c1")

    reasons = {tuple(s["names"]): s["reason"] for s in _only(events, "planned").body["run"]}
    assert reasons[("n",)] == "asked for with --again"


def test_failed_step_leaves_later_cells_not_run(worker: Worker) -> None:
    events = worker.run(wire("a = 1", "b = 1 / 0", "c = 3"))

    cells = _only(events, "synced").body["cells"]
    states = {cell: found["state"] for cell, found in cells.items()}
    assert states == {"c1": "ran", "c2": "failed", "c3": "not run"}
    failed = events[-1].body
    assert (failed["phase"], failed["cell"]) == ("step", "c2")
    assert failed["error"]["type"] == "ZeroDivisionError"
    assert failed["error"]["frames"] == [["handler.py", 3, "<module>", "b = 1 / 0"]]


def test_failed_step_is_tried_again_first(worker: Worker) -> None:
    source = "import os\nif not os.path.exists('there'):\n    raise OSError('not there')"
    assert worker.run(wire("a = object()", source))[-1].kind == "failed"
    (worker.directory.app / "there").touch()
    events = worker.run(None)

    assert events[-1].kind == "done"
    assert all(s["names"] != ["a"] for s in _only(events, "planned").body["run"])


def test_syntax_error_names_its_line_and_cell(worker: Worker) -> None:
    failed = worker.run(wire("a = 1", "b = = 2"))[-1].body

    assert (failed["phase"], failed["cell"]) == ("plan", "c2")
    assert failed["error"]["frames"][0][:2] == ["handler.py", 3]


def test_syntax_error_names_the_python_that_reads_the_program(worker: Worker) -> None:
    failed = worker.run(wire("b = = 2"))[-1].body

    assert (
        f"the target's Python {platform.python_version()} does not read"
        in (failed["error"]["message"])
    )


def test_sys_exit_in_a_step_is_a_failed_step(worker: Worker) -> None:
    failed = worker.run(wire("import sys\nsys.exit(2)"))[-1].body

    assert (failed["phase"], failed["error"]["type"]) == ("step", "SystemExit")


def test_job_without_a_handler_says_what_to_do(worker: Worker) -> None:
    failed = worker.run(wire("a = 1"), {})[-1].body

    assert (failed["phase"], failed["error"]["type"]) == ("plan", "NoHandler")


def test_start_that_is_gone_is_forgotten(worker: Worker) -> None:
    worker.run(handler_program("def handler(job):\n    return 1"), {})
    failed = worker.run(wire("import runpod\ndef handler(job):\n    return 1"), {})[-1].body

    assert failed["error"]["type"] == "NoHandler"


def test_start_under_the_main_guard_registers(worker: Worker) -> None:
    text = (
        "def handler(job):\n    return 'guarded'\nif __name__ == '__main__':\n    import runpod\n\n"
        "    runpod.serverless.start({'handler': handler})"
    )
    assert posted(worker.job(wire(text))) == {"output": "guarded"}


def test_top_level_await_runs_on_the_loop_of_the_jobs(worker: Worker) -> None:
    body = (
        "import asyncio\nlock = asyncio.Lock()\nawait lock.acquire()\n"
        "loop = (await asyncio.sleep(0, asyncio.get_running_loop()))\n"
        "async def handler(job):\n    lock.release()\n"
        "    return loop is asyncio.get_running_loop()"
    )
    assert posted(worker.job(handler_program(body))) == {"output": True}


def test_asyncio_run_in_a_step_leaves_the_jobs_loop(worker: Worker) -> None:
    body = (
        "import asyncio\nasync def one():\n    return 1\none = asyncio.run(one())\n"
        "async def handler(job):\n    await asyncio.sleep(0)\n    return one"
    )
    assert posted(worker.job(handler_program(body))) == {"output": 1}


def test_future_flags_hold_for_the_whole_file(worker: Worker) -> None:
    worker.run(wire('"""Doc."""\nfrom __future__ import annotations', "x: undefined = 1"))

    assert _value(worker, "(__doc__, __annotations__)") == "('Doc.', {'x': 'undefined'})"


MOVED = {
    "function": "def f():\n    return 1 / 0",
    "nested": "def f():\n    def g():\n        return 1 / 0\n    return g()",
    "method": "class C:\n    def m(self):\n        return 1 / 0\nf = C().m",
    "decorated": (
        "import functools\ndef d(g):\n    @functools.wraps(g)\n    def w():\n"
        "        return g()\n    return w\n@d\ndef f():\n    return 1 / 0"
    ),
    "property": (
        "class C:\n    @property\n    def p(self):\n        return 1 / 0\ndef f():\n    C().p"
    ),
}


@pytest.mark.parametrize("kind", MOVED)
def test_kept_functions_show_the_lines_where_they_stand_now(worker: Worker, kind: str) -> None:
    def program(above: str) -> dict[str, Any]:
        return handler_program(
            above + MOVED[kind] + "\nmark = object()\ndef handler(job):\n    f()"
        )

    worker.run(program(""), {})
    events = worker.run(program("# one\n# two\n\n"), {})

    assert _only(events, "planned").body["run"] == []
    text = worker.directory.app.joinpath("handler.py").read_text().split("\n")
    for file, line, _function, source in _only(events, "finished").body["exception"]["frames"]:
        assert (file, text[line - 1].strip()) == ("handler.py", source)
    assert source == "return 1 / 0"


def test_program_is_written_byte_for_byte(worker: Worker) -> None:
    program = wire("a = 'é'  # kept  \n\n\nb = 2")
    worker.run(program)

    assert (worker.directory.app / "handler.py").read_bytes() == program["text"].encode()


def test_changed_local_module_is_imported_anew(worker: Worker) -> None:
    program = handler_program("from lib import VALUE\ndef handler(job):\n    return VALUE")
    first = worker.job(_with_files(program, worker, lib="VALUE = 1", other="x = 1"))
    second = worker.job(_with_files(program, worker, lib="VALUE = 22", other="x = 1"))

    assert (posted(first), posted(second)) == ({"output": 1}, {"output": 22})


def _answers(worker: Worker, body: str, *versions: dict[str, str]) -> list[Any]:
    program = handler_program(body)
    return [posted(worker.job(_with_files(program, worker, **v)))["output"] for v in versions]


def test_module_imported_by_an_edited_one_is_the_new_one(worker: Worker) -> None:
    body = "import top\ndef handler(job):\n    return top.low.VALUE"
    old = {"top": "import low", "low": "VALUE = 1"}
    assert _answers(worker, body, old, {**old, "low": "VALUE = 22"}) == [1, 22]


def test_state_of_a_module_behind_an_edited_one_is_as_in_a_fresh_process(worker: Worker) -> None:
    body = "import top\nimport low\ndef handler(job):\n    return low.SEEN"
    low = "SEEN = []\ndef add(x):\n    SEEN.append(x)"
    old = {"top": "import low\nlow.add('old')", "low": low}
    edited = {**old, "top": "import low\nlow.add('new')"}
    assert _answers(worker, body, old, edited) == [["old"], ["new"]]


def test_changed_data_of_a_package_is_read_anew(worker: Worker) -> None:
    body = "from lib import VALUE\ndef handler(job):\n    return VALUE"
    read = "import pathlib\nVALUE = (pathlib.Path(__file__).parent / 'w.txt').read_text()"
    old = {"lib/__init__": read, "lib/w.txt": "a"}
    assert _answers(worker, body, old, {**old, "lib/w.txt": "b"}) == ["a", "b"]


UNSEEN = {
    "data by __file__": (
        "import os\nV = open(os.path.join(os.path.dirname(__file__), 'words.txt')).read()",
        {"words.txt": "1"},
        {"words.txt": "2"},
    ),
    "module by a name that is worked out": (
        "import importlib\nV = [importlib.import_module(n).V for n in ('low', 'lower')]",
        {"low": "V = '1'", "lower": "V = 1"},
        {"low": "V = '2'", "lower": "V = 1"},
    ),
    "script by __file__": (
        "import os, runpy\nV = runpy.run_path(os.path.dirname(__file__) + '/script.py')['V']",
        {"script": "V = '1'"},
        {"script": "V = '2'"},
    ),
    "module of a folder on the path": (
        "import sys\nsys.path.insert(0, 'src')\nfrom low import V",
        {"src/low": "V = '1'"},
        {"src/low": "V = '2'"},
    ),
}


@pytest.mark.parametrize(("setup", "old", "new"), UNSEEN.values(), ids=UNSEEN)
def test_changed_file_that_no_step_shows_asks_for_a_new_worker(
    worker: Worker, setup: str, old: dict[str, str], new: dict[str, str]
) -> None:
    program = handler_program(f"{setup}\ndef handler(job):\n    return V")
    worker.job(_with_files(program, worker, **old))
    edited = _with_files(program, worker, **new)
    events = worker.events(worker.submit(edited), until=("planned", "failed"))
    first = next(iter(edited["files"]))
    assert events[-1].body["restart"] == f"`{first}` changed"


PATCHER = "import colorsys\ndef hls(*_):\n    return 'patched'\ncolorsys.rgb_to_hls = hls"


def _restart(worker: Worker, program: dict[str, Any]) -> str | None:
    return next(
        event.body["restart"]
        for event in worker.events(worker.submit(program), until=("planned", "done"))
        if event.kind == "planned"
    )


def test_import_that_patches_a_loaded_module_needs_a_new_worker_to_be_undone(
    worker: Worker,
) -> None:
    use = "import colorsys\nx = colorsys.rgb_to_hls(1, 1, 1)"
    worker.run(_with_files(wire("import patcher", use), worker, patcher=PATCHER))
    assert _restart(worker, wire(use)) == "`import patcher` was removed"


def test_import_that_patches_nothing_is_undone_as_any(worker: Worker) -> None:
    harmless = PATCHER.replace("colorsys.rgb_to_hls =", "more =")
    worker.run(_with_files(wire("import colorsys", "import patcher"), worker, patcher=harmless))
    assert _restart(worker, wire("import colorsys")) is None


def test_patch_above_a_kept_step_takes_a_new_worker(worker: Worker) -> None:
    use = "import colorsys\nx = colorsys.rgb_to_hls(1, 1, 1)"
    worker.run(wire(use))
    unseen = PATCHER.replace("colorsys.rgb_to_hls =", "__import__('color' + 'sys').rgb_to_hls =")
    program = _with_files(wire("import patcher", use), worker, patcher=unseen)
    request = worker.submit(program)
    assert worker.process.wait(90) == 75
    planned = [e for e in worker.history() if e.request == request and e.kind == "planned"]
    assert planned[-1].body["restart"]


def test_patch_that_a_local_module_shows_runs_what_uses_it_again(worker: Worker) -> None:
    use = "import colorsys\nx = colorsys.rgb_to_hls(1, 1, 1)"
    worker.run(wire(use))
    events = worker.run(_with_files(wire("import patcher", use), worker, patcher=PATCHER))
    planned = next(e.body for e in events if e.kind == "planned")
    assert planned["restart"] is None
    assert [step["names"] for step in planned["run"]] == [["patcher"], ["x"]]


HIDDEN = {
    "routes": "ROUTES = {}\ndef route(f):\n    ROUTES['x'] = f\n@route\ndef _():\n    return 1 / 0",
    "lambda": "ROUTES = {}\nROUTES['x'] = lambda: (\n    1 / 0)",
    "library": "import atexit\nROUTES = {'x': lambda: 1 / 0}",
}


@pytest.mark.parametrize("body", HIDDEN.values(), ids=list(HIDDEN))
def test_function_that_only_a_registry_holds_gets_its_new_lines(worker: Worker, body: str) -> None:
    handler = "\ndef handler(job):\n    return ROUTES['x']()"

    def line(text: str) -> int:
        finished = worker.job(handler_program(text + handler))
        return int(finished.body["exception"]["frames"][-1][1])

    before = line(body)
    assert line("# one\n\n# more\n" + body) == before + 3


def test_file_that_left_the_program_is_removed(worker: Worker) -> None:
    worker.run(_with_files(wire("import lib"), worker, lib="VALUE = 1"))
    worker.run(wire("a = 1"))

    assert not (worker.directory.app / "lib.py").exists()


def test_settings_are_there_before_the_first_step(worker: Worker) -> None:
    events = worker.run(
        wire("import os\nmodel = os.environ['MODEL']\nmodel", env={"MODEL": "xl"}), show="c1"
    )

    assert _shown(events) == "'xl'"


@pytest.mark.parametrize("env", [{"MODEL": "xxl"}, {}])
def test_changed_setting_asks_for_a_fresh_process(worker: Worker, env: dict[str, str]) -> None:
    worker.run(wire("a = 1", env={"MODEL": "xl"}))
    request = worker.submit(wire("a = 1", env=env))
    events = worker.events(request, until=("planned",))

    assert events[-1].body["restart"] == "`MODEL` changed"
    assert worker.process.wait(90) == 75


def test_secrets_are_set_and_acknowledged(worker: Worker) -> None:
    assert [event.kind for event in worker.set_env(HF_TOKEN="t")] == ["done"]

    assert _value(worker, "__import__('os').environ['HF_TOKEN']") == "'t'"


def test_undone_environment_keeps_the_secrets(worker: Worker) -> None:
    worker.run(wire("import os\nos.environ['A'] = '1'\na = 1"))
    worker.set_env(HF_TOKEN="t")
    worker.run(wire("import os\na = 1"))

    assert (
        _value(worker, "[__import__('os').environ.get(n) for n in ('A', 'HF_TOKEN')]")
        == "[None, 't']"
    )


def test_job_that_memoised_does_not_go_stale(worker: Worker) -> None:
    def program(value: int) -> dict[str, Any]:
        return handler_program(
            f"CACHE = {{}}\ndef f(k):\n    return {value}\ndef handler(job):\n"
            "    if 1 not in CACHE:\n        CACHE[1] = f(1)\n    return CACHE[1]"
        )

    worker.job(program(1))

    assert posted(worker.job(program(2))) == {"output": 2}


def test_output_is_counted_before_the_event_that_follows_it(worker: Worker) -> None:
    program = wire("import sys, os\nprint('a', end='')\nos.system('printf b')")
    worker.run(program)
    synced = next(e for e in worker.history() if e.kind == "synced")

    assert worker.logs().encode()[: synced.out] == b"ab"


def test_kept_values_are_named_with_size_and_age(worker: Worker) -> None:
    program = wire("import numpy as np\nbig = np.zeros(1 << 18)\nsmall = 1\ndef f(): pass")
    worker.run(program)
    kept = _only(worker.run(program), "synced").body["kept"]

    # What took long is named, too: on a busy machine that may be any step.
    quick = [value for value in kept if value["seconds"] < 0.05]
    assert ("big", 8 << 18) in [(value["name"], value["bytes"]) for value in kept]
    assert {value["name"] for value in quick} <= {"big"}


def test_worker_serves_the_relay_that_comes_after(worker: Worker) -> None:
    worker.run(wire("a = 41"))
    worker.disconnect()
    worker.reconnect()

    assert _value(worker, "a + 1") == "42"


def test_control_socket_is_private(worker: Worker) -> None:
    assert worker.directory.control.stat().st_mode & 0o777 == 0o600


def test_garbage_on_the_control_socket_harms_nothing(worker: Worker) -> None:
    worker.disconnect()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(worker.directory.control))
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert stranger.recv(1) == b""
    worker.reconnect()

    assert worker.run(wire("a = 1"))[-1].kind == "done"


def test_import_of_runpod_skips_cpuinfo_and_leaves_the_real_one(worker: Worker) -> None:
    worker.run(handler_program("def handler(job):\n    return 1"))

    assert _value(worker, "'cpuinfo' in __import__('sys').modules") == "False"
    assert re.match(r"'.+'", _value(worker, "__import__('cpuinfo').__file__"))


def test_program_is_stored_once_it_was_taken(worker: Worker) -> None:
    program = wire("a = 1")
    worker.run(program)

    assert worker.directory.read_program() == program
