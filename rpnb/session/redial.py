"""Opening a lost link again: one try after the other, ever more patiently."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import CannotReach, LinkLost, ProtocolError
from ..transport.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

# How long a run waits for the link, in hours that the machine was awake: a night and a
# journey. The job goes on meanwhile, and its result stays there after that.
PATIENCE = 12 * 3600.0
# Pauses between two tries: none before the first, then twice as long each time.
_FIRST, _LONGEST = 0.1, 15.0
# Of each pause: a host that lost many clients at once gets them back one by one.
_JITTER = 0.5
# Every part of a try has a limit of its own; the longest, preparing a fresh pod, 3 minutes.
_LIMIT = 240.0
# What may be over by the next try. Anything else (a changed host key, another driver) is not.
_PASSING = (CannotReach, LinkLost, ProtocolError, OSError, EOFError)


@dataclass(eq=False)
class _Try:
    """One try; `at` is when it begins."""

    at: float
    thread: threading.Thread | None = None
    # Once it has said hello the agent has dropped the line before it.
    is_committed: bool = False
    error: Exception | None = None


class Redial:
    """Opens another line by `attach`, each try on a thread of its own; `ring` is called after each.

    `attach` is given what tells it, before it says hello and before the line is
    used, whether that is still wanted.
    """

    def __init__(
        self, attach: Callable[[Callable[[], bool]], object], ring: Callable[[], None]
    ) -> None:
        self._attach, self._ring = attach, ring
        self._try: _Try | None = None
        self._tries, self._waited = 0, 0.0
        # What the last try failed with, in a few words.
        self.why = ""

    def begin(self, *, afresh: bool) -> None:
        """A line is needed; `afresh` at once, since the last one had held for a while."""
        self._try, self._waited, self.why = None, 0.0, ""
        if afresh:
            self._tries = 0

    def step(self, elapsed: float) -> Exception | None:
        """Go on trying; return the error that no further try can mend, once there is one."""
        now, self._waited = time.monotonic(), self._waited + elapsed
        current = self._try
        if current is None:
            current = self._try = _Try(now + self._pause())
        if current.thread is None:
            if now >= current.at:
                current.thread = threading.Thread(
                    target=self._work, args=[current], name="rpnb redial", daemon=True
                )
                current.thread.start()
        elif current.error is not None:
            self._try = None
            return self._verdict(current.error)
        elif now - current.at > _LIMIT:
            self._try = None
        return None

    def stop(self) -> None:
        """Drop a try that is under way: the line lives. One that has said hello goes on."""
        if self._try is not None and not self._try.is_committed:
            self._try = None

    def hurry(self) -> None:
        """Try at once: the machine slept, and what was under way is dead."""
        self._try, self._tries = None, 0

    def end(self) -> None:
        """There is a line, or none is wanted any more."""
        self._try = None

    def _pause(self) -> float:
        self._tries += 1
        if self._tries == 1:
            return 0.0
        pause = min(_FIRST * 2.0 ** min(self._tries - 2, 20), _LONGEST)
        return pause * random.uniform(1 - _JITTER, 1 + _JITTER)

    def _verdict(self, error: Exception) -> Exception | None:
        if not isinstance(error, _PASSING):
            return error
        self.why = one_line(str(error).partition(". ")[0])
        if self._waited < PATIENCE:
            return None
        lost = LinkLost(
            f"the link was lost and did not come back within {self._waited / 3600:.0f} h: {error}. "
            "The job goes on if it had begun; connect again to see its result."
        )
        lost.__cause__ = error
        return lost

    def _work(self, current: _Try) -> None:
        def is_wanted() -> bool:
            current.is_committed = current is self._try
            return current.is_committed

        try:
            self._attach(is_wanted)
        except Exception as error:  # noqa: BLE001 - whatever it is, the watcher judges it
            current.error = error
        self._ring()
