"""How the worker says what happens: one journal record for each event, then an announcement."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import Any, Callable, Sequence

from ..errors import NoSpace
from ..protocol.messages import Announce, Event, Message, Notice
from .directory import RunDirectory
from .journal import Journal
from .keeping import Allowance
from .worker_cancel import JobCancelled

# What may come without end, and so may fill what a worker may keep.
_STREAMED = ("progress", "chunk")
# The relay makes room within 50 ms where there is log text to give way: that is no news.
_PAUSE, _SILENCE = 0.05, 0.5
_DEFAULT = Allowance()


class Events:
    """Writes events of the request under way; safe from any thread.

    Where there is no room the writer waits: `tell` says so to the relay, and
    `is_cancelled` says whether what it waits for is still wanted.
    """

    def __init__(
        self,
        directory: RunDirectory,
        tell: Callable[[Message], None],
        allowance: Allowance = _DEFAULT,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._directory, self._tell = directory, tell
        self._allowance, self._is_cancelled = allowance, is_cancelled
        self._journal = Journal(directory.journal)
        # Descriptors of our own: the program may point 1 and 2 elsewhere.
        flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
        self._logs = [os.open(path, flags, 0o600) for path in (directory.out, directory.err)]
        self._flush_c = ctypes.CDLL(None).fflush
        self._pid = os.getpid()
        self.request: str | None = None

    def emit(self, kind: str, body: dict[str, Any], *buffers: bytes) -> None:
        """Write an event; whatever was printed before it counts as before it.

        Raises:
            JobCancelled: there was no room for a chunk, and the job was cancelled.
        """
        self.emit_for(self.request, kind, body, buffers)

    def emit_for(
        self, request: str | None, kind: str, body: dict[str, Any], buffers: Sequence[bytes] = ()
    ) -> None:
        """Write an event of another request, or of none."""
        self._flush()
        if os.getpid() != self._pid:
            self._in_child(kind)
            return
        silent_until = time.monotonic() + _SILENCE
        while True:
            found = self._try(request, kind, body, buffers)
            if isinstance(found, Event):
                self._tell(Announce(found.seq))
                return
            if kind in _STREAMED and self._is_cancelled():
                raise JobCancelled("cancelled while it waited for room")
            if time.monotonic() > silent_until:
                self._tell(Notice(request or "", f"{found} The job waits until there is room."))
            time.sleep(_PAUSE)

    def _try(
        self, request: str | None, kind: str, body: dict[str, Any], buffers: Sequence[bytes]
    ) -> Event | NoSpace:
        """Write an event and return it, or why there is no room for it."""
        out, err = (os.fstat(log).st_size for log in self._logs)
        try:
            if kind in _STREAMED and self._journal.begins_segment:
                self._allowance.check(self._directory)
            return self._journal.append(
                kind, body, request=request, out=out, err=err, buffers=buffers
            )
        except NoSpace as full:
            return full

    def _in_child(self, kind: str) -> None:
        """A process that the program forked has no say in the journal."""
        if kind in _STREAMED:
            return
        # A handler that forked and returned twice: this is the second time, and from
        # here on there would be two workers.
        os._exit(0)

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            # The program may have put anything in their place, or closed it.
            try:
                stream.flush()
            except Exception:  # noqa: BLE001, PERF203 - a broken stream must not lose an event
                continue
        self._flush_c(None)
