"""When a worker that nobody uses is ended, and its agent with it."""

from __future__ import annotations

import time

from .directory import RunDirectory

# `RPNB_IDLE`, in seconds: so long a worker waits for somebody to come back.
SECONDS = 7200.0
# A notebook that is left open keeps it six times as long: a working day, and no weekend.
_ATTACHED = 6


class Idle:
    """Counts from the last use: a request that ended, a client that came or left.

    `seconds` is how long the worker stays once nobody is connected.
    """

    def __init__(self, directory: RunDirectory, seconds: float) -> None:
        self._directory, self.seconds = directory, seconds
        self._used_at = time.monotonic()
        self._clients = 0

    def use(self) -> None:
        """Take note of a use."""
        self._used_at = time.monotonic()

    def count(self, clients: int) -> None:
        """Take note of how many clients there are now."""
        if clients != self._clients:
            self._clients = clients
            self.use()

    def left(self) -> float | None:
        """Return the seconds until the end; None for a worker that is kept (`--keep`)."""
        if self._directory.keep.exists():
            return None
        seconds = self.seconds * (_ATTACHED if self._clients else 1)
        return max(0.0, self._used_at + seconds - time.monotonic())
