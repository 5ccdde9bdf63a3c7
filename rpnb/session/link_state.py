"""Where a link is, and what brings it elsewhere."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a link is."""

    DOWN = "down"
    WANTED = "wanted"
    UP = "up"
    SUSPECT = "suspect"
    LOST = "lost"


# Attached: a stream was welcomed. Silent: no sign of life. Heard: one after all. Cut: the
# stream ended while a request is open. Closed: it ended while none is, or on purpose.
# Needed: a request came while there was none. Missed: it takes so long that it is told.
TRANSITIONS = {
    State.DOWN: {"attached": State.UP, "needed": State.WANTED},
    State.WANTED: {"attached": State.UP, "missed": State.LOST, "closed": State.DOWN},
    State.UP: {
        "silent": State.SUSPECT,
        # Both answered: the agent has dropped the first one for the second.
        "attached": State.UP,
        "cut": State.LOST,
        "closed": State.DOWN,
    },
    State.SUSPECT: {
        "heard": State.UP,
        "attached": State.UP,
        "cut": State.LOST,
        "closed": State.DOWN,
    },
    State.LOST: {"attached": State.UP, "closed": State.DOWN},
}
