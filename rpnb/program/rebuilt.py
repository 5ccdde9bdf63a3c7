"""Functions made by functions, partials and bound methods, written as what makes them anew."""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..errors import CannotCapture
from .credentials import refuse
from .expressions import Expression, expression
from .functions import Found, find, in_factory, with_defaults
from .names import Names
from .passages import Passage
from .sources import Captured, has_lazy_annotations, needs_of, typed
from .steps import Capture

_EMPTY = object()
CaptureValue = Callable[[str, Any, Names], Captured]


def closure(name: str, value: Any, names: Names, capture_value: CaptureValue) -> Captured | None:
    """A function that a function made: its source in a factory of what it closes over."""
    if not isinstance(value, types.FunctionType) or not names.holds_globals_of(value):
        return None
    found = find(value, names.provenance)
    found = with_defaults(found, value) if found is not None and not value.__dict__ else None
    free = list(value.__code__.co_freevars)
    if found is None or "__class__" in free:
        return None
    cells = dict(zip(free, value.__closure__ or (), strict=True))
    own = {key for key, cell in cells.items() if _content(cell) is value}
    if own - {value.__code__.co_name} or any(_content(c) is _EMPTY for c in cells.values()):
        return None
    for key, cell in cells.items():
        refuse(f"{name}.{key}", _content(cell), names.send)
    parts = {
        key: _part(f"_{name}_{key}", f"{name}'s {key}", _content(cell), names, capture_value)
        for key, cell in cells.items()
        if key not in own
    }
    passage = _passage(name, value, found, {key: part.text for key, (part, _) in parts.items()})
    now, later, optional = needs_of(passage.text, has_lazy_annotations(value))
    now = (now | {each for part, _ in parts.values() for each in part.now}) - {name}
    return Captured(
        typed(
            name,
            "source",
            passage,
            now=tuple(sorted(now)),
            later=tuple(sorted(later - now - {name})),
            imports=tuple(sorted(line for part, _ in parts.values() for line in part.imports)),
            future=("annotations",) if has_lazy_annotations(value) else (),
        ),
        before=tuple(extra for _, extra in parts.values() if extra is not None),
        optional=frozenset(optional),
    )


def _passage(
    name: str, function: types.FunctionType, found: Found, given: dict[str, str]
) -> Passage:
    """The statements that bind `name` to a function over what `given` says for each variable."""
    free = function.__code__.co_freevars
    if not free and found.is_lambda:
        first, *rest = found.passage.lines
        return replace(found.passage, lines=(f"{name} = {first}", *rest))
    if not free and not found.indent and function.__name__ == name:
        return found.passage
    made = in_factory(found, f"_make_{name}", list(given), function.__code__.co_name)
    return made.followed_by("", f"{name} = _make_{name}({', '.join(given.values())})")


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _EMPTY


def _part(
    name: str, path: str, value: Any, names: Names, capture_value: CaptureValue
) -> tuple[Expression, Captured | None]:
    """An expression for an object inside another, captured under a name of its own if need be.

    Raises:
        CannotCapture: it cannot travel; says so of its `path` in the other, `v's lock`.
    """
    found = expression(value, names)
    if found is not None:
        return found, None
    try:
        return Expression(name, frozenset({name})), capture_value(name, value, names)
    except CannotCapture as problem:
        whole = re.split(r"['.]", path)[0]
        text = str(problem).replace(f"`{name}` cannot travel", f"`{whole}` cannot travel")
        text = text.replace(f"`{name}", f"`{path}")
        raise CannotCapture(text, name=whole, path=path) from None


def partial(name: str, value: Any, names: Names, capture_value: CaptureValue) -> Captured | None:
    """A `functools.partial`, written as the call that makes it."""
    if type(value) is not functools.partial:
        return None
    for key, each in (*enumerate(value.args, 1), *value.keywords.items()):
        refuse(f"{name}.{key}", each, names.send)
    parts = [
        _part(f"_{name}_function", f"{name}.func", value.func, names, capture_value),
        *(
            _part(f"_{name}_{n}", f"{name}.args[{n - 1}]", each, names, capture_value)
            for n, each in enumerate(value.args, 1)
        ),
    ]
    keywords = {
        k: _part(f"_{name}_{k}", f"{name}.keywords[{k!r}]", each, names, capture_value)
        for k, each in value.keywords.items()
    }
    given = [part.text for part, _ in parts]
    given += [f"{key}={part.text}" for key, (part, _) in keywords.items()]
    return assembled(
        name, f"functools.partial({', '.join(given)})", [*parts, *keywords.values()], "functools"
    )


def method(name: str, value: Any, names: Names, capture_value: CaptureValue) -> Captured | None:
    """A bound method, written as an attribute of its object."""
    if not isinstance(value, (types.MethodType, types.BuiltinMethodType)):
        return None
    if value.__self__ is None or isinstance(value.__self__, types.ModuleType):
        return None
    part = _part(f"_{name}_self", f"{name}.__self__", value.__self__, names, capture_value)
    return assembled(name, f"{part[0].text}.{value.__name__}", [part])


def assembled(
    name: str, text: str, parts: list[tuple[Expression, Captured | None]], module: str = ""
) -> Captured:
    """Return an assignment of an expression put together from `parts`."""
    imports = {line for part, _ in parts for line in part.imports}
    imports |= {f"import {module}"} if module else set()
    now = {each for part, _ in parts for each in part.now}
    return Captured(
        Capture(
            name,
            "literal",
            f"{name} = {text}",
            now=tuple(sorted(now)),
            imports=tuple(sorted(imports)),
        ),
        before=tuple(extra for _, extra in parts if extra is not None),
    )
