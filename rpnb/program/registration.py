"""What a definition reaches while it is made: the registries that its decorators fill.

`@route("/a")` puts a function into a list, `class One(Plugin)` a class into another.
Sent as they are now, and filled again by the definitions, they would hold each twice.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from .names import Names
from .provenance import DEFINITIONS, Definition, changed_in_place

_MAKERS = ("__new__", "__init__", "__call__")


def filled(names: Names, wanted: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return which of the `wanted` names are filled by definitions here: those, in order."""
    found: dict[str, list[str]] = {name: [] for name in wanted}
    for definition in names.provenance.definitions() if found else ():
        if isinstance(definition.node, DEFINITIONS) and definition.name in names:
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


def stray(registry: Definition, names: Names) -> str | None:
    """Return the label of a cell that has changed a registry otherwise than by a definition.

    What its own text does at the top level (`REG["a"] = 1`) belongs to the registry's statements.
    """
    for node, label in names.provenance.done_since(registry):
        inside = [each for each in ast.walk(node) if isinstance(each, ast.stmt)][1:]
        changed = {name for each in inside for name in changed_in_place(each)}
        for call in _calls(node):
            changed.update(_changed_by(call, names, set()))
        if registry.name in changed:
            return label
    return None


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Call))


def _changed_by(call: ast.Call, names: Names, seen: set[ast.AST]) -> Iterator[str]:
    """The names that what a call runs of the notebook's own definitions changes in place."""
    for owner, body in _run_by(call.func, names):
        if body in seen:
            continue
        seen.add(body)
        for each in ast.walk(body):
            if isinstance(each, ast.stmt):
                changed = set(changed_in_place(each))
                yield from changed
                # `cls.routes[path] = f` in a method of App.
                yield from (owner for word in ("cls", "self") if owner and word in changed)
            elif isinstance(each, ast.Call):
                yield from _changed_by(each, names, seen)


def _run_by(called: ast.expr, names: Names) -> Iterator[tuple[str, ast.stmt]]:
    """The definitions that a call runs, each with the class whose method it is."""
    if isinstance(called, ast.Name):
        node = _definition(called.id, names)
        if isinstance(node, ast.ClassDef):
            yield from ((node.name, each) for each in node.body if _is_method(each, _MAKERS))
        elif node is not None:
            yield "", node
    elif isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        root = called.value.id
        node = _definition(root, names)
        if node is None and root in names:
            node = _definition(type(names[root]).__name__, names)
        if isinstance(node, ast.ClassDef):
            yield from ((node.name, each) for each in node.body if _is_method(each, (called.attr,)))


def _definition(name: str, names: Names) -> ast.stmt | None:
    found = names.definition(name) if name in names else None
    return found.node if found is not None and isinstance(found.node, DEFINITIONS) else None


def _is_method(node: ast.stmt, called: Collection[str]) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in called
