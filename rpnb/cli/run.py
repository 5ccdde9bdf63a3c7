"""`rpnb run`: the program's handler on inputs, in one warm worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .outcome import FAILED, plainly

if TYPE_CHECKING:
    from ..session.session import Session
    from .progress import Progress
    from .source import Source


@plainly
def run(
    source: options.Source,
    *,
    input: Annotated[  # noqa: A002 - it is the option's name, --input
        list[str] | None,
        typer.Option("--input", metavar="JSON|@FILE", help="An input or a whole job; repeat it."),
    ] = None,
    target: options.Target = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line and job.")] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds a job may take.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the worker warm.")] = False,
    accept_key: options.AcceptKey = None,
    python: options.Python = None,
    gpu: options.Gpu = None,
) -> int:
    """Run the handler of a notebook or a handler file, and print what production would post.

    Without --input: the handler cell's own inputs, else the first test's, else test_input.json.
    """
    from .connection import Connection, connected
    from .progress import Progress
    from .source import Wanted, load

    progress = Progress()
    with progress.working(f"reading {source.name}"):
        loaded = load(source, Wanted(tuple(input or ())), progress)
    connection = Connection(target, accept_key, python, gpu)
    with connected(connection, loaded.path, progress=progress, keep=keep) as session:
        return _jobs(loaded, session, progress, as_json=json, timeout=timeout)


def _jobs(
    loaded: Source, session: Session, progress: Progress, *, as_json: bool, timeout: float | None
) -> int:
    from ..program.data_files import left_behind
    from ..program.skew import unread
    from .play import play, report

    code = 0
    for note in loaded.notes:
        progress.line(note)
    loaded.prepare(session)
    for job in loaded.jobs:
        with progress.working(f"job {job['id']}"):
            result = play(session, loaded.program, job, progress=progress, timeout=timeout)
        report(result, as_json=as_json, label=session.target.label, progress=progress)
        if not result.ok:
            code = FAILED
            error = result.exception
            missed = error and unread(loaded.program, error.source, error.message)
            missed = missed or left_behind(
                loaded.program.text, loaded.program.files, loaded.path.parent
            )
            if missed:
                progress.line(missed)
    return code
