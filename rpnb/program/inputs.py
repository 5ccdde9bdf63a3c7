"""What a person types as an input, and the job made of it.

An input is the name of a test, JSON, or a Python expression evaluated where the
person types, in this order. It may be a whole job or only what goes inside.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from ..errors import BadInput
from .tokens import unquoted

# The keys of a RunPod job as /run takes it; `input` must be among them.
JOB_KEYS = frozenset({"input", "id", "webhook", "policy", "s3Config"})
_CONSTANTS = {"true": True, "false": False, "null": None}

Evaluate = Callable[[CodeType], Any]


@dataclass(frozen=True)
class Job:
    """A whole RunPod job; `wrapped` says that it was made from what goes inside.

    `doubtful`: it might as well have been meant the other way, so the line says so.
    """

    job: dict[str, Any]
    wrapped: bool
    doubtful: bool

    @property
    def note(self) -> str:
        """What to say where it could be doubted, else nothing."""
        if not self.doubtful:
            return ""
        others = ", ".join(f"`{key}`" for key in self.job["input"] if key != "input")
        return f"sent as {{'input': {{…}}}}: {others} " + (
            "is no key of a job" if "," not in others else "are no keys of a job"
        )


def as_job(value: Any) -> Job:
    """Return the job that a typed value stands for.

    An object whose only keys are a job's, `input` among them, is the job;
    anything else is what goes inside.

    Raises:
        BadInput: JSON cannot carry it; names the place inside.
    """
    check_json(value)
    if isinstance(value, dict) and "input" in value:
        if JOB_KEYS.issuperset(value):
            return Job(dict(value), wrapped=False, doubtful=False)
        return Job({"input": value}, wrapped=True, doubtful=True)
    return Job({"input": value}, wrapped=True, doubtful=False)


def read(
    typed: str, *, tests: Mapping[str, Any] | None = None, evaluate: Evaluate | None = None
) -> Any:
    """Return the value of a typed input: a test's, JSON, or a Python expression's.

    `evaluate` runs a compiled expression where the person types; without it only
    literals are understood.

    Raises:
        BadInput: it is none of the three, or JSON could not carry the value.
    """
    text = unquoted(typed.strip())
    tests = tests or {}
    if text in tests:
        return tests[text]
    for candidate in _candidates(typed.strip(), text):
        found, value = _json(candidate)
        if found:
            return value
    value = _evaluated(text if text[:1] in ("{", "[") else typed.strip(), tests, evaluate)
    check_json(value, typed)
    return value


def read_argument(argument: str) -> Any:
    """Return the value of the command line's `JSON` or `@FILE`.

    Raises:
        BadInput: it is not JSON (with a caret), or the file cannot be read.
    """
    if not argument.startswith("@"):
        return parse_json(argument, "--input takes JSON or @FILE")
    return read_file(Path(argument[1:]))


def read_file(path: Path) -> Any:
    """Return the JSON value in the file.

    Raises:
        BadInput: there is no such file, or it does not hold JSON.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot read the input file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"the input file {path} is not text: byte {error.start}") from error
    return parse_json(text, f"the input file {path} does not hold JSON")


def parse_json(text: str, message: str) -> Any:
    """Return the JSON value in `text`; the error begins with `message` and has a caret."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        what = error.msg[:1].lower() + error.msg[1:]
        place = f"line {error.lineno}: " if "\n" in text.strip() else ""
        raise BadInput(f"{message}: {place}{what}", text, error.pos) from None
    except ValueError as error:
        raise BadInput(f"{message}: {error}", text) from None


def check_json(value: Any, typed: str = "", path: str = "the input") -> None:
    """Raise BadInput that names the place in `value` which JSON cannot carry."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                message = f"{path} has the key {key!r}, but JSON's keys are strings"
                raise BadInput(message, typed, 0 if typed else None)
            check_json(item, typed, f"{path}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            check_json(item, typed, f"{path}[{index}]")
    elif not isinstance(value, (str, int, float, bool, type(None))):
        kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        remedy = "send base64 text, a list or a number instead"
        message = f"{path} is a {kind}, which JSON cannot carry: {remedy}"
        raise BadInput(message, typed, 0 if typed else None)


def _candidates(typed: str, text: str) -> list[str]:
    """The texts that may be JSON: as typed, unless quotes stand round a bracketed text."""
    if text[:1] in ("{", "["):
        return [text]
    return [typed, text]


def _json(text: str) -> tuple[bool, Any]:
    try:
        return True, json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return False, None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _evaluated(text: str, tests: Mapping[str, Any], evaluate: Evaluate | None) -> Any:
    tree = _expression(text)
    try:
        if evaluate is None:
            return ast.literal_eval(tree)
        return evaluate(compile(tree, "<input>", "eval"))
    except NameError as error:
        message = f"`{error.name}` is neither a test nor a name that is defined here"
        raise BadInput(_with_tests(message, tests), text, _name_at(tree, error.name)) from error
    except ValueError as error:
        if evaluate is not None:
            raise BadInput(f"the input raised ValueError: {error}", text, 0) from error
        message = "this is neither a test nor JSON, and there is no kernel to evaluate it"
        raise BadInput(_with_tests(message, tests), text, 0) from None
    except Exception as error:  # the person's own expression may raise anything
        raise BadInput(f"the input raised {type(error).__name__}: {error}", text, 0) from error


def _expression(text: str) -> ast.Expression:
    try:
        tree = ast.parse(text, "<input>", "eval")
    except (SyntaxError, ValueError) as error:
        message = "expected the name of a test, JSON or a Python expression"
        detail = getattr(error, "msg", None) or str(error)
        raise BadInput(f"{message}: {detail}", text, _offset(text, error)) from None
    expression = _Constants().visit(tree)
    assert isinstance(expression, ast.Expression)
    return ast.fix_missing_locations(expression)


class _Constants(ast.NodeTransformer):
    """JSON's `true`, `false` and `null` in a Python expression."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in _CONSTANTS:
            return ast.copy_location(ast.Constant(_CONSTANTS[node.id]), node)
        return node


def _offset(text: str, error: Exception) -> int:
    column = getattr(error, "offset", None) or 1
    row = getattr(error, "lineno", None) or 1
    start = sum(len(line) for line in text.splitlines(keepends=True)[: row - 1])
    return max(0, min(start + column - 1, len(text)))


def _name_at(tree: ast.Expression, name: str | None) -> int:
    places = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
    return places[0].col_offset if places else 0


def _with_tests(message: str, tests: Mapping[str, Any]) -> str:
    return f"{message}. Tests here: {', '.join(sorted(tests))}" if tests else message
