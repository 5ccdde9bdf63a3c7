"""Stopping what runs: the task where there is one, else a signal inside the person's frames.

A signal reaches `time.sleep` in 0.2 s, an asynchronous exception would wait it out
(facts/jupyter.md). It raises only while the interrupted frame belongs to the person's
code, called by us: never inside the event loop, the SDK or the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from types import CodeType, FrameType
from typing import Any, Iterator

SIGNAL = signal.SIGUSR2
_ROOT = __name__.split(".")[0]
# How long a running loop has to cancel its tasks before the signal is tried, and
# how often it is tried: the person's frame may be left for a moment.
_PATIENCE = 0.1
_AGAIN = 0.05
# The relay kills the worker after this; no use in trying longer.
_GRACE = 3.0


class JobCancelled(KeyboardInterrupt):
    """The job, step or scratch cell was cancelled.

    A KeyboardInterrupt, so that `except Exception` in a handler does not swallow it.
    """


class Cancellation:
    """Whether the request under way is to stop, and what can be done about it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._main = threading.main_thread().ident
        self._request: str | None = None
        self._wanted = False
        self._raised = False
        self._reached = threading.Event()
        # The request cancelled last: its Submit may still be on its way to the main thread.
        self._cancelled: str | None = None
        self._lock = threading.Lock()
        self.tasks: set[asyncio.Task[Any]] = set()
        # Code objects that call the person's code.
        self.entries: set[CodeType] = set()

    @property
    def is_wanted(self) -> bool:
        """Whether the request under way was cancelled."""
        return self._wanted

    def wait(self, seconds: float) -> bool:
        """Wait so long for a cancel, and tell whether it came; not while a step runs."""
        deadline = time.monotonic() + seconds
        while not self._wanted and time.monotonic() < deadline:
            time.sleep(_AGAIN)
        return self._wanted

    @contextlib.contextmanager
    def watching(self, request: str) -> Iterator[None]:
        """Let `cancel` of this request have its effect inside."""
        self._wanted = self._raised = False
        self._reached.clear()
        # Set each time: the program may have taken the signal for itself.
        signal.signal(SIGNAL, self._interrupt)
        self._request = request
        if self._cancelled == request:
            self._begin(request)
        try:
            yield
        finally:
            self._request = None
            self.tasks.clear()

    def cancel(self, request: str) -> None:
        """Stop the request if it is the one under way; returns at once, from any thread."""
        self._cancelled = request
        self._begin(request)

    def _begin(self, request: str) -> None:
        with self._lock:
            if request != self._request or self._wanted:
                return
            self._wanted = True
        threading.Thread(target=self._insist, args=(request,), daemon=True).start()

    def _insist(self, request: str) -> None:
        self._loop.call_soon_threadsafe(self._cancel_tasks, request)
        deadline = time.monotonic() + _GRACE
        self._reached.wait(_PATIENCE)
        while self._is_open(request) and time.monotonic() < deadline:
            if self._main is not None:
                signal.pthread_kill(self._main, SIGNAL)
            self._reached.wait(_AGAIN)

    def _is_open(self, request: str) -> bool:
        return request == self._request and not self._raised and not self._reached.is_set()

    def _cancel_tasks(self, request: str) -> None:
        """Runs on the loop, which shows that no frame of the person's blocks it."""
        if request != self._request:
            return
        self._reached.set()
        for task in self.tasks:
            task.cancel()

    def _interrupt(self, _number: int, frame: FrameType | None) -> None:
        if self._wanted and not self._raised and self._is_persons(frame):
            self._raised = True
            raise JobCancelled("cancelled")

    def _is_persons(self, frame: FrameType | None) -> bool:
        """Tell whether `frame` runs code of the person's that we called."""
        inside = False
        while frame is not None:
            if frame.f_code in self.entries:
                return inside
            if str(frame.f_globals.get("__name__")).split(".")[0] == _ROOT:
                return False
            inside, frame = True, frame.f_back
        return False
