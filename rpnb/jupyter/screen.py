"""Where an output is drawn: a cell's own output area, or the one below a form."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from ..session.logs import Lost
from ..session.pretty import size
from . import display, lines
from .printed import Printed


class Screen(Protocol):
    """What drawing needs: one leading line, further lines, log text, displays."""

    def lead(self, line: lines.Line, *, final: bool = True) -> None:
        """Put the line at the top of the output; again to replace it."""

    def progress(self, line: lines.Line, *, is_news: bool = True) -> None:
        """Show the line until the next one leads; what is no news only where that is quiet."""

    def line(self, line: lines.Line) -> None:
        """Add a line below what is there."""

    def log(self, stream: str, text: str) -> None:
        """Add text that the worker printed; `stream` is "out" or "err"."""

    def draw(self, bundle: Mapping[str, Any]) -> None:
        """Add a display, as the data of its mime types."""

    def leave_out(self, stream: str, size_bytes: int) -> None:
        """Say that so much of the log does not come."""

    def settle(self) -> Lost:
        """Show what waited for its turn; return what of the log is not shown."""

    def is_closing(self) -> bool:
        """Whether the kernel is about to end, and this output with it."""


class CellScreen:
    """The output of the cell that runs now."""

    def __init__(self, shell: Any) -> None:
        # Only a kernel's front end can replace a line: a terminal gets the last one alone.
        self._can_replace = getattr(shell, "kernel", None) is not None
        self._handle: Any = None
        self._shell = shell
        self._printed = Printed(self._write, self._flush, self._count)
        # The line that says how much of a flood waits, where it can be replaced.
        self._counter: Any = None

    def lead(self, line: lines.Line, *, final: bool = True) -> None:
        """Put the line at the top of the output; again to replace it."""
        from IPython.display import display as publish

        if not final and not self._can_replace:
            return
        text = lines.join(line, box=has_box())
        if self._handle is not None:
            self._handle.update(display.line_bundle(text), raw=True)
        elif self._can_replace:
            bundle = display.line_bundle(text)
            self._handle = publish(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            print(text)

    def progress(self, line: lines.Line, *, is_news: bool = True) -> None:
        """Show how far it is: in place of the leading line, in a terminal one below another."""
        if self._can_replace:
            self.lead(line, final=False)
        elif is_news:
            self.line(line)

    def line(self, line: lines.Line) -> None:
        """Add a line below what is there."""
        text = lines.join(line, box=has_box())
        if self._can_replace:
            self.draw(display.line_bundle(text))
        else:
            print(text)

    def log(self, stream: str, text: str) -> None:
        """Add text that the worker printed; `stream` is "out" or "err"."""
        self._printed.add(stream, text)

    def leave_out(self, stream: str, size_bytes: int) -> None:
        """Say that so much of the log does not come."""
        self._printed.leave_out(stream, size_bytes)

    def settle(self) -> Lost:
        """Show the end of a long log; return what of it is not shown."""
        if self._counter is not None:
            self._counter.update({"text/plain": ""}, raw=True)
        self._printed.settle()
        return self._printed.lost

    def _write(self, stream: str, text: str) -> None:
        (sys.stderr if stream == "err" else sys.stdout).write(text)

    def _flush(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()

    def _count(self, size_bytes: int) -> None:
        if not self._can_replace:
            return
        text = f"[… {size(size_bytes)} more; the end of it follows when the run ends …]"
        if self._counter is None:
            self._counter = self._publish({"text/plain": text}, display_id=True)
        else:
            self._counter.update({"text/plain": text}, raw=True)

    def draw(self, bundle: Mapping[str, Any]) -> None:
        """Add a display, as the data of its mime types."""
        if self._can_replace:
            self._publish(dict(bundle))
        else:
            print(bundle.get("text/plain", ""))

    def _publish(self, bundle: dict[str, Any], **options: Any) -> Any:
        from IPython.display import display as publish

        # What was printed before stands before it.
        self._flush()
        return publish(bundle, raw=True, **options)  # type: ignore[no-untyped-call]

    def is_closing(self) -> bool:
        """Whether the kernel is about to end, and this output with it."""
        return bool(getattr(self._shell, "exit_now", False))


def has_box() -> bool:
    """Whether the box character can be drawn: UTF-8, and no dumb terminal."""
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    return encoding == "utf8" and os.environ.get("TERM") != "dumb"
