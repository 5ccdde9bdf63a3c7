"""Right line numbers for what stays warm: kept functions get code with the new lines.

A step whose tokens are unchanged does not run again when lines above it come or
go; its functions' code is swapped for the same code compiled in its new place.
"""

from __future__ import annotations

import ast
import gc
import inspect
import types
from typing import Any, Collection, Iterable, Iterator

from ..planner.methods import edited
from ..planner.plan import Step
from .worker_code import compile_statement

_MAX_DEPTH = 6


def refresh_lines(
    moved: Iterable[tuple[Step, Step]],
    namespace: dict[str, Any],
    file: str,
    flags: tuple[int, int],
) -> None:
    """Give the functions that kept steps made the line numbers of their new places.

    `moved` pairs each kept step as it was with itself in the new program, `flags` are
    the compiler's then and now.
    """
    swap, names = _Swap(), set[str]()
    for old, new in moved:
        is_same = old.line == new.line and old.statement.text == new.statement.text
        if (is_same and flags[0] == flags[1]) or not _makes_functions(new):
            continue
        before = compile_statement(old.statement.node, file, flags[0])
        after = compile_statement(new.statement.node, file, flags[1])
        swap.fresh.update(_pairs(before, after, _edited(old, new)))
        names.update(new.names)
    for name in names:
        swap.within(namespace.get(name))
    swap.everywhere(file)


class _Swap:
    """Exchanges the code of functions, of each function once: new code may equal another's old."""

    def __init__(self) -> None:
        self.fresh: dict[types.CodeType, types.CodeType] = {}
        self.found: set[types.CodeType] = set()
        self._seen: set[int] = set()

    def within(self, value: Any, depth: int = 0) -> None:
        """Exchange what a value leads to."""
        if id(value) in self._seen or depth > _MAX_DEPTH:
            return
        self._seen.add(id(value))
        if isinstance(value, types.FunctionType):
            self._exchange(value)
        for part in _parts(value):
            self.within(part, depth + 1)

    def everywhere(self, file: str) -> None:
        """Exchange what names do not lead to, among all there is: some 40 ms with torch.

        A registry, or `g` after `g = f` and another `def f`; what a decorator returned.
        """
        hidden = {code for code in self.fresh if _is_function(code)} - self.found
        for value in gc.get_objects() if hidden else ():
            is_ours = type(value) is types.FunctionType and value.__code__.co_filename == file
            if is_ours and id(value) not in self._seen:
                self._exchange(value)

    def _exchange(self, function: types.FunctionType) -> None:
        new = self.fresh.get(function.__code__)
        if new is not None:
            self.found.add(function.__code__)
            function.__code__ = new


def _makes_functions(step: Step) -> bool:
    made = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.GeneratorExp)
    return any(isinstance(node, made) for node in ast.walk(step.statement.node))


def _edited(old: Step, new: Step) -> Collection[str]:
    """Return the methods of a class whose bodies are others; the rest of the step is the same."""
    if old.identity == new.identity or old.facts.plain is None or new.facts.plain is None:
        return ()
    return edited(old.facts.plain, new.facts.plain)


def _pairs(
    old: types.CodeType, new: types.CodeType, apart: Collection[str] = ()
) -> Iterator[tuple[types.CodeType, types.CodeType]]:
    """Yield what stands for what, but nothing inside functions that are to be told `apart`."""
    yield old, new
    if old.co_name in apart and old.co_flags & inspect.CO_OPTIMIZED:
        return
    # Same tokens, same constants in the same order.
    for before, after in zip(old.co_consts, new.co_consts):
        if isinstance(before, types.CodeType) and isinstance(after, types.CodeType):
            yield from _pairs(before, after, apart)


def _is_function(code: types.CodeType) -> bool:
    """Tell whether code may be that of a function that somebody keeps: no class body or loop."""
    is_named = code.co_name == "<lambda>" or not code.co_name.startswith("<")
    return is_named and bool(code.co_flags & inspect.CO_OPTIMIZED)


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
