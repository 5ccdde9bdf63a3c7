"""What steps leave running: threads of the program's own code, and child processes.

An undone step's child processes are ended. A thread cannot be: the step counts
as having written library state, which only a new worker undoes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterable

# Python's own helpers, which live as long as the process.
_HELPERS = ("resource_tracker", "semaphore_tracker", "forkserver")
_GRACE = 1.0


class Running:
    """What ran when a step began; `app` is the folder of the program's code."""

    def __init__(self, app: str) -> None:
        self._app = app
        self._threads = set(threading.enumerate())
        self._children = _children()

    def new_threads(self) -> bool:
        """Tell whether a thread that runs the program's code was started and still lives."""
        started = set(threading.enumerate()) - self._threads
        return any(_is_own(thread, self._app) for thread in started)

    def new_children(self) -> frozenset[int]:
        """Return the child processes that were started and still live, Python's helpers apart."""
        return frozenset(p for p in _children() - self._children if not _is_helper(p))


def end(children: Iterable[int]) -> None:
    """End child processes: asked first, then killed."""
    left = {pid for pid in children if _signal(pid, signal.SIGTERM)}
    until = time.monotonic() + _GRACE
    while left and time.monotonic() < until:
        left = {pid for pid in left if not _is_over(pid)}
        time.sleep(0.01)
    for pid in left:
        _signal(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _children() -> frozenset[int]:
    found: set[int] = set()
    for task in _tasks():
        with contextlib.suppress(OSError):
            found.update(map(int, (task / "children").read_text().split()))
    return frozenset(found)


def _tasks() -> list[Path]:
    try:
        return list(Path("/proc/self/task").iterdir())
    except OSError:
        return []


def _is_helper(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return True
    return any(helper in command for helper in _HELPERS)


def _is_own(thread: threading.Thread, app: str) -> bool:
    """Tell whether a thread runs code of the program, not of a library."""
    if type(thread).__module__ == "__main__":
        return True
    target: Any = getattr(thread, "_target", None) or getattr(thread, "function", None)
    while hasattr(target, "func"):
        target = target.func
    function: Callable[..., Any] | None = getattr(target, "__func__", target)
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename.startswith(app)


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


def _is_over(pid: int) -> bool:
    """Tell whether a child has ended, without taking its exit status from a `Popen`."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    return True
