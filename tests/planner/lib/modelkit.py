"""A library for the random programs: heavy loads, and state that they depend on."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

LOADS: list[Any] = []
seed = 0
CONF: dict[str, int] = {"v": 0}
REGISTRY: dict[str, Any] = {}
Q1, Q2 = 11, 22
STATE = ("seed", "CONF", "REGISTRY")
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

    def warm(self, x: Any) -> None:
        """Changes nothing, which no text shows."""

    def score(self, x: Any) -> int:
        return len(self.state) + self.cfg["v"]


def LOAD(key: Any) -> Heavy:
    """Load a model; the tests count these."""
    LOADS.append(key)
    return Heavy(key)


def set_seed(n: int) -> None:
    """An unprobed write."""
    global seed
    seed = n


def register(name: str, value: Any) -> None:
    """Another unprobed write."""
    REGISTRY[name] = value


def registered() -> list[str]:
    return sorted(REGISTRY)


@contextlib.contextmanager
def mode(n: int) -> Iterator[None]:
    before, CONF["v"] = CONF["v"], n
    try:
        yield
    finally:
        CONF["v"] = before


def draw() -> int:
    """Read and move the probed generator."""
    return random.randrange(1000)


def table(n: int) -> tuple[int, ...]:
    """Cannot be changed, and depends on nothing."""
    LOADS.append(("table", n))
    return (n, n + 1)


def measure(value: Any) -> str:
    """Change nothing and keep nothing."""
    return type(value).__name__


def summary(value: Any, other: Any) -> list[str]:
    return [type(value).__name__, str(other)[:3]]


def warm(model: Any) -> None:
    """Change nothing."""


_Calls = Callable[..., Any]
