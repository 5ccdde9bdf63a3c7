"""A connection's states: which message may be received when.

The table is the machine: a message that its row does not name is an error
that names the message and the state.
"""

from __future__ import annotations

from enum import Enum
from typing import Iterator

from ..errors import ProtocolError
from .frames import MAX_HEAD, MAX_VALUES, FrameReader
from .messages import Message, decode


class State(Enum):
    """Where a connection is in its life."""

    GREETING = "greeting"
    ATTACHED = "attached"
    CLOSED = "closed"


# What may be *received*, by state, and the state that follows.
CLIENT = {
    State.GREETING: {"Welcome": State.ATTACHED, "Refused": State.CLOSED},
    State.ATTACHED: dict.fromkeys(
        ("Refused", "Ping", "Pong", "Need", "Output", "Event", "Trimmed", "Notice"), State.ATTACHED
    ),
    State.CLOSED: {},
}
AGENT = {
    State.GREETING: {"Hello": State.ATTACHED},
    State.ATTACHED: dict.fromkeys(
        ("Submit", "Blob", "Cancel", "Ping", "Pong", "Replay", "SetEnv", "Restart", "Stop"),
        State.ATTACHED,
    ),
    State.CLOSED: {},
}


class Connection:
    """One side of a connection; `table` is CLIENT or AGENT."""

    def __init__(self, table: dict[State, dict[str, State]]) -> None:
        self._table = table
        # What an agent says is bounded; jobs, which it is told, are a person's own JSON.
        self._reader = FrameReader(MAX_VALUES if table is CLIENT else MAX_HEAD)
        self.state = State.GREETING

    @property
    def frame_bytes(self) -> int:
        """The size of the frame of the message that was yielded last."""
        return self._reader.frame_bytes

    def receive_data(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that are complete now.

        Raises:
            ProtocolError: no frame, no message, or not one for this state.
        """
        for frame in self._reader.receive_data(data):
            message = decode(frame)
            name = type(message).__name__
            if name not in self._table[self.state]:
                raise ProtocolError(f"expected no {name} while {self.state.value}")
            self.state = self._table[self.state][name]
            yield message
