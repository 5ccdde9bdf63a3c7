"""`rpnb stop`: end workers and free what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import BadInput
from . import options
from .outcome import plainly

if TYPE_CHECKING:
    from collections.abc import Sequence


@plainly
def stop(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A worker of `rpnb ps`, or a notebook; else all."),
    ] = None,
    *,
    target: options.Target = None,
    accept_key: options.AcceptKey = None,
    python: options.Python = None,
) -> int:
    """End one worker, or every worker of this login on the target; a pod goes on running."""
    from ..session import bootstrap
    from .connection import Connection, reached
    from .progress import Progress
    from .ps import running

    with reached(Connection(target, accept_key, python), progress=Progress()) as transport:
        label = transport.target.label
        found = running(bootstrap.census(transport, python=python)["workers"])
        known = [str(each["worker"]) for each in found]
        for worker in chosen(name, known, label):
            bootstrap.stop(transport, worker, python=python)
            print(f"{label} │ {worker} │ stopped")
    if not known:
        print(f"{label} │ no workers")
    return 0


def chosen(name: str | None, known: Sequence[str], label: str) -> Sequence[str]:
    """Return the workers that `name` means: a worker, a notebook's own and `#cli`, or all.

    Raises:
        BadInput: there is no such worker; lists those there are.
    """
    if name is None:
        return known
    wanted = _names(name)
    found = [worker for worker in known if worker.partition("#")[0] in wanted or worker in wanted]
    if not found:
        there = f"There are: {', '.join(known)}" if known else "There are none"
        raise BadInput(f"{label} has no worker {name}. {there}")
    return found


def _names(name: str) -> set[Any]:
    from pathlib import Path

    from ..session.names import worker_name

    return {name, worker_name(name)} if Path(name).is_file() else {name}
