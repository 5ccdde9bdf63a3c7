"""How the worker says what happens: one journal record for each event, then an announcement."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Callable, Sequence

from .directory import RunDirectory
from .journal import Journal


class Events:
    """Writes events of the request under way; safe from any thread."""

    def __init__(self, directory: RunDirectory, announce: Callable[[int], None]) -> None:
        self._journal = Journal(directory.journal)
        self._announce = announce
        # Descriptors of our own: the program may point 1 and 2 elsewhere.
        flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
        self._logs = [os.open(path, flags, 0o600) for path in (directory.out, directory.err)]
        self._flush_c = ctypes.CDLL(None).fflush
        self._pid = os.getpid()
        self.request: str | None = None

    def emit(self, kind: str, body: dict[str, Any], *buffers: bytes) -> None:
        """Write an event; whatever was printed before it counts as before it."""
        self.emit_for(self.request, kind, body, buffers)

    def emit_for(
        self, request: str | None, kind: str, body: dict[str, Any], buffers: Sequence[bytes] = ()
    ) -> None:
        """Write an event of another request, or of none."""
        self._flush()
        if os.getpid() != self._pid:
            self._in_child(kind)
            return
        out, err = (os.fstat(log).st_size for log in self._logs)
        event = self._journal.append(kind, body, request=request, out=out, err=err, buffers=buffers)
        self._announce(event.seq)

    def _in_child(self, kind: str) -> None:
        """A process that the program forked has no say in the journal."""
        if kind in ("progress", "chunk"):
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
