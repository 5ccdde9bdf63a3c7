"""Several handler cells: one of them is the program's, the others only lend their names.

A person tries variants of a handler in cells of their own. One file has one
handler and one `start()`, so the last handler cell in order is in the program
whole. An earlier one is left out, unless the program uses a name that only this
cell binds; then it is there without its own start. In a kernel the one that ran
last counts as the last; after Run All that is the last in the notebook, which is
the one that the command line takes.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from . import start_call
from .prepare import Prepared
from .resolve import needs
from .uses import uses

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def with_one_handler(cells: Sequence[Prepared]) -> list[Prepared]:
    """Return the program's cells, its handler cell last and earlier ones only where used."""
    handlers = [each for each in cells if each.cell.kind == "handler"]
    others = [each for each in cells if each.cell.kind != "handler"]
    earlier = handlers[:-1]
    lent: list[Prepared] = []
    while lending := _lending(earlier, [*others, *lent, *handlers[-1:]]):
        lent.append(_without_start(lending))
        earlier.remove(lending)
    lent.sort(key=lambda each: [cell.cell for cell in handlers].index(each.cell))
    return [*others, *lent, *handlers[-1:]]


def _lending(earlier: Sequence[Prepared], cells: Sequence[Prepared]) -> Prepared | None:
    """The nearest of the earlier handler cells that binds what the cells lack."""
    lacking = set(needs(cells)) if earlier else set()
    return next((each for each in reversed(earlier) if _bound(each) & lacking), None)


def _bound(prepared: Prepared) -> set[str]:
    found = map(uses, prepared.statements)
    return {name for each in found for name in each.binds | each.sets}


def _without_start(prepared: Prepared) -> Prepared:
    """The cell without the statements that start the worker when they run."""
    starting = {call.lineno for call in start_call.calls(prepared.body.text)}
    lines: set[int] = set()
    for each in prepared.statements:
        own = range(each.first_line, each.last_line + 1)
        if starting & set(own) and not isinstance(each.node, _DEFINITIONS):
            lines |= set(own)
    body = prepared.body.without(lines).stripped()
    return replace(prepared, body=body, whole=body) if lines else prepared
