"""Which executed steps the steps of a new program stand for."""

from __future__ import annotations

from typing import Mapping, Sequence

from .methods import edited
from .steps import Executed, Step


def match(executed: Sequence[Executed], new: Sequence[Step]) -> dict[int, int]:
    """Return new position -> old position of an equal step that ran well; in order."""
    pool: dict[str, list[int]] = {}
    for i in reversed(range(len(executed))):
        if executed[i].ok and not executed[i].step.facts.is_start:
            pool.setdefault(executed[i].step.identity, []).append(i)
    found = {}
    for j, step in enumerate(new):
        if pool.get(step.identity):
            found[j] = pool[step.identity].pop()
    return found


def edited_classes(
    executed: Sequence[Executed], new: Sequence[Step], matched: Mapping[int, int]
) -> dict[int, tuple[int, frozenset[str]]]:
    """Return new position -> old one of a class, and its methods whose bodies are others.

    All else of the class is the same; `matched` are the steps that are the same altogether.
    """
    gone = {}
    for i in set(range(len(executed))) - set(matched.values()):
        plain = executed[i].step.facts.plain
        if plain is not None and executed[i].ok:
            gone[plain.outside, _place(executed[i].step)] = i, plain
    found = {}
    for j, step in enumerate(new):
        now = step.facts.plain if j not in matched else None
        before = gone.pop((now.outside, _place(step)), None) if now is not None else None
        if now is not None and before is not None:
            found[j] = before[0], edited(before[1], now)
    return found


def _place(step: Step) -> str:
    """What of a step's identity is not its tokens: lazy annotations, modules that it imports."""
    return step.identity.partition(" ")[2]
