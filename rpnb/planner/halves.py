"""What a cancelled job may have left half-written.

A function that stores into globals once, outside a loop, has stored wholly or
not at all. One that stores twice (`MODEL = …; TOKENIZER = …`) may have been
stopped between the two, and what it stores into must be made anew.
"""

from __future__ import annotations

import ast
from typing import Iterator, Sequence

from .access import root_of
from .effects import is_mutator
from .steps import Executed, Step
from .writes import reached_by

_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.comprehension)


def half_written(executed: Sequence[Executed], start: Step) -> frozenset[str]:
    """Return the globals that a job, stopped anywhere, may have left half-written.

    `start` is the step that registered the handler.
    """
    names = start.facts.reads | start.facts.deferred_reads
    reached, found = reached_by([e.step.facts for e in executed], names), set[str]()
    for each in executed:
        facts = each.step.facts
        targets = facts.deferred_binds | facts.deferred_changes
        if not targets or not facts.binds & reached:
            continue
        # Not one: twice, or none that the text shows, where they go by another name.
        if sum(_stores(each.step.statement.node, targets, weight=1)) != 1:
            found |= targets
    return frozenset(found)


def _stores(node: ast.AST, targets: frozenset[str], *, weight: int) -> Iterator[int]:
    """Yield 1 for each store into one of the targets, 2 where it stands in a loop."""
    stored = node if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        stored = node.func if is_mutator(node.func.attr) else stored
    if stored is not None:
        start = root_of(stored)
        if isinstance(start, ast.Name) and start.id in targets:
            yield weight
    inner = 2 if isinstance(node, _LOOPS) else weight
    for child in ast.iter_child_nodes(node):
        yield from _stores(child, targets, weight=inner)
