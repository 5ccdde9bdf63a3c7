"""Which input a job gets: typed, a test's, the last one, a file's, or the form's defaults."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BadInput

if TYPE_CHECKING:
    from types import CodeType

    from ..program.fields import Field
    from ..program.options import Options
    from ..program.steps import Program
    from ..program.tokens import Typed
    from .notebook import Notebook


@dataclass(frozen=True)
class Chosen:
    """An input, and what the line calls it ("last run", "test fox")."""

    value: Any
    source: str


@dataclass(frozen=True)
class Test:
    """A named input: the values that its cell made, and what is expected of them."""

    name: str
    values: tuple[Any, ...]
    options: Options | None = None

    @property
    def expects_error(self) -> bool:
        """Whether it passes where the job fails; no cell runs such an input by itself."""
        return self.options is not None and self.options.has("expect-error")

    @property
    def chosen(self) -> list[Chosen]:
        """Its inputs, each called by the test's name and, among several, its number."""
        many = len(self.values)
        return [
            Chosen(value, f"test {self.name}" + (f" {number}/{many}" if many > 1 else ""))
            for number, value in enumerate(self.values, 1)
        ]


def evaluate(notebook: Notebook, typed: str) -> Any:
    """Return the value of a typed input: a test's, JSON, or an expression evaluated here.

    Raises:
        BadInput: it is none of them.
    """
    from ..program.inputs import read

    def here(code: CodeType) -> Any:
        return eval(code, notebook.shell.user_ns)

    tests = {name: test.values[0] for name, test in notebook.tests.items() if test.values}
    return read(typed, tests=tests, evaluate=here)


def given_inputs(notebook: Notebook, options: Options) -> list[Chosen]:
    """Return the inputs named on a handler cell's line, in order."""
    from ..program.inputs import read_file

    given = [
        each
        for typed in options.all("input")
        for each in typed_inputs(notebook, options.line, typed, "--input")
    ]
    named = options.text("input-file")
    if named is not None:
        given.append(Chosen(read_file(notebook.folder / named), named))
    return given


def choose_input(notebook: Notebook, fields: list[Field]) -> Chosen | None:
    """Return the input that a handler cell runs where its line names none; None without any."""
    from ..program.fields import defaults
    from ..program.inputs import read_file

    there, value = notebook.memory.last_input
    if there:
        return Chosen(value, "last run")
    for test in notebook.tests.values():
        if test.values and not test.expects_error:
            return test.chosen[0]
    beside = notebook.folder / "test_input.json"
    if beside.is_file():
        return Chosen(read_file(beside), beside.name)
    made = defaults(fields)
    return None if made is None else Chosen(made, "the form's defaults")


def input_fields(notebook: Notebook, program: Program) -> list[Field]:
    """Return the fields of the handler's input, as its code and its modules tell."""
    from ..program.fields import fields

    def module_text(name: str) -> str | None:
        for ending in (".py", "/__init__.py"):
            path = notebook.folder / (name.replace(".", "/") + ending)
            if path.is_file():
                return path.read_text(encoding="utf-8", errors="replace")
        return None

    return fields(program.text, program.handler, module_text)


def whole_job(value: Any) -> tuple[dict[str, Any], str]:
    """Return the RunPod job of an input, with an id, and a note where it could be doubted."""
    from ..program.inputs import as_job

    made = as_job(value)
    job = dict(made.job)
    job.setdefault("id", uuid.uuid4().hex[:8])
    return job, made.note


def typed_inputs(notebook: Notebook, line: str, typed: Typed, source: str) -> list[Chosen]:
    """Return the inputs typed on a line: one, or all of a test's.

    The caret of an error stands under the whole line.

    Raises:
        BadInput: it is no test, no JSON, and no expression that can be evaluated here.
    """
    test = notebook.tests.get(typed.word)
    if test is not None:
        return test.chosen
    try:
        return [Chosen(evaluate(notebook, typed.text), source)]
    except BadInput as error:
        raise _placed(error, line, typed.position) from error.__cause__


def _placed(error: BadInput, line: str, start: int) -> BadInput:
    """The same error with its caret in the whole line."""
    at = line.find(error.text, start) if error.text else -1
    if error.position is None or at < 0:
        return error
    return BadInput(str(error).partition("\n    ")[0], line, at + error.position)
