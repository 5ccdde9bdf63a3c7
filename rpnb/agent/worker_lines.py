"""Right line numbers for what stays warm: kept functions get code with the new lines.

A step whose tokens are unchanged does not run again when lines above it come or
go; its functions' code is swapped for the same code compiled in its new place.
"""

from __future__ import annotations

import ast
import gc
import types
from typing import Any, Iterable, Iterator

from ..planner.plan import Step
from .worker_code import compile_statement

_MAX_DEPTH = 6


def refresh_lines(
    moved: Iterable[tuple[Step, Step]], namespace: dict[str, Any], file: str, flags: int
) -> None:
    """Give the functions that kept steps made the line numbers of their new places.

    `moved` pairs each kept step as it was with itself in the new program.
    """
    fresh: dict[types.CodeType, types.CodeType] = {}
    names: set[str] = set()
    may_hide = False
    for old, new in moved:
        same_lines = old.line == new.line and old.statement.text == new.statement.text
        if same_lines or not _makes_functions(new):
            continue
        before = compile_statement(old.statement.node, file, flags)
        after = compile_statement(new.statement.node, file, flags)
        fresh.update(_pairs(before, after))
        names.update(new.names)
        may_hide = may_hide or not new.facts.is_definition
    if fresh:
        seen: set[int] = set()
        for name in names:
            _swap(namespace.get(name), fresh, seen, 0)
        if may_hide:
            _swap_everywhere(fresh, file)


def _makes_functions(step: Step) -> bool:
    made = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.GeneratorExp)
    return any(isinstance(node, made) for node in ast.walk(step.statement.node))


def _swap_everywhere(fresh: dict[types.CodeType, types.CodeType], file: str) -> None:
    """Functions that only a registry holds are found among all there are: some 40 ms with torch."""
    for value in gc.get_objects():
        if type(value) is types.FunctionType and value.__code__.co_filename == file:
            new = fresh.get(value.__code__)
            if new is not None:
                value.__code__ = new


def _pairs(
    old: types.CodeType, new: types.CodeType
) -> Iterator[tuple[types.CodeType, types.CodeType]]:
    yield old, new
    # Same tokens, same constants in the same order.
    for before, after in zip(old.co_consts, new.co_consts):
        if isinstance(before, types.CodeType) and isinstance(after, types.CodeType):
            yield from _pairs(before, after)


def _swap(
    value: Any, fresh: dict[types.CodeType, types.CodeType], seen: set[int], depth: int
) -> None:
    if id(value) in seen or depth > _MAX_DEPTH:
        return
    seen.add(id(value))
    if isinstance(value, types.FunctionType):
        new = fresh.get(value.__code__)
        if new is not None:
            value.__code__ = new
    for part in _parts(value):
        _swap(part, fresh, seen, depth + 1)


def _parts(value: Any) -> Iterator[Any]:
    """Where functions of the program hide: wrappers, closures, classes, properties."""
    if isinstance(value, types.FunctionType):
        yield getattr(value, "__wrapped__", None)
        yield from (cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell))
    elif isinstance(value, type) and value.__module__ == "__main__":
        yield from list(vars(value).values())
    elif isinstance(value, (staticmethod, classmethod, types.MethodType)):
        yield value.__func__
    elif isinstance(value, property):
        yield from (value.fget, value.fset, value.fdel)
    elif hasattr(type(value), "__wrapped__") or "__wrapped__" in getattr(value, "__dict__", ()):
        yield value.__wrapped__


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises
    except ValueError:
        return False
    return True
