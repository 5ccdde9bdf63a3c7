"""The keeper: forks the worker, waits for it, and writes how it ended.

A few lines in a process of its own, so that the worker's end is known whoever
else was killed meanwhile. It imports nothing of the person's and starts no
thread: the fork below is as safe as a fork can be.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, NoReturn

from ..errors import NoSpace
from .directory import RunDirectory, hold, write_file
from .memory import oom_kills
from .processes import boot, started

# The kernel's own scale ends at 1000: sshd and the agent must not die first.
_OOM_SCORE = "500"
_PR_SET_CHILD_SUBREAPER = 36
# A process that hangs in a driver ignores even SIGKILL until the driver lets go.
_REST_TIMEOUT = 5.0
# How long a record waits for room on a full disk.
_ROOM_TIMEOUT = 10.0

Work = Callable[[RunDirectory, int, int], Any]


def main(directory: RunDirectory, generation: int, held: int, work: Work | None = None) -> int:
    """Run one worker to its end; return this process's exit status, 1 at once where one lives.

    `held` is the descriptor that holds the keeper's lock. Whoever started this took it, and
    the worker is born with its own: whoever is killed, a worker never seems to be gone that
    is only on its way. `work` is the worker's entry, `worker.main` where it is None.
    """
    lock = hold(directory.lock, wait=False)
    if lock is None:
        return 1
    directory.exit.unlink(missing_ok=True)
    kills, since = oom_kills(), time.time()
    origin: dict[str, Any] = {"generation": generation, "keeper": os.getpid(), "since": since}
    pid = os.fork()
    if pid == 0:
        os.close(held)
        _introduce(directory, origin)
        _be_worker(directory, generation, lock, work)
    os.close(lock)
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    _adopt_orphans()
    code, usage = _wait(pid)
    _end_rest()
    record = {
        "generation": generation,
        "code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "peak_bytes": usage.ru_maxrss * 1024,
        "pid": pid,
        "since": since,
        # Of any process here meanwhile: with signal 9 it is as good as certain.
        "oom_kills": None if kills is None else (oom_kills() or kills) - kills,
    }
    _insist(directory.exit, record)
    return 0


def _insist(path: Path, record: dict[str, Any]) -> bool:
    """Write a record, and tell whether there was room for it; a full disk is given some time."""
    deadline = time.monotonic() + _ROOM_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(NoSpace):
            write_file(path, json.dumps(record).encode())
            return True
        time.sleep(0.05)
    return False


def _introduce(directory: RunDirectory, origin: dict[str, Any]) -> None:
    """Write who the worker is: itself, for its keeper may be killed at any moment."""
    os.setsid()
    pid = os.getpid()
    own = {"worker": pid, "started": started(pid), "boot": boot()}
    if not _insist(directory.pids, {**origin, **own}):
        # Nobody could end it: rather none than one that is out of reach.
        os._exit(1)


def _be_worker(directory: RunDirectory, generation: int, lock: int, work: Work | None) -> NoReturn:
    """Become a process as `python handler.py` would be, its output in the logs."""
    null = os.open(os.devnull, os.O_RDONLY)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for source, target in (
        (null, 0),
        (os.open(directory.out, append, 0o600), 1),
        (os.open(directory.err, append, 0o600), 2),
    ):
        os.dup2(source, target)
        os.close(source)
    os.chdir(directory.app)
    # Raising one's own score needs no privilege; some containers hide the file.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    # At the end: what the person's Python has comes first (overlay.py).
    settings = directory.read_settings()
    sys.path[:] = [*settings.shadows, *sys.path, *settings.path]
    sys.exit((work or _worker())(directory, generation, lock))


def _worker() -> Work:
    from . import worker

    return worker.main


def _adopt_orphans() -> None:
    # PID 1 in a pod may reap nothing; and what the worker left behind would hold the GPU.
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _wait(pid: int) -> tuple[int, resource.struct_rusage]:
    """Reap until the worker ends, end its group, and return its status and usage."""
    while True:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        if ended is not None and ended.si_pid == pid:
            break
        if ended is not None:
            os.waitpid(ended.si_pid, 0)
    # Not reaped yet, so its number is still its own.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return _exit_code(status), usage


def _exit_code(status: int) -> int:
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _end_rest() -> None:
    """End what the worker started outside its group, and reap it."""
    deadline = time.monotonic() + _REST_TIMEOUT
    while time.monotonic() < deadline:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.005)


def _children() -> list[int]:
    mine, found = os.getpid(), []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            # The name before it may hold spaces and brackets: count from the last one.
            if int(entry.read_bytes().rpartition(b")")[2].split()[1]) == mine:
                found.append(int(entry.parent.name))
    return found
