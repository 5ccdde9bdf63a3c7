"""`rpnb test`: whole notebooks, executed headlessly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .outcome import FAILED, UNABLE, plainly

if TYPE_CHECKING:
    from .headless import Outcome
    from .progress import Progress


@plainly
def test(
    notebooks: Annotated[list[Path], typer.Argument(metavar="NOTEBOOK...")],
    *,
    target: options.Target = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML there.")
    ] = None,
) -> int:
    """Execute whole notebooks in a real kernel, as CI would; the target overrules theirs."""
    from . import headless
    from . import junit as report
    from .notebook import read
    from .progress import Progress

    progress = Progress()
    found = [read(path) for path in notebooks]
    outcomes = []
    for notebook in found:
        with progress.working(notebook.path.name):
            settings = _settings(target, notebook.path.parent)
            outcome = headless.execute(notebook, settings, progress)
        outcomes.append(outcome)
        _show(outcome, progress)
    if junit is not None:
        report.write(outcomes, junit)
    return _code(outcomes)


def _settings(target: str | None, folder: Path) -> dict[str, str]:
    """A target named here overrules every %runpod_connect; RPNB_TARGET is inherited."""
    import os

    from ..session.target import configured_target

    named = target or os.environ.get("RPNB_TARGET") or configured_target(folder)
    return {"RPNB_TARGET": named} if named else {}


def _show(outcome: Outcome, progress: Progress) -> None:
    name, failed = outcome.notebook.path.name, outcome.failed
    if failed is None:
        print(f"✓ {name} │ {len(outcome.cells)} cells │ {outcome.seconds:.1f} s")
        return
    if failed.traceback:
        progress.line(failed.traceback)
    print(f"✗ {name} │ {failed.cell.label} │ {failed.error.splitlines()[0]}")


def _code(outcomes: list[Outcome]) -> int:
    failed = [outcome for outcome in outcomes if outcome.failed]
    if any(outcome.unreached for outcome in failed):
        return UNABLE
    return FAILED if failed else 0
