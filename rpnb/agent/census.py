"""The `ps` and `stop` verbs: which workers this login has here, and ending one."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

from ..errors import AgentError
from .directory import RunDirectory, read_json, root, worker_path
from .processes import started

_STOP_TIMEOUT = 15.0
_POLL = 0.02


def workers() -> list[dict[str, Any]]:
    """Return {"worker", "alive", "relay", "since", "bytes", "generation"} of each worker.

    `bytes` is the main memory its process holds, `since` when it was started.
    """
    folder = root() / "run"
    if not folder.is_dir():
        return []
    return [_describe(RunDirectory(path)) for path in sorted(folder.iterdir()) if path.is_dir()]


def stop(worker: str) -> bool:
    """End a worker and its relay, wait for it, and tell whether there was one.

    Raises:
        AgentError: a process does not end, whatever it is told.
    """
    directory = RunDirectory(worker_path(root(), worker))
    was_alive = directory.is_alive()
    if directory.is_relay_alive():
        _signal(int(directory.relay_lock.read_bytes() or b"0"), signal.SIGTERM)
    elif was_alive:
        _end_worker(directory)
    deadline = time.monotonic() + _STOP_TIMEOUT
    while directory.is_alive():
        if time.monotonic() > deadline:
            raise AgentError(
                f"the worker {worker} does not end: a driver may hold it. Look at {directory.path}."
            )
        time.sleep(_POLL)
    return was_alive


def _end_worker(directory: RunDirectory) -> None:
    pids = read_json(directory.pids)
    # Its number may be another's by now.
    if pids is not None and started(pids["worker"]) in (None, pids.get("started")):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pids["worker"], signal.SIGKILL)


def _signal(pid: int, number: int) -> None:
    if pid > 0:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _describe(directory: RunDirectory) -> dict[str, Any]:
    pids = read_json(directory.pids) or {}
    alive = directory.is_worker_alive()
    return {
        "worker": directory.worker,
        "alive": alive,
        "relay": directory.is_relay_alive(),
        "since": pids.get("since") if alive else None,
        "bytes": _resident_bytes(pids.get("worker", 0)) if alive else 0,
        "generation": directory.read_generation(),
    }


def _resident_bytes(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
