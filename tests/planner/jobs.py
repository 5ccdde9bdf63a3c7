"""Statements of programs whose jobs memoise and load lazily, and so answer as fresh ones do."""

from __future__ import annotations

import random

from tests.planner.grammar import sections

_SLOTS = sections("jobs.slots")
PRELUDE = _SLOTS.pop("prelude")
# What jobs fill: values that depend on which jobs were served.
HIDDEN = frozenset(
    {
        *("M", "CACHE", "MODELS", "BOX", "LOG", "memo", "counts", "S", "P1", "closed", "handler"),
        *("get", "jf", "jm", "M2", "M3", "SET"),
    }
)
_OFTEN = [
    *("jf", "jf", "get", "get", "handler", "handler", "handler", "jm", "start"),
    *("settings", "predictor"),
]


def slots(rng: random.Random) -> dict[str, str]:
    """Return a statement for each slot, in the order in which they stand in a program."""
    return {slot: _pick(rng, slot) for slot in _SLOTS}


def another(rng: random.Random) -> tuple[str, str]:
    """Return a slot, and a statement for it."""
    slot = rng.choice(_OFTEN)
    return slot, _pick(rng, slot)


def _pick(rng: random.Random, slot: str) -> str:
    return rng.choice(_SLOTS[slot]).replace("$n", rng.choice("123"))
