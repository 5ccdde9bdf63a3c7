"""The `ps` and `stop` verbs: which workers this login has here, and ending one.

What a worker is at only its agent knows: it is asked as any client would ask.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from ..errors import AgentError, ProtocolError
from ..protocol.connection import CLIENT, Connection
from ..protocol.messages import Hello, Welcome, encode
from . import gpu
from .channel import peer
from .directory import RunDirectory, read_json, root, worker_path
from .journal import path_of, segments
from .processes import started

_STOP_TIMEOUT = 15.0
_POLL = 0.02
# A healthy agent answers in milliseconds; one that was stopped by a signal never does.
_ANSWER = 2.0


def census() -> dict[str, Any]:
    """Return {"workers", "gpus"}: the workers of this login, and readings of the GPUs.

    A worker is {"worker", "alive", "relay", "since", "bytes", "gpu_bytes", "generation",
    "idle", "jobs"}: `bytes` is the main memory its process holds, `since` when it was
    started, `idle` the seconds since it last said something, `jobs` what its agent tells
    of recent ones (as `Welcome.requests`). `gpu_bytes` is 0 where the driver tells
    nothing of processes, as in many containers.
    """
    folder, held = root() / "run", gpu.by_process()
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    workers = [_describe(RunDirectory(path), held) for path in found if path.is_dir()]
    return {"workers": workers, "gpus": gpu.readings()}


def stop(worker: str) -> bool:
    """End a worker and its relay, wait for it, and tell whether there was one.

    Raises:
        AgentError: a process does not end, whatever it is told.
    """
    directory = RunDirectory(worker_path(root(), worker))
    was_alive = directory.is_alive()
    if was_alive and not directory.is_relay_alive():
        _end_worker(directory)
    is_told, deadline = False, time.monotonic() + _STOP_TIMEOUT
    while directory.is_alive():
        is_told = is_told or _end_relay(directory)
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


def _end_relay(directory: RunDirectory) -> bool:
    """Ask the relay that listens here to end; tell whether there was one.

    The kernel says who listens. The number in the lock's file may be another's here: two
    pods with one volume see each other's locks.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_ANSWER)
        try:
            probe.connect(os.fspath(directory.socket))
        except OSError:
            return False
        pid, _ = peer(probe)
    if pid > 0:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    return pid > 0


def _describe(directory: RunDirectory, held: dict[int, int]) -> dict[str, Any]:
    pids = read_json(directory.pids) or {}
    alive = directory.is_worker_alive()
    welcome = _ask(directory) if directory.is_relay_alive() else None
    return {
        "worker": directory.worker,
        "alive": alive,
        "relay": directory.is_relay_alive(),
        "since": pids.get("since") if alive else None,
        "bytes": _resident_bytes(pids.get("worker", 0)) if alive else 0,
        "gpu_bytes": _gpu_bytes(pids.get("worker", 0), held) if alive else 0,
        "generation": directory.read_generation(),
        "idle": _idle_seconds(directory),
        "jobs": [each for each in welcome.requests if each["job"]] if welcome else [],
    }


def _ask(directory: RunDirectory) -> Welcome | None:
    """Return what the agent says to a client that only looks; None where it says nothing."""
    connection, client = Connection(CLIENT), socket.socket(socket.AF_UNIX)
    with client, contextlib.suppress(OSError, ProtocolError):
        client.settimeout(_ANSWER)
        client.connect(os.fspath(directory.socket))
        client.sendall(encode(Hello("ps", "watch")))
        while data := client.recv(1 << 16):
            for message in connection.receive_data(data):
                return message if isinstance(message, Welcome) else None
    return None


def _idle_seconds(directory: RunDirectory) -> float | None:
    times = []
    last = [path_of(directory.journal, first) for first in segments(directory.journal)[-1:]]
    for file in (*last, directory.out, directory.err):
        with contextlib.suppress(OSError):
            times.append(file.stat().st_mtime)
    return max(time.time() - max(times), 0.0) if times else None


def _gpu_bytes(worker: int, held: dict[int, int]) -> int:
    """Return what the worker and the processes it started hold of the GPUs."""
    total = 0
    for pid, size in held.items():
        with contextlib.suppress(OSError):
            total += size if os.getpgid(pid) == worker else 0
    return total


def _resident_bytes(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
