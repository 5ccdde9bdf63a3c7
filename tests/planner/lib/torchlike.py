"""A stand-in for torch: `Net` counts as `torch.nn.Module`, which the known-pure calls ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import modelkit


class Module:
    """What the planner takes for a torch module."""

    __module__ = "torch.nn.modules.module"


class Net(Module):
    """A model that a call changes only while it trains, as batch normalisation is."""

    def __init__(self, *, training: bool = True) -> None:
        modelkit.LOADS.append("net")
        self.heard: Any = None
        self.weight, self.calls, self.training = 1, 0, training
        self.hooks: list[Any] = []

    def modules(self) -> Iterator[Any]:
        yield self

    def eval(self) -> Net:
        self.training = False
        return self

    def train(self) -> Net:
        self.training = True
        return self

    def __call__(self, x: Any, callback: Any = None) -> tuple[Any, ...]:
        if callback:
            callback(x)
        if x == "keep":
            # As a voice detector does, in eval state, too.
            self.heard = x
        self.calls += self.training
        return (self.weight, self.calls, str(x)[:8])

    def generate(self, x: Any) -> tuple[Any, ...]:
        return self(x)
