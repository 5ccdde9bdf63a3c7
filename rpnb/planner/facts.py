"""What one statement reads, binds, changes and calls: the facts that plans are made of."""

from __future__ import annotations

import ast
import symtable
from dataclasses import dataclass
from functools import lru_cache

from .statements import Statement, identity, split

__all__ = ["Facts", "Statement", "facts", "free_names", "identity", "split"]


@dataclass(frozen=True)
class Facts:
    """What a statement does, as far as its text shows."""

    reads: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()
    deferred_reads: frozenset[str] = frozenset()
    deferred_binds: frozenset[str] = frozenset()
    is_start: bool = False


@lru_cache(maxsize=20_000)
def _facts(text: str) -> Facts:
    found: dict[str, set[str]] = {"r": set(), "b": set(), "dr": set(), "db": set()}
    _symbols(symtable.symtable(text, "<step>", "exec"), found, deferred=False)
    return Facts(*(frozenset(found[key]) for key in ("r", "b", "dr", "db")), _is_start(text))


def _is_start(text: str) -> bool:
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func).endswith("serverless.start")
        for node in ast.walk(ast.parse(text))
    )


def facts(statement: Statement) -> Facts:
    """Return the facts of one statement (kept by its text)."""
    return _facts(statement.text)


def _symbols(table: symtable.SymbolTable, found: dict[str, set[str]], *, deferred: bool) -> None:
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        name = symbol.get_name()
        outer = (
            top
            or symbol.is_global()
            or not (symbol.is_local() or symbol.is_free() or symbol.is_parameter())
        )
        bound = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
        if outer and bound:
            found["db" if deferred else "b"].add(name)
        if symbol.is_referenced() and (outer or table.get_type() == "class"):
            found["dr" if deferred else "r"].add(name)
    for child in table.get_children():
        lazy = child.get_type() == "function" and child.get_name() not in (
            *("listcomp", "setcomp", "dictcomp", "genexpr"),
        )
        _symbols(child, found, deferred=deferred or lazy)


def free_names(text: str) -> set[str]:
    """Return the names that `text` needs from outside; builtins that it uses are among them.

    Raises:
        SyntaxError: the running Python cannot parse it.
    """
    needed: set[str] = set()
    bound: set[str] = set()
    for statement in split(text):
        found = facts(statement)
        needed |= found.reads - bound
        bound |= found.binds
        needed |= found.deferred_reads
    return needed - bound
