"""Where an output is drawn: a cell's own output area, or the one below a form."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from . import display, lines


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

    def is_closing(self) -> bool:
        """Whether the kernel is about to end, and this output with it."""


class CellScreen:
    """The output of the cell that runs now."""

    def __init__(self, shell: Any) -> None:
        # Only a kernel's front end can replace a line: a terminal gets the last one alone.
        self._can_replace = getattr(shell, "kernel", None) is not None
        self._handle: Any = None
        self._shell = shell

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
        place = sys.stderr if stream == "err" else sys.stdout
        place.write(text)
        place.flush()

    def draw(self, bundle: Mapping[str, Any]) -> None:
        """Add a display, as the data of its mime types."""
        from IPython.display import display as publish

        if self._can_replace:
            sys.stdout.flush()
            sys.stderr.flush()
            publish(dict(bundle), raw=True)  # type: ignore[no-untyped-call]
        else:
            print(bundle.get("text/plain", ""))

    def is_closing(self) -> bool:
        """Whether the kernel is about to end, and this output with it."""
        return bool(getattr(self._shell, "exit_now", False))


def has_box() -> bool:
    """Whether the box character can be drawn: UTF-8, and no dumb terminal."""
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    return encoding == "utf8" and os.environ.get("TERM") != "dumb"
