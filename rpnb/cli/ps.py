"""`rpnb ps`: the workers on a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import options
from .outcome import plainly

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@plainly
def ps(
    *,
    target: options.Target = None,
    accept_key: options.AcceptKey = None,
    python: options.Python = None,
) -> int:
    """List the workers on the target: what they hold, and since when."""
    from ..session import bootstrap
    from .connection import Connection, reached
    from .progress import Progress

    with reached(Connection(target, accept_key, python), progress=Progress()) as transport:
        workers = running(bootstrap.workers(transport, python=python))
        label = transport.target.label
    for worker in workers:
        print(line(label, worker))
    if not workers:
        print(f"{label} │ no workers")
    return 0


def running(workers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the workers that hold something: a process, or an agent that would start one.

    The others are folders with finished jobs in them.
    """
    return [each for each in workers if each.get("alive") or each.get("relay")]


def line(label: str, worker: Mapping[str, Any]) -> str:
    """Return the line of one worker, the target first."""
    state = "warm" if worker.get("alive") else "its process ended"
    parts = [label, str(worker["worker"]), state, *_age(worker.get("since"))]
    held = worker.get("bytes")
    if worker.get("alive") and isinstance(held, int) and held:
        parts.append(f"{held / 1e6:.0f} MB")
    return " │ ".join(parts)


def _age(since: Any) -> list[str]:
    import time

    if not isinstance(since, (int, float)):
        return []
    seconds = max(0.0, time.time() - since)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return [f"for {seconds / size:.0f} {unit}"]
    return [f"for {seconds:.0f} s"]
