"""What a terminal shows while a command works: on stderr, so that stdout stays clean."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Progress:
    """Lines on stderr: news as they come, a spinner where stderr is a terminal."""

    def __init__(self) -> None:
        self._console: Any = None
        self._status: Any = None

    @contextlib.contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that this goes on, for as long as the block runs."""
        if not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.markup import escape

        self._console = self._console or Console(stderr=True, highlight=False)
        with self._console.status(escape(text)) as self._status:
            yield
        self._status = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Show nothing while the block runs: a spinner wipes out a question."""
        if self._status is None:
            yield
            return
        self._status.stop()
        try:
            yield
        finally:
            self._status.start()

    def now(self, text: str) -> None:
        """Change what the spinner says; nothing where there is none."""
        if self._status is not None:
            from rich.markup import escape

            self._status.update(escape(text))

    def line(self, text: str) -> None:
        """Write one line."""
        self.log(text.rstrip("\n") + "\n")

    def log(self, text: str) -> None:
        """Write text as it came, such as a worker's log."""
        if self._status is not None:
            self._status.console.out(text, end="", highlight=False)
        else:
            sys.stderr.write(text)
            sys.stderr.flush()
