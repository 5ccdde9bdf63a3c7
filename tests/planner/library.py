"""The state outside the namespace that random programs read and write: saved, restored, reset."""

from __future__ import annotations

import os
import random
import sys
from typing import Any

from tests.planner import modelkit
from tests.planner.warm import Probes

# Programs import it by this name.
sys.modules["modelkit"] = modelkit

_HOME = "RPNB_TEST_HOME"


def read() -> dict[str, Any]:
    """Return the probed resources."""
    return {"environ": os.environ.get(_HOME), "random": random.getstate()}


def write(name: str, value: Any) -> None:
    """Restore one probed resource."""
    if name == "random":
        random.setstate(value)
    elif value is None:
        os.environ.pop(_HOME, None)
    else:
        os.environ[_HOME] = value


def save() -> tuple[Any, ...]:
    """Return all state, the unprobed too."""
    return read(), modelkit.seed, dict(modelkit.CONF)


def load(state: tuple[Any, ...]) -> None:
    """Bring all state back."""
    for name, value in state[0].items():
        write(name, value)
    modelkit.seed = state[1]
    modelkit.CONF.clear()
    modelkit.CONF.update(state[2])


_AT_START = ({"environ": None, "random": random.Random(7).getstate()}, 0, {"v": 0})


def reset() -> None:
    """Make all state what it is in a new process."""
    load(_AT_START)


PROBES = Probes(read, write, reset)
