"""`rpnb ps`: the workers on a target."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..session.pretty import size, span
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
        found = bootstrap.census(transport, python=python)
        label = transport.target.label
    for reading in found.get("gpus") or ():
        print(" │ ".join((label, *gpu(reading))))
    workers = running(found["workers"])
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


def gpu(reading: Mapping[str, Any]) -> tuple[str, str]:
    """Return a GPU's name and how much of its memory is in use."""
    used, total = reading["used_bytes"] / 1e9, reading["total_bytes"] / 1e9
    return str(reading["name"]), f"VRAM {used:.1f} / {total:.0f} GB"


def line(label: str, worker: Mapping[str, Any]) -> str:
    """Return the line of one worker, the target first."""
    since, now = worker.get("since"), time.time()
    is_warm = bool(worker.get("alive"))
    state = "warm" if is_warm else "its process ended"
    age = f"{state} for {span(now - since)}" if isinstance(since, (int, float)) else state
    parts = [label, str(worker["worker"]), age, _held(worker), *_work(worker, now)]
    return " │ ".join(part for part in parts if part)


def _held(worker: Mapping[str, Any]) -> str:
    gpu_bytes, main_bytes = worker.get("gpu_bytes") or 0, worker.get("bytes") or 0
    parts = [f"{size(gpu_bytes)} VRAM"] if gpu_bytes else []
    return " · ".join([*parts, *([size(main_bytes)] if main_bytes else [])])


def _work(worker: Mapping[str, Any], now: float) -> list[str]:
    """What it is at, or how long it has been idle, and its last job."""
    jobs = worker.get("jobs") or []
    for job in reversed(jobs):
        if job["status"] == "IN_PROGRESS":
            return [f"job {job['request'][:4]} runs for {span(now - job['at'])}"]
    idle = worker.get("idle")
    said = [f"idle {span(idle)}"] if isinstance(idle, (int, float)) else []
    if jobs:
        last = jobs[-1]
        said.append(f"last job {last['request'][:4]} {last['status']}")
    return [" · ".join(said)]
