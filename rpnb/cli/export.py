"""`rpnb export`: the notebook's handler.py, written, checked or proved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import BadInput
from . import options
from .outcome import FAILED, plainly

if TYPE_CHECKING:
    from ..session.session import Session
    from .connection import Connection
    from .progress import Progress
    from .source import Source


@plainly
def export(
    notebook: Annotated[Path, typer.Argument(metavar="NOTEBOOK")],
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Else handler.py beside the notebook."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 with a diff if it differs.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the outputs with a fresh process's.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a file edited by hand.")
    ] = False,
    target: options.Target = None,
    accept_key: options.AcceptKey = None,
    python: options.Python = None,
    gpu: options.Gpu = None,
) -> int:
    """Write the handler.py that a notebook makes, its modules and data files beside it."""
    from .connection import Connection
    from .progress import Progress
    from .source import Wanted, load

    if check and (verify or force):
        raise BadInput("--check writes nothing: leave out --verify and --force")
    progress = Progress()
    with progress.working(f"reading {notebook.name}"):
        loaded = load(notebook, Wanted(every=verify, none=not verify), progress)
    place = output or notebook.parent / "handler.py"
    if check:
        return _check(loaded, place)
    code = _write(loaded, place, progress, force=force)
    if not verify:
        return code
    return _verify(loaded, Connection(target, accept_key, python, gpu), progress)


def _check(loaded: Source, place: Path) -> int:
    from ..export.check import check

    found = check(loaded.program, place)
    print(found, end="")
    return FAILED if found else 0


def _write(loaded: Source, place: Path, progress: Progress, *, force: bool) -> int:
    from ..export.write import write

    written = write(loaded.program, place, force=force)
    for note in loaded.notes:
        progress.line(note)
    print(written.summary)
    return 0


def _verify(loaded: Source, connection: Connection, progress: Progress) -> int:
    from .connection import connected

    with connected(connection, loaded.path, progress=progress) as session:
        loaded.prepare(session)
        return _prove(loaded, session, progress)


def _prove(loaded: Source, session: Session, progress: Progress) -> int:
    from ..export.verify import verify
    from .play import play

    with progress.working("running the jobs"):
        recorded = [
            (job, play(session, loaded.program, job, progress=progress)) for job in loaded.jobs
        ]
        proof = verify(session, loaded.program, recorded, on_progress=progress.now)
    print(proof.summary)
    for difference in proof.differences:
        print(f"  {difference}")
    return 0 if proof.proved else FAILED
