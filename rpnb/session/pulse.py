"""Whether a link lives, judged by what comes and goes: no clock, no thread.

Silence is counted in ticks that really ran. A tick that comes late counts for one:
while the laptop slept, or another thread held the interpreter, nobody could hear.
"""

from __future__ import annotations

# Between two looks at the link, while a request is open.
TICK = 0.25
# Silence after which the agent is asked, and asked again. It answers within a round trip,
# whatever its worker does; 1.2 s were measured behind an upload at 20 Mbit/s.
ASK = 0.5
# A link that was silent for so long is suspect: with the last tick that is within 2 s.
SUSPECT = 1.75
# Where the alarm was false (a satellite, a machine that swaps) the next one comes later.
_LAST_SUSPECT = 8.0
# After so long without such a silence it was an outage that is over, and no slow link. Where
# it comes again all the same (a radio that roams every half minute), twice as long each time.
CALM, _LAST_CALM = 20.0, 320.0
# What a tick that came late counts for at most.
_LONGEST = 2 * TICK


class Pulse:
    """Counts how long a link has been silent."""

    def __init__(self) -> None:
        self.silence = self._calm = 0.0
        # How long a calm ends its patience; the first false alarm doubles it.
        self._limit, self._enough = SUSPECT, CALM / 2

    @property
    def is_suspect(self) -> bool:
        """Whether the link may be dead."""
        return self.silence >= self._limit

    def hear(self) -> None:
        """Take note of a sign of life: a byte came, or a large message is arriving."""
        self.silence = 0.0

    def tick(self, seconds: float) -> bool:
        """Count `seconds` of silence; tell whether the agent should be asked now."""
        before, passed = self.silence, min(seconds, _LONGEST)
        self.silence = before + passed
        self._calm = self._calm + passed if self.silence < SUSPECT else 0.0
        if self._calm >= self._enough:
            self._limit = SUSPECT
        return int(self.silence / ASK) > int(before / ASK)

    def forgive(self) -> None:
        """Take note that a suspect link lived: it gets more time before the next alarm."""
        if self._limit == SUSPECT:
            self._enough = min(2 * self._enough, _LAST_CALM)
        self._limit = min(2 * self._limit, _LAST_SUSPECT)

    def renew(self) -> None:
        """Begin anew, for another stream."""
        self.silence = self._calm = 0.0
        self._limit, self._enough = SUSPECT, CALM / 2
