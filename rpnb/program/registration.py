"""What a definition reaches while it is made: the registries that its decorators fill.

`@route("/a")` puts a function into a list, `class One(Plugin)` a class into another.
Sent as they are now, and filled again by the definitions, they would hold each twice.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterable, Iterator
from typing import Any

from .names import Names
from .provenance import Definition

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_MAKERS = ("__new__", "__init__", "__call__")


def filled(names: Names, wanted: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return which of the `wanted` names are filled by definitions here: those, in order."""
    found: dict[str, list[str]] = {name: [] for name in wanted}
    for definition in names.provenance.definitions() if found else ():
        if isinstance(definition.node, _DEFINITIONS) and definition.name in names:
            for name in reached(definition, names) & found.keys():
                found[name].append(definition.name)
    return {name: tuple(made) for name, made in found.items() if made}


def reached(definition: Definition, names: Names) -> set[str]:
    """Return the names that the definition's decorators, bases and metaclass may change."""
    found: set[str] = set()
    seen: set[int] = set()
    todo = [*_decorators(definition.node, names, found), *_hooks(definition.value, names, found)]
    while todo:
        function, depth = todo.pop()
        if id(function) not in seen:
            seen.add(id(function))
            todo += _called(function, depth, names, found)
    return found - {definition.name}


def _decorators(
    node: ast.stmt, names: Names, found: set[str]
) -> Iterator[tuple[types.FunctionType, int]]:
    """The functions that decorators run; one with arguments runs what it returns, too."""
    for each in getattr(node, "decorator_list", ()):
        is_call = isinstance(each, ast.Call)
        expression: ast.expr = each.func if isinstance(each, ast.Call) else each
        path: list[str] = []
        while isinstance(expression, ast.Attribute):
            path.insert(0, expression.attr)
            expression = expression.value
        if isinstance(expression, ast.Name) and expression.id in names:
            found.add(expression.id)
            decorator = names[expression.id]
            for part in path:
                decorator = getattr(decorator, part, None)
            yield from ((function, int(is_call)) for function in _functions(decorator))


def _hooks(value: Any, names: Names, found: set[str]) -> Iterator[tuple[types.FunctionType, int]]:
    """What making a class runs: its bases' hooks, its metaclass, its attributes' `__set_name__`."""
    if not isinstance(value, type):
        return
    for base in value.__mro__[1:]:
        hook = vars(base).get("__init_subclass__")
        if hook is not None and base.__module__ == "__main__":
            found |= {name for name in [names.name_of(base)] if name}
            yield from ((function, 0) for function in _functions(hook))
    kinds = [type(value), *(type(each) for each in vars(value).values())]
    for kind in kinds:
        if kind.__module__ == "__main__":
            hooks = (vars(kind).get(key) for key in ("__new__", "__init__", "__set_name__"))
            yield from ((f, 0) for hook in hooks if hook is not None for f in _functions(hook))


def _functions(called: Any) -> Iterator[types.FunctionType]:
    """The notebook's functions that a call of this object runs."""
    called = getattr(called, "__func__", getattr(called, "func", called))
    if isinstance(called, types.FunctionType):
        if called.__module__ == "__main__":
            yield called
        return
    kind = called if isinstance(called, type) else type(called)
    if kind.__module__ == "__main__":
        for key in _MAKERS:
            maker = vars(kind).get(key)
            if isinstance(maker, types.FunctionType):
                yield maker


def _called(
    function: types.FunctionType, depth: int, names: Names, found: set[str]
) -> Iterator[tuple[types.FunctionType, int]]:
    """Note what a function's own code names, and yield the functions among it."""
    codes = [function.__code__]
    if depth:
        codes += [each for each in function.__code__.co_consts if isinstance(each, types.CodeType)]
    for name in {name for code in codes for name in code.co_names}:
        if name in names:
            found.add(name)
            yield from ((inner, 0) for inner in _functions(names[name]))
    for cell in function.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:
            continue
        found |= {name for name in [names.name_of(content)] if name}
        yield from ((inner, depth) for inner in _functions(content))
