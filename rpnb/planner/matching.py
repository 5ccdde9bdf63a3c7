"""Which executed steps the steps of a new program stand for."""

from __future__ import annotations

import ast
from typing import Iterable, Mapping, Sequence

from .facts import Facts
from .methods import PlainClass, edited, replaced
from .names import Names
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
    executed: Sequence[Executed],
    new: Sequence[Step],
    matched: Mapping[int, int],
    names: Names,
) -> dict[int, tuple[int, frozenset[str]]]:
    """Return new position -> old one of a class, and its methods that are others.

    All else of the class is the same; `matched` are the steps that are the same altogether.
    """
    gone = {}
    for i in set(range(len(executed))) - set(matched.values()):
        plain = executed[i].step.facts.plain
        if plain is not None and executed[i].ok:
            gone[plain.outside, place_of(executed[i].step)] = i, plain
    found = {}
    for j, step in enumerate(new):
        now = step.facts.plain if j not in matched else None
        before = gone.get((now.outside, place_of(step))) if now is not None else None
        if now is None or before is None:
            continue
        i, was = before
        if was.order == now.order and not replaced(was, now):
            is_editable = True
        else:
            is_seen = names.is_open(executed[i].step.facts) or names.is_open(step.facts)
            is_editable = not is_seen and _are_evaluated_alike(was, now, new, j, names)
        if is_editable:
            del gone[now.outside, place_of(step)]
            found[j] = i, edited(was, now)
    return found


def _are_evaluated_alike(
    old: PlainClass, now: PlainClass, new: Sequence[Step], place: int, names: Names
) -> bool:
    """Tell whether what is new of a class's methods comes out in the end as at its place."""
    makers = binders(step.facts for step in new)

    def is_steady(name: str, *, is_shown: bool) -> bool:
        if not is_made_above(name, place, makers, names):
            return False
        if names.is_builtin(name):
            return True
        step = new[makers[name][0]]
        is_import = name in step.facts.imports and not step.imported.identity
        return is_shown or is_import or step.facts.kinds.get(name) == "imm"

    methods = [now.methods[name] for name in replaced(old, now) & now.methods.keys()]
    return makers[now.name] == [place] and all(
        is_steady(name, is_shown=name not in method.given)
        for method in methods
        for name in method.shown | method.given
    )


def binders(every: Iterable[Facts]) -> dict[str, list[int]]:
    """Return the positions of the statements that bind each name, at once or when called."""
    found: dict[str, list[int]] = {}
    for j, facts in enumerate(every):
        for name in facts.binds | facts.deferred_binds:
            found.setdefault(name, []).append(j)
    return found


def is_made_above(name: str, place: int, makers: Mapping[str, Sequence[int]], names: Names) -> bool:
    """Tell whether a name is Python's own, or one step above a place makes it and no other."""
    found = makers.get(name, [])
    return names.is_builtin(name) or (len(found) == 1 and found[0] < place)


def place_of(step: Step) -> str:
    """What of a step's identity is not its tokens: lazy annotations, modules that it imports."""
    return step.identity.partition(" ")[2]


def may_repeat(e: Executed) -> bool:
    """Tell whether it imports a module, or a part that its name had been bound to already."""
    node = e.step.statement.node
    if isinstance(node, ast.ImportFrom):
        return not e.binds and node.module != "__future__" and "*" not in e.step.facts.imports
    return isinstance(node, ast.Import)
