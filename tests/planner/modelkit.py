"""A library for the random programs: heavy loads, and state that they depend on."""

from __future__ import annotations

import os
import random
from typing import Any

loads = 0
seed = 0
CONF: dict[str, int] = {"v": 0}
Q1, Q2 = 11, 22
__all__ = ["LOAD", "Q1", "Q2"]


class Heavy:
    """A model: what it is depends on how the library stood when it was loaded."""

    def __init__(self, key: Any) -> None:
        self.key, self.made = key, (seed, CONF["v"], os.environ.get("RPNB_TEST_HOME"))
        self.cfg, self.state, self.training = {"v": 0}, [], True

    def eval(self) -> Heavy:
        self.training = False
        return self

    def attach(self, part: Any) -> Heavy:
        self.state.append(part)
        return self

    def run(self, x: Any) -> tuple[Any, ...]:
        return (self.key, self.made, self.cfg["v"], len(self.state), self.training, x)


def LOAD(key: Any) -> Heavy:
    """Load a model; the tests count these."""
    global loads
    loads += 1
    return Heavy(key)


def set_seed(n: int) -> None:
    """An unprobed write."""
    global seed
    seed = n


def draw() -> int:
    """Read and move the probed generator."""
    return random.randrange(1000)
