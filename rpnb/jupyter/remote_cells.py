"""What set-up, handler and scratch cells do: send, draw what comes back, raise what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import form, jobs, lines, values
from .connecting import attached
from .inputs import Chosen, choose_input, given_inputs, input_fields
from .notebook import is_headless
from .running import Outcome
from .screen import CellScreen

if TYPE_CHECKING:
    from ..program.cells import Cell
    from ..program.fields import Field
    from ..program.options import Options
    from ..program.steps import Program
    from ..session.result import Result
    from .notebook import Notebook
    from .screen import Screen

# A value that is bound here is shown on the line up to this length, else its type.
_LONGEST = 80


def setup(notebook: Notebook, options: Options, body: str) -> None:
    """Run a set-up cell on the target, once; say what it made, or that nothing changed.

    Raises:
        ProgramError: the cells do not make a program.
        RemoteError: a step raised.
    """
    from ..program.ipython_syntax import translate

    session, screen = attached(notebook), CellScreen(notebook.shell)
    cell, program = notebook.put(notebook.cell("setup", options, body))
    what = f"setup {cell.name}".strip()
    screen.lead((notebook.target, what, "running"), final=False)
    jobs.tell(notebook, program.notes, screen)
    again = cell.id if options.has("again") else None
    show = None if translate(cell.source).ends_with_command else cell.id
    run = session.submit(program, show=show, again=again)
    outcome = jobs.followed(notebook, run, screen)
    if outcome.failed is not None or outcome.synced is None:
        raise jobs.unfinished(notebook, outcome, screen, what)
    screen.lead(_setup_line(outcome, cell, what))


def handler(notebook: Notebook, options: Options, body: str) -> None:
    """Define the handler on the target, and run it on an input; raise where a job failed.

    Raises:
        ProgramError: the cells do not make a program, or none with a handler.
        JobFailed: a job did not complete.
        RemoteError: a step raised.
    """
    attached(notebook)
    # First of all: an input that cannot be read sends nothing.
    inputs = given_inputs(notebook, options)
    _, program = notebook.put(notebook.cell("handler", options, body))
    fields = input_fields(notebook, program)
    if not inputs and (chosen := choose_input(notebook, fields)):
        inputs = [chosen]
    try:
        if options.has("no-run") or not inputs:
            _define(notebook, program, fields, asked=options.has("no-run"))
        else:
            run_all(notebook, program, inputs)
    finally:
        if not options.has("no-form") and not is_headless():
            form.show_form(notebook, _prefilled(fields, inputs))


def run_all(
    notebook: Notebook,
    program: Program,
    inputs: list[Chosen],
    *,
    timeout: float | None = None,
) -> Result | None:
    """Run the inputs in order, each drawn; return the last one's result.

    Raises:
        JobFailed: a job did not complete; those after it are not run.
    """
    result = None
    for number, each in enumerate(inputs):
        screen = CellScreen(notebook.shell)
        notes = program.notes if number == 0 else ()
        result = jobs.run_job(notebook, program, each, screen, timeout=timeout, notes=notes)
        _advise(program, result, screen)
        if not result.ok:
            raise jobs.failure(result)
    return result


def scratch(notebook: Notebook, options: Options, body: str) -> None:
    """Run a scratch cell beside the program; bind its value here with `--to NAME`.

    Raises:
        ProgramError: it is no Python, or uses something that cannot travel.
        RemoteError: it raised, or its value does not cross as data.
    """
    from ..program.scratch import scratch as build

    session, screen = attached(notebook), CellScreen(notebook.shell)
    to = options.text("to")
    program = notebook.build() if len(notebook.cells) else None
    cell = notebook.cell("remote", options, body)
    made = build(cell, notebook.names(), program, to=to, earlier=notebook.scratch_names)
    screen.lead((notebook.target, "scratch", "running"), final=False)
    jobs.tell(notebook, made.notes, screen)
    run = session.submit(program, scratch=made.work, blobs=made.blobs)
    outcome = jobs.followed(notebook, run, screen)
    if outcome.failed is not None:
        raise jobs.unfinished(notebook, outcome, screen, "scratch")
    notebook.scratch_names |= made.binds
    for shown in outcome.values:
        _bind(notebook, to or "", shown, screen)
    if not outcome.values:
        screen.lead((notebook.target, "scratch", f"ran {outcome.seconds:.1f} s"))


def _bind(notebook: Notebook, name: str, shown: Any, screen: Screen) -> None:
    raw = next(iter(shown.mimes.values()), b"")
    value = values.decode(shown.encoding or {}, raw)
    notebook.shell.user_ns[name] = value
    text = repr(value)
    short = text if len(text) <= _LONGEST and "\n" not in text else type(value).__name__
    screen.lead((notebook.target, "scratch", f"{short} → {name}"))


def _setup_line(outcome: Outcome, cell: Cell, what: str) -> lines.Line:
    fared = outcome.cell(cell.id)
    names = set(fared.get("names") or ())
    own = [each for each in outcome.kept if each["name"] in names]
    if fared.get("state") == "kept":
        return lines.unchanged(outcome.target, what, own)
    seconds = float(fared.get("seconds") or 0.0)
    memory = lines.vram(outcome.synced.gpus) if outcome.synced else ""
    stayed = [each for each in own if each in outcome.stayed]
    made = [each for each in own if each not in stayed]
    return lines.setup(
        outcome.target, what, seconds, made, memory, stayed=stayed, steps=outcome.reran
    )


def _define(notebook: Notebook, program: Program, fields: list[Field], *, asked: bool) -> None:
    """Bring the program to the target without a job; say why none runs."""
    from ..program.fields import missing

    screen = CellScreen(notebook.shell)
    screen.lead((notebook.target, "handler", "running"), final=False)
    jobs.tell(notebook, program.notes, screen)
    run = attached(notebook).submit(program)
    outcome = jobs.followed(notebook, run, screen)
    if outcome.failed is not None:
        raise jobs.unfinished(notebook, outcome, screen, "handler")
    if asked:
        screen.lead((notebook.target, "handler", "defined", lines.keeping(outcome.stayed)))
        return
    defaults = {each.name: each.default for each in fields}
    absent = missing(fields, defaults)
    screen.lead(lines.not_run(notebook.target, absent[0] if absent else None))


def _prefilled(fields: list[Field], inputs: list[Chosen]) -> list[Field]:
    from ..program.fields import with_values
    from ..program.inputs import as_job

    return with_values(fields, as_job(inputs[-1].value).job["input"]) if inputs else fields


def _advise(program: Program, result: Any, screen: Screen) -> None:
    """A generator's callers get nothing unless the worker aggregates its stream."""
    if result.ok and result.stream and "return_aggregate_stream" not in program.text:
        count = len(result.stream) + result.left_out.get("stream", 0)
        screen.line(
            (
                f"streamed {count} chunks; callers of /run and /runsync get []. "
                'Add "return_aggregate_stream": True to start()',
            )
        )
