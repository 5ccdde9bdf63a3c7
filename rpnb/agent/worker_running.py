"""What steps and jobs leave running: child processes, tasks on the loop, threads.

An undone step's child processes and tasks are ended. A thread of the program's own
code cannot be: only a new worker undoes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
import types
import weakref
from pathlib import Path
from typing import Any, Collection, Iterable

Task = asyncio.Task[Any]
# A task that was cancelled holds its frames by its traceback, and these hold a model.
TaskRef = weakref.ref[Task]
# Python's own helpers, which live as long as the process.
_HELPERS = ("resource_tracker", "semaphore_tracker", "forkserver")
GRACE = 1.0
_TASKS = "/proc/self/task"


class Running:
    """What runs at this moment; `app` is the folder of the program's code."""

    def __init__(self, app: str, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._threads = set(threading.enumerate())
        self._tasks = asyncio.all_tasks(loop)
        self._children = _children()

    def threads_since(self, before: Running) -> bool:
        """Tell whether a thread that runs the program's code was started since `before`."""
        started = self._threads - before._threads
        return any(_own_code(thread, self._app) for thread in started)

    def tasks_since(self, before: Running) -> frozenset[TaskRef]:
        """Return the tasks that were put on the loop since `before` and are not done."""
        return frozenset(map(weakref.ref, self._tasks - before._tasks))

    def children_since(self, before: Running) -> frozenset[int]:
        """Return the child processes started since `before`, Python's helpers apart."""
        return frozenset(p for p in self._children - before._children if not _is_helper(p))


def end(children: Iterable[int]) -> None:
    """End child processes: asked first, then killed."""
    left = {pid for pid in children if _signal(pid, signal.SIGTERM)}
    until = time.monotonic() + GRACE
    while left and time.monotonic() < until:
        left = {pid for pid in left if not _is_over(pid)}
        time.sleep(0.01)
    for pid in left:
        _signal(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


class Background:
    """Tasks and threads of the program's own code, whoever started them.

    A fresh process has none of those that jobs started. Each counts as stored by the
    function that it runs: when that, or what it calls, changes, a task is cancelled,
    and a thread takes a new worker.
    """

    def __init__(self, app: str, loop: asyncio.AbstractEventLoop) -> None:
        self._app, self._loop = app, loop

    def functions(self) -> set[str]:
        """Return the top-level functions and classes whose code is running."""
        return {name for _, name in (*self._tasks(), *self._threads())}

    def cancel(self, functions: Collection[str], tasks: Iterable[TaskRef]) -> None:
        """Cancel these tasks and those that run these functions; wait until they are done."""
        named = {task for task, name in self._tasks() if name in functions}
        referred = {task for task in (ref() for ref in tasks) if task and not task.done()}
        _cancel(named | referred, self._loop)

    def begun(self) -> int:
        """Return how many asynchronous generators have begun and not ended."""
        return len(getattr(self._loop, "_asyncgens", ()))

    def close_dropped(self, begun: int) -> None:
        """Let those of so many asynchronous generators that are gone run what they end with.

        The loop makes a task for each when it turns next: later, it would find the new values.
        """
        if self.begun() >= begun:
            return
        before = asyncio.all_tasks(self._loop)
        self._loop.run_until_complete(asyncio.sleep(0))
        closing = asyncio.all_tasks(self._loop) - before
        if closing:
            self._loop.run_until_complete(asyncio.wait(closing, timeout=GRACE))

    def thread_of(self, functions: Collection[str]) -> str | None:
        """Return one of these functions that a thread runs, if there is one."""
        return next((name for _, name in self._threads() if name in functions), None)

    def _tasks(self) -> Iterable[tuple[Task, str]]:
        for task in asyncio.all_tasks(self._loop):
            coroutine = task.get_coro()
            code = getattr(coroutine, "cr_code", None)
            if code is not None and code.co_filename.startswith(self._app):
                yield task, _top_level(getattr(coroutine, "__qualname__", code.co_name))

    def _threads(self) -> Iterable[tuple[threading.Thread, str]]:
        for thread in threading.enumerate():
            code = _own_code(thread, self._app)
            if code is not None and thread is not threading.main_thread():
                yield thread, _top_level(getattr(code, "co_qualname", code.co_name))


def _top_level(qualified: str) -> str:
    return qualified.partition(".")[0]


def _cancel(tasks: Collection[Task], loop: asyncio.AbstractEventLoop) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=GRACE))


def _children() -> frozenset[int]:
    found: set[int] = set()
    # Read around each step: with pathlib it would take as long as the rest of the step.
    for task in _tasks():
        with contextlib.suppress(OSError), open(f"{_TASKS}/{task}/children", "rb") as file:  # noqa: PTH123
            found.update(map(int, file.read().split()))
    return frozenset(found)


def _tasks() -> list[str]:
    try:
        return os.listdir(_TASKS)  # noqa: PTH208 (as above)
    except OSError:
        return []


def _is_helper(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return True
    return any(helper in command for helper in _HELPERS)


def _own_code(thread: threading.Thread, app: str) -> types.CodeType | None:
    """Return the program's code that a thread runs, None where it runs a library's."""
    target: Any = getattr(thread, "_target", None) or getattr(thread, "function", None)
    if type(thread).__module__ == "__main__":
        target = type(thread).run
    while hasattr(target, "func"):
        target = target.func
    code = getattr(getattr(target, "__func__", target), "__code__", None)
    if code is not None and code.co_filename.startswith(app):
        return code  # type: ignore[no-any-return] # a function's
    # A library's thread may have been given a function of the program: a pool's, say.
    frame, found = sys._current_frames().get(thread.ident or 0), None
    while frame is not None:
        found = frame.f_code if frame.f_code.co_filename.startswith(app) else found
        frame = frame.f_back
    return found


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
