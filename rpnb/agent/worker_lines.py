"""Right line numbers for what stays warm: kept functions get code with the new lines.

A step whose tokens are unchanged does not run again when lines above it come or
go; its functions' code is swapped for the same code compiled in its new place.
"""

from __future__ import annotations

import ast
import gc
import inspect
import types
from typing import Any, Iterable, Iterator

from ..planner.methods import edited, replaced
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
        swap.fresh.update(_pairs_of(old, new, before, after))
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


def _pairs_of(
    old: Step, new: Step, before: types.CodeType, after: types.CodeType
) -> Iterator[tuple[types.CodeType, types.CodeType]]:
    """Yield what stands for what in the code of a step; of an edited class, method by method."""
    was, now = old.facts.plain, new.facts.plain
    if old.identity == new.identity or was is None or now is None:
        yield from _pairs(before, after)
        return
    (others, methods), (others_now, methods_now) = map(_parts_of_class, (before, after))
    for one, other in zip(others, others_now):
        yield from _pairs(one, other)
    changed = edited(was, now)
    for name in methods.keys() & methods_now.keys() - replaced(was, now):
        if name in changed:
            # Nothing inside it stands for anything any more.
            yield methods[name], methods_now[name]
        else:
            yield from _pairs(methods[name], methods_now[name])


def _parts_of_class(
    code: types.CodeType,
) -> tuple[list[types.CodeType], dict[str, types.CodeType]]:
    """Return the code of a class statement's lambdas and the like, and that of its methods."""
    (body,) = _inner(code)
    others = [each for each in _inner(body) if each.co_name[0] == "<"]
    return others, {each.co_name: each for each in _inner(body) if each.co_name[0] != "<"}


def _inner(code: types.CodeType) -> list[types.CodeType]:
    return [each for each in code.co_consts if isinstance(each, types.CodeType)]


def _pairs(
    old: types.CodeType, new: types.CodeType
) -> Iterator[tuple[types.CodeType, types.CodeType]]:
    """Yield what stands for what: same tokens, same constants in the same order."""
    yield old, new
    for before, after in zip(_inner(old), _inner(new)):
        yield from _pairs(before, after)


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
