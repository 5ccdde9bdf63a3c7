"""The client's cursor: every event once and in order, every log byte once."""

from __future__ import annotations

from ..errors import ProtocolError
from .messages import Event, Output, Trimmed


class Cursor:
    """How far a client has read: the last event's number and the bytes of both logs.

    After a dropped link the agent is told the cursor and may send a little
    twice; `take` and `take_output` let each thing through once. `gaps` where
    only the events of one request are taken.
    """

    def __init__(self, seq: int = -1, out: int = 0, err: int = 0, *, gaps: bool = False) -> None:
        self.seq, self._gaps = seq, gaps
        self.offsets = {"out": out, "err": err}

    def take(self, event: Event) -> bool:
        """Tell whether the event is new, and move past it.

        Raises:
            ProtocolError: an event between this one and the last is missing.
        """
        if self.seq >= 0 and event.seq <= self.seq:
            return False
        if self.seq >= 0 and event.seq != self.seq + 1 and not self._gaps:
            raise ProtocolError(f"expected event {self.seq + 1}, got {event.seq}")
        self.seq = event.seq
        return True

    def skip(self, trimmed: Trimmed) -> None:
        """Move past events that are no longer kept."""
        self.seq = max(self.seq, trimmed.seq)

    def take_output(self, output: Output) -> tuple[int, bytes]:
        """Return how many bytes do not come, and the bytes after them that are new."""
        if output.stream not in self.offsets:
            raise ProtocolError(f"expected the log out or err, got {output.stream!r}")
        seen = self.offsets[output.stream]
        end = output.offset + len(output.data)
        if end <= seen:
            return 0, b""
        self.offsets[output.stream] = end
        return max(0, output.offset - seen), output.data[max(0, seen - output.offset) :]
