"""`%runpod_run`: one job from a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from . import jobs
from .connecting import attached
from .inputs import Chosen, choose_input, input_fields, typed_inputs, whole_job
from .remote_cells import run_all
from .screen import CellScreen

if TYPE_CHECKING:
    from ..program.options import Options
    from ..session.result import Result
    from .notebook import Notebook


def run(notebook: Notebook, options: Options) -> Result | None:
    """Run the handler on the line's input, else on the last one; return the result.

    Raises:
        BadInput: the input cannot be read, or there is none.
        JobFailed: the job did not complete.
    """
    if options.has("attach"):
        return _attach(notebook, options)
    attached(notebook)
    program = notebook.with_handler()
    chosen = _chosen(notebook, options, program)
    if options.has("cold"):
        return _silent(notebook, _cold(notebook, program, chosen, options.number("timeout")))
    result = run_all(notebook, program, chosen, timeout=options.number("timeout"))
    return _silent(notebook, result)


def _chosen(notebook: Notebook, options: Options, program: Any) -> list[Chosen]:
    if options.words:
        return typed_inputs(notebook, options.line, options.words[0], "as typed")
    chosen = choose_input(notebook, input_fields(notebook, program))
    if chosen is None:
        raise BadInput('there is no input yet: %runpod_run {"prompt": "a fox"}')
    return [chosen]


def _attach(notebook: Notebook, options: Options) -> Result | None:
    """Show a job that ended, or still runs, from its start."""
    from .job_list import find, names

    session, wanted = attached(notebook), options.text("attach") or ""
    past = find(session.jobs, wanted)
    if past is None:
        raise BadInput(f"the worker knows no job {wanted}; it knows {names(session.jobs)}")
    result = jobs.watch_past(notebook, past, CellScreen(notebook.shell))
    if not result.ok:
        raise jobs.failure(result)
    return _silent(notebook, result)


def _cold(notebook: Notebook, program: Any, chosen: list[Chosen], timeout: float | None) -> Result:
    """Run the inputs warm and in a fresh process, and say whether they agree.

    Raises:
        JobFailed: the last one failed; it was compared all the same.
    """
    from ..export.verify import verify

    done = []
    for each in chosen:
        screen = CellScreen(notebook.shell)
        result = jobs.run_job(notebook, program, each, screen, timeout=timeout)
        done.append((whole_job(each.value)[0], result))
    screen = CellScreen(notebook.shell)
    verified = verify(
        attached(notebook),
        program,
        done,
        on_progress=lambda text: screen.lead((notebook.target, text), final=False),
    )
    if verified.replaced:
        notebook.renewed()
    screen.lead((notebook.target, verified.summary, *verified.differences))
    if not result.ok:
        raise jobs.failure(result)
    return result


def _silent(notebook: Notebook, result: Result | None) -> Result | None:
    """The result for `r = %runpod_run fox`; None where the line stands alone and has drawn it."""
    alone = notebook.raw_cell.strip().splitlines()[-1:] or [""]
    return None if alone[0].lstrip().startswith("%runpod_run") else result
