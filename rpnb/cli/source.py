"""What the command line is given: a notebook or a handler file, as a program and its jobs."""

from __future__ import annotations

import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, NoHandler
from ..program import inputs as language
from ..program.build import build, needs
from ..program.handler_file import from_file, names_for
from ..program.names import Names
from ..program.problems import raise_all
from ..program.skew import There, problems
from . import parts as sorting
from .notebook import read
from .selection import needed_names, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..program.steps import Program
    from ..session.session import Session
    from .bundle import Bundle
    from .notebook import Notebook
    from .parts import Local, Parts
    from .progress import Progress


@dataclass(frozen=True)
class Wanted:
    """Which jobs are wanted: those typed; else the usual one, every one, or none at all."""

    typed: tuple[str, ...] = ()
    every: bool = False
    none: bool = False


@dataclass(frozen=True)
class Source:
    """A program and the jobs to run, each whole, with an id; `notes` are for the person."""

    path: Path
    program: Program
    jobs: tuple[dict[str, Any], ...] = ()
    secrets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def prepare(self, session: Session) -> None:
        """Make the session's worker ready for the program: it can take it, and has the secrets.

        Raises:
            CannotCapture: a captured value needs another Python, or packages that are not there.
            BadInput: this environment does not have the secrets.
        """
        raise_all(problems(self.program, There.of(session.info)))
        if self.secrets:
            session.set_env(sorting.secret_values(self.secrets))


def load(path: Path, wanted: Wanted, progress: Progress) -> Source:
    """Return the program of a notebook, or of a handler file.

    Raises:
        BadInput: there is no such file, it is something else, or no input is there.
        ProgramError: the program cannot be built.
    """
    typed = [language.read_argument(each) for each in wanted.typed]
    if path.suffix == ".py":
        return _of_file(path, wanted, typed)
    return _of_notebook(path, wanted, typed, progress)


def _of_file(path: Path, wanted: Wanted, typed: Sequence[Any]) -> Source:
    program = build(from_file(path), names_for(path))
    values = [] if wanted.none else typed or _beside(path)
    return _source(path.resolve(), program, _jobs(path, wanted, values))


def _path() -> list[str]:
    # The first entry is the command's own folder, or whatever folder one stands in.
    return sys.path[1:]


def _of_notebook(path: Path, wanted: Wanted, typed: Sequence[Any], progress: Progress) -> Source:
    notebook = read(path)
    parts = sorting.sort(notebook)
    if not any(cell.kind == "handler" for cell in parts.remote):
        raise NoHandler(
            f"{path} has no handler cell: begin the one that defines the handler with "
            "%%runpod_handler"
        )
    tests = [] if typed or wanted.none else _tests(parts, wanted)
    own = parts.inputs if not typed and not wanted.none else ()
    bundle = _built(notebook, parts, tests, own, progress)
    values = typed
    if not values and not wanted.none:
        with sorting.in_cell(parts.input_cell):
            values = [*bundle.inputs, *map(language.read_file, parts.input_files)]
        if wanted.every or not values:
            values += [job for name in bundle.tests for job in _listed(bundle.tests[name])]
        values = values or _beside(path)
    jobs = _jobs(path, wanted, values)
    return _source(parts.path, bundle.program, jobs, parts.secrets, parts.notes)


def _tests(parts: Parts, wanted: Wanted) -> list[Local]:
    """The tests whose inputs are run: the first, where the handler cell names no input."""
    if wanted.every:
        return parts.tests
    named = {text.strip("\"'") for text in parts.inputs}
    chosen = [test for test in parts.tests if test.test in named]
    usual = [test for test in parts.tests if not test.expects_error]
    return chosen if parts.inputs or parts.input_files else usual[:1]


def _built(
    notebook: Notebook,
    parts: Parts,
    tests: Sequence[Local],
    inputs: Sequence[str],
    progress: Progress,
) -> Bundle:
    """The program, built here where no ordinary cell is needed, else in a fresh kernel."""
    from .bundle import Bundle

    values = _literals(tests, inputs)
    forced = [] if values is not None else tests
    names = set(needs(parts.remote))
    if values is None:
        names |= needed_names(inputs)
    chosen = select(parts.local, names, forced)
    if not chosen and values is not None:
        folder = parts.path.parent
        found = Names({}, folder=folder, path=_path(), send=parts.send)
        return Bundle(build(parts.remote, found, env=parts.env), *values)
    from .kernel import build_in_kernel

    bundle = build_in_kernel(notebook, parts, chosen, inputs if values is None else (), progress)
    wanted = {str(test.test) for test in tests}
    read_there = {name: value for name, value in bundle.tests.items() if name in wanted}
    return Bundle(bundle.program, *(values or (bundle.inputs, read_there)))


def _literals(
    tests: Sequence[Local], inputs: Sequence[str]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The inputs' and tests' values, where no kernel is needed to know them."""
    try:
        found = {str(test.test): language.read(test.text) for test in tests}
        return tuple(language.read(typed, tests=found) for typed in inputs), found
    except BadInput:
        return None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _beside(path: Path) -> list[Any]:
    file = path.resolve().parent / "test_input.json"
    return [language.read_file(file)] if file.is_file() else []


def _source(
    path: Path,
    program: Program,
    jobs: Sequence[language.Job],
    secrets: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Source:
    whole = tuple({"id": uuid.uuid4().hex[:8], **each.job} for each in jobs)
    doubts = tuple(each.note for each in jobs if each.note)
    return Source(path, program, whole, secrets, (*program.notes, *notes, *doubts))


def _jobs(path: Path, wanted: Wanted, values: Sequence[Any]) -> list[language.Job]:
    if not values and not wanted.none:
        raise BadInput(
            f"there is no input for {path.name}: add --input '{{…}}', a %%runpod_test cell, or a "
            "test_input.json beside it"
        )
    return [language.as_job(value) for value in values]
