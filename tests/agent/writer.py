"""Writes a worker's files as a worker does, without one."""

from __future__ import annotations

import contextlib

from rpnb.agent.directory import RunDirectory
from rpnb.agent.journal import Journal
from rpnb.agent.record import Record


class Writer:
    """The one who appends to a directory's journal and logs."""

    def __init__(self, folder):
        self.directory = RunDirectory(folder / "run" / "w")
        self.directory.create()
        self.journal = Journal(self.directory.journal)

    def print(self, text, stream="out"):
        with getattr(self.directory, stream).open("a") as log:
            log.write(text)

    def event(self, kind="chunk", request="r", body=None, buffers=()):
        out, err = (path.stat().st_size for path in (self.directory.out, self.directory.err))
        body = body or {"chunk": {"job": "j"}}.get(kind, {})
        return self.journal.append(
            kind, body, request=request, out=out, err=err, buffers=buffers
        )  # fmt: skip

    def run(self, request, text="", chunks=0):
        """Write a whole run: `text` is printed before each chunk, and at least once."""
        self.event("accepted", request)
        for number in range(max(chunks, 1)):
            self.print(text)
            if chunks:
                self.event("chunk", request, buffers=(str(number).encode(),))
        self.event("done", request)

    def opened(self):
        record = Record(self.directory)
        list(record.poll())
        return record

    @contextlib.contextmanager
    def record(self):
        with contextlib.closing(self.opened()) as record:
            yield record
