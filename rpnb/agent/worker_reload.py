"""A reload that takes long, announced before anything is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Collection, Sequence

from ..planner.plan import Plan, Reason, Step

if TYPE_CHECKING:
    from .worker_steps import Ran
    from .worker_sync import Sync

# A reload that takes less is over before anyone has decided about it.
LONG_SECONDS = 3.0
# How long a person has to say no.
NOTICE_SECONDS = 2.0
# What its own text does not ask for can be overruled by a comment.
_OWN_DOING = ("changed", "new", "failed", "always")


def reload_of(
    todo: Plan, sync: Sync, ran: Sequence[Ran], spoiled: Collection[str]
) -> dict[str, Any] | None:
    """Return {"names", "seconds", "reason", "line", "remedies"} of a long reload, else None.

    Known is what the same steps took before. `line` is the changed step's own, None
    where something else is the cause; then `remedies` says that comments can overrule it.
    """
    if sync.again is not None or sync.ran_steps:
        return None
    lost = _lost(todo, ran, spoiled)
    pairs = [
        (old, step, reason)
        for step, reason in _coming(todo, sync.new)
        for old in lost
        if old.executed.step.identity == step.identity or set(old.executed.binds) & set(step.names)
    ]
    seconds = sum({old.serial: old.executed.seconds for old, _, _ in pairs}.values())
    if seconds <= LONG_SECONDS:
        return None
    _, step, reason = max(pairs, key=lambda pair: pair[0].executed.seconds)
    own = reason.kind == "changed" and todo.restart is None
    return {
        "names": list(step.names),
        "seconds": seconds,
        "reason": reason.text(),
        "line": step.line if own else None,
        "remedies": todo.restart is None and reason.kind not in _OWN_DOING,
    }


def _lost(todo: Plan, ran: Sequence[Ran], spoiled: Collection[str]) -> list[Ran]:
    """The executed steps whose work does not stay."""
    kept = {old for _, old in todo.keep} if todo.restart is None else set()
    return [
        each
        for index, each in enumerate(ran)
        if index not in kept and (each.executed.ok or set(each.executed.binds) & set(spoiled))
    ]


def _coming(todo: Plan, new: Sequence[Step]) -> list[tuple[Step, Reason]]:
    if todo.restart is not None:
        return [(step, todo.restart) for step in new]
    return [(new[rerun.index], rerun.reason) for rerun in todo.run]
