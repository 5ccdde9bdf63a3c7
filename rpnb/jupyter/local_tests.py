"""Test cells: an ordinary cell whose last expression is one input or a list; each runs as a job."""

from __future__ import annotations

import ast
import hashlib
import json
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, JobFailed
from ..session import pretty
from . import jobs
from .inputs import Chosen, Test, evaluate
from .notebook import Notebook
from .screen import CellScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..program.options import Options
    from ..program.steps import Program
    from ..session.result import Result


def test(notebook: Notebook, options: Options, body: str) -> None:
    """Save the cell's inputs under its NAME, and run each where there is a handler.

    Raises:
        BadInput: the cell ends with no input, or JSON cannot carry it.
        JobFailed: a job failed, or is not what was expected.
    """
    name = options.word or ""
    made = Test(name, _values(evaluate_cell(notebook, body), options), options)
    notebook.tests[name] = made
    saved = f"saved as `{name}`"
    if notebook.cells.handler is None or options.has("no-run"):
        why = " (no handler yet)" if notebook.cells.handler is None else ""
        print(saved + why)
        return
    program = notebook.with_handler()
    for number, chosen in enumerate(made.chosen):
        _run(notebook, program, made, number, chosen)


def evaluate_cell(notebook: Notebook, body: str) -> Any:
    """Run an ordinary cell's code here; return the value of its last expression, else None."""
    __tracebackhide__ = True
    shell, found = notebook.shell, notebook.magic()
    # The traceback counts lines as the person sees them, the magic's own included.
    lines_above = "\n" * (found.first_line - 1 if found else 1)
    source = lines_above + shell.transform_cell(body)
    name = shell.compile.cache(source, notebook.number, raw_code=source)
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), shell.user_ns)
    value = None
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), name, "eval"), shell.user_ns)
    notebook.record(source)
    return value


def mismatch(got: Any, expected: Any, path: str = "output") -> str:
    """Return where `got` lacks what `expected` names, "" where it has all of it."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key, value in expected.items():
            if key not in got:
                return f"{path} has no {key!r}"
            found = mismatch(got[key], value, f"{path}[{key!r}]")
            if found:
                return found
        return ""
    if isinstance(expected, list) and isinstance(got, list) and len(got) == len(expected):
        pairs = enumerate(zip(got, expected, strict=True))
        found_all = (mismatch(mine, wanted, f"{path}[{i}]") for i, (mine, wanted) in pairs)
        return next((each for each in found_all if each), "")
    if got == expected:
        return ""
    return f"{path} is {pretty.shown(got)}, expected {pretty.shown(expected)}"


def _values(value: Any, options: Options) -> tuple[Any, ...]:
    from ..program.inputs import check_json

    if value is None:
        message = f"the cell of test `{options.word}` must end with its input"
        raise BadInput(message, options.line, 0)
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    for each in values:
        check_json(each)
    return values


def _run(notebook: Notebook, program: Program, test: Test, number: int, chosen: Chosen) -> None:
    label = chosen.source
    screen = CellScreen(notebook.shell)
    # An input that must fail is none that a handler cell would run by itself.
    keep = not test.expects_error
    result = jobs.run_job(notebook, program, chosen, screen, remember=keep)
    fault = _fault(notebook, test, number, result)
    if fault is None:
        if passed := _expected(test):
            screen.line((notebook.target, label, f"✓ {passed}"))
        return
    if isinstance(fault, JobFailed):
        raise fault
    screen.line((notebook.target, label, f"✗ {fault}"))
    raise JobFailed(f"{label}: {fault}", result)


def _fault(notebook: Notebook, test: Test, number: int, result: Result) -> str | JobFailed | None:
    """What is not as the test's line expects; None where it passed."""
    options = test.options
    if options is not None and options.has("expect-error"):
        return _expected_error(result, options.text("expect-error"))
    if not result.ok:
        return jobs.failure(result)
    for typed in options.all("expect") if options else ():
        found = mismatch(_answer(result), evaluate(notebook, typed.text))
        if found:
            return found
    compare = options.text("compare") if options else None
    key = f"{test.name}/{number}/{_mark(test.values[number])}"
    return _compared(notebook, compare, key, _answer(result))


def _expected(test: Test) -> str:
    """What a test that passed says: of one without an expectation the job's line is enough."""
    if test.expects_error:
        return "failed, as expected"
    options = test.options
    named = options is not None and (options.has("expect") or options.has("compare"))
    return "as expected" if named else ""


def _expected_error(result: Result, text: str | None) -> str | None:
    if result.ok:
        return "completed, but an error was expected"
    said = f"{result.error or ''} {result.problem or ''} {result.exception or ''}"
    return None if not text or text in said else f"failed without {text!r}: {said.strip()[:200]}"


def _compared(notebook: Notebook, compare: str | None, key: str, output: Any) -> str | None:
    """Call the person's `f(output, reference)`; an output that is accepted is the next reference.

    The first output is one. A run without `--compare` accepts what it got, too.
    """
    references = notebook.memory.references
    if compare is None and key not in references:
        return None
    if compare is not None:
        function = _comparison(notebook, compare)
        fault = _verdict(function, compare, output, references[key]) if key in references else ""
        if fault:
            return f"{fault}. To accept this output, run the cell once without --compare"
        if key not in references:
            print("kept as the reference")
    notebook.memory.keep(references={**references, key: output})
    return None


def _comparison(notebook: Notebook, compare: str) -> Any:
    """The function that is named, or made on the line: `rpnb.close(rtol=0.01)`."""
    try:
        function: Any = eval(compare, notebook.shell.user_ns)
    except Exception as error:
        raise BadInput(f"--compare {compare}: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise BadInput(f"--compare names `{compare}`, which is no function of an ordinary cell")
    return function


def _verdict(
    function: Callable[[Any, Any], Any], name: str, output: Any, reference: Any
) -> str | None:
    """What the function has against the output: it says False, or an assertion of its own fails."""
    try:
        accepted = function(output, reference)
    except AssertionError as error:
        return " ".join(str(error).split()) or f"an assertion of {name} failed"
    return None if accepted is None or accepted else f"{name}(output, reference) is {accepted}"


def _mark(value: Any) -> str:
    """A short name of an input: another input has another reference."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _answer(result: Result) -> Any:
    return list(result.stream) if result.output in (None, []) and result.stream else result.output
