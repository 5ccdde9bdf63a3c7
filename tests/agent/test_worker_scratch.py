"""Scratch cells in a real worker, and what set-up cells show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rpnb.protocol.messages import Event
from tests.agent.driver import Worker, wire


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker for the whole module: scratch cells leave the program alone."""
    worker = Worker(tmp_path_factory.mktemp("home"))
    yield worker
    worker.close()


def _scratch(
    worker: Worker, text: str, *, to: str | None = None, first_line: int = 2
) -> list[Event]:
    cell = {"text": text, "label": "cell 7", "first_line": first_line, "to": to}
    return worker.run(scratch=cell)


def _texts(events: list[Event]) -> list[str]:
    return [e.buffers[0].decode() for e in events if e.kind == "shown"]


def _run(worker: Worker, program: dict[str, Any], show: str) -> list[str]:
    return _texts(worker.run(program, show=show))


def test_scratch_sees_the_program_and_binds_nothing_in_it(worker: Worker) -> None:
    worker.run(wire("base = 40"))
    _scratch(worker, "base = base + 2\nmine = base")

    assert _texts(_scratch(worker, "base, mine")) == ["(42, 42)"]
    assert _run(worker, wire("base = 40", "other = base\nother"), "c2") == ["40"]


def test_scratch_names_stay_for_later_scratch_cells(worker: Worker) -> None:
    worker.run(wire("factor = 2"))
    _scratch(worker, "def scaled(n):\n    return n * factor * more()")
    _scratch(worker, "def more():\n    return 10")
    worker.run(wire("factor = 3"))

    assert _texts(_scratch(worker, "scaled(1)")) == ["30"]


def test_name_that_left_the_program_leaves_the_scratch(worker: Worker) -> None:
    worker.run(wire("gone = 1"))
    _scratch(worker, "gone")
    worker.run(wire("other = 1"))

    assert _scratch(worker, "gone")[-1].body["error"]["type"] == "NameError"


def test_failing_scratch_names_its_cell_and_line(worker: Worker) -> None:
    failed = _scratch(worker, "x = 1\nx / 0")[-1].body

    assert failed["phase"] == "scratch"
    assert failed["error"]["frames"] == [["cell 7", 3, "<module>", "x / 0"]]


def test_scratch_syntax_error_counts_the_magic_line(worker: Worker) -> None:
    failed = _scratch(worker, "x = 1\ny = = 2")[-1].body

    assert failed["error"]["frames"][0][:2] == ["cell 7", 3]


def test_scratch_store_into_the_program_reloads_what_it_touched(worker: Worker) -> None:
    program = wire("config = {'a': 1}", "b = 2")
    worker.run(program)
    events = _scratch(worker, "config['a'] = 5")
    planned = next(e for e in worker.run(program) if e.kind == "planned")

    notes = next(e for e in events if e.kind == "synced").body["notes"]
    assert notes == ["`config` was changed here: it reloads at the next run"]
    assert [(s["names"], s["reason"]) for s in planned.body["run"]] == [
        (["config"], "`config` was changed by a scratch cell")
    ]


def test_scratch_looks_around_after_a_failed_step(worker: Worker) -> None:
    worker.run(wire("there = 7", "1 / 0"))

    assert _texts(_scratch(worker, "there")) == ["7"]


def test_to_sends_the_value_as_data(worker: Worker) -> None:
    worker.run(wire("import numpy as np"))
    shown = next(e for e in _scratch(worker, "np.arange(3)", to="a") if e.kind == "shown")

    assert shown.body["to"] == "a"
    assert shown.body["encoding"]["kind"] == "ndarray"
    assert len(shown.buffers[0]) == 24


def test_to_of_none_is_null(worker: Worker) -> None:
    shown = next(e for e in _scratch(worker, "None", to="a") if e.kind == "shown")

    assert json.loads(shown.buffers[0]) is None


def test_to_of_what_cannot_cross_is_an_error_with_advice(worker: Worker) -> None:
    failed = _scratch(worker, "object()", to="a")[-1].body

    assert "Reduce it to plain data" in failed["error"]["message"]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("'x' * 3", ["'xxx'"]),
        ("a = 3", []),
        ("3;", []),
        ("3 ;  # quiet", []),
        ("None", []),
        ("async def five():\n    return 5\nawait five()", ["5"]),
        ("for i in range(3):\n    i", []),
    ],
)
def test_last_expression_is_shown_as_in_any_cell(
    worker: Worker, source: str, shown: list[str]
) -> None:
    assert _texts(_scratch(worker, source)) == shown
    assert _run(worker, wire("mark = object()", source), "c2") == shown
    worker.run(wire("mark = object()"))


def test_only_the_asked_cell_is_shown(worker: Worker) -> None:
    assert _run(worker, wire("'one'", "'two'", "'three'"), "c2") == ["'two'"]


def test_shown_value_is_not_kept_alive(worker: Worker) -> None:
    source = "import weakref\nclass Big: pass\nref = weakref.ref(Big)\nbigs = weakref.WeakSet()"
    worker.run(wire(source, "big = Big()\nbigs.add(big)\nbig"), show="c2")
    worker.run(wire(source))

    assert _texts(_scratch(worker, "len(bigs)")) == ["0"]


def _with_prelude(worker: Worker, text: str, name: str, definition: str) -> list[str]:
    prelude = {"name": name, "imports": "", "text": definition, "label": "", "first_line": 1}
    cell = {"text": text, "label": "cell 7", "first_line": 2, "to": None,
            "prelude": [{**prelude, "future": []}], "files": {}}  # fmt: skip
    return _texts(worker.run(scratch=cell))


def test_captured_value_is_made_once_while_its_definition_stays(worker: Worker) -> None:
    worker.run(wire("other = 1"))

    assert _with_prelude(worker, "seen.append(1); seen", "seen", "seen = []") == ["[1]"]
    assert _with_prelude(worker, "seen.append(2); seen", "seen", "seen = []") == ["[1, 2]"]
    assert _with_prelude(worker, "seen", "seen", "seen = [9]") == ["[9]"]


def test_captured_name_gives_way_to_the_programs_own(worker: Worker) -> None:
    worker.run(wire("other = 1"))
    _with_prelude(worker, "mine", "mine", "mine = 'here'")
    worker.run(wire("mine = 'there'"))

    assert _texts(_scratch(worker, "mine")) == ["'there'"]
