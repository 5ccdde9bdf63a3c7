"""Functions without what they only tell: their docstring and annotations."""

from __future__ import annotations

import ast
import copy
from typing import Mapping, Sequence

from .facts import Facts
from .matching import binders, is_made_above, place_of
from .methods import shape
from .names import Names
from .steps import Executed, Step

# Attributes that tell what a function says of itself.
_TELLING = frozenset(
    {"__doc__", "__annotations__", "__annotate__", "__code__", "__globals__", "__dict__"}
)


def told_anew(
    executed: Sequence[Executed], new: Sequence[Step], matched: Mapping[int, int], names: Names
) -> dict[int, tuple[int, frozenset[str]]]:
    """Return new position -> old one of a function that only tells another thing of itself.

    That is so where nothing asks what it tells: the function is only called. `matched` are
    the steps that are the same altogether.
    """
    gone = {}
    for old in set(range(len(executed))) - set(matched.values()):
        step = executed[old].step
        if _is_plain(step) and executed[old].ok:
            gone[outline(step.statement.node), place_of(step)] = old
    found, makers = {}, binders(step.facts for step in new) if gone else {}
    for j, step in enumerate(new):
        if j in matched or not gone or not _is_plain(step):
            continue
        i, name = gone.get((outline(step.statement.node), place_of(step))), min(step.facts.binds)
        # What annotations name is the same at the end as at the function's place.
        is_alike = makers[name] == [j] and all(
            is_made_above(each, j, makers, names) for each in step.facts.reads
        )
        if i is not None and is_alike and _is_only_called(name, names):
            found[j] = i, frozenset[str]()
    return found


def _is_plain(step: Step) -> bool:
    """Tell whether a step makes a function that nothing wraps."""
    is_function = step.facts.is_body and step.facts.is_definition
    return is_function and not getattr(step.statement.node, "decorator_list", ())


def outline(node: ast.stmt) -> str:
    """Return a function's text without its docstring and annotations."""
    assert isinstance(node, ast.FunctionDef)
    plain = copy.deepcopy(node)
    if ast.get_docstring(plain, clean=False) is not None:
        plain.body = plain.body[1:] or [ast.Pass()]
    plain.returns = None
    for each in ast.walk(plain.args):
        if isinstance(each, ast.arg):
            each.annotation = None
    return ast.unparse(plain)


def _is_only_called(name: str, names: Names) -> bool:
    """Tell whether nothing takes a function for more than to call it."""
    return not any(
        facts.names_any or _takes(name, facts) for facts in names.every if not facts.is_start
    )


def _takes(name: str, facts: Facts) -> bool:
    found = shape(facts.text)
    return name in found.bare | found.stored or not _TELLING.isdisjoint(found.mentions)
