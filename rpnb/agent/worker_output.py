"""What the program's prints go to: the logs, which may find the disk full."""

from __future__ import annotations

import io
import sys
import time
from typing import Any

from .directory import FULL

# The relay frees old log text when the disk fills; it looks each 50 ms.
_PATIENCE, _PAUSE = 1.0, 0.02


class LogOutput(io.FileIO):
    """A descriptor as `sys.stdout` writes to it; on a full disk no print fails.

    Text that finds no room is left out, and a line says how much when there is
    room again.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.name = name
        self._left_out = 0

    def write(self, data: Any) -> int:
        """Write all of it, but for what finds no room."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        if self._left_out:
            self._own_up()
        # Only the first time: a program that prints on must not crawl.
        deadline = time.monotonic() + (0.0 if self._left_out else _PATIENCE)
        while rest:
            written = self._write_some(rest)
            rest = rest[written or 0 :]
            if rest and time.monotonic() >= deadline:
                self._left_out += len(rest)
                break
            if written is None:
                time.sleep(_PAUSE)
        return size

    def _write_some(self, data: Any) -> int | None:
        """Write what finds room; None where there is none."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in FULL:
                raise
            return None

    def _own_up(self) -> None:
        text = b"\n[... %d bytes of output left out: the disk was full ...]\n" % self._left_out
        if self._write_some(text) == len(text):
            self._left_out = 0


def install() -> None:
    """Put the logs in the place of the standard streams, as `python -u` would open them."""
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        errors = "strict" if name == "stdout" else "backslashreplace"
        stream = io.TextIOWrapper(
            LogOutput(descriptor, f"<{name}>"),
            encoding="utf-8",
            errors=errors,
            line_buffering=True,
            write_through=True,
        )
        stream.mode = "w"  # type: ignore[misc] # as the interpreter does
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
