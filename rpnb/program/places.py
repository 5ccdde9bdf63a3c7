"""Where inside a value something lies: `cfg.session.lock`, `rows[3]['file']`."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .obstacles import Kind, kind_of

_DEPTH, _BREADTH = 12, 10_000
_ATOMS = (str, bytes, bytearray, int, float, complex, type(None), type, types.ModuleType)
_TABLES = frozenset({"numpy.ndarray", "pandas.DataFrame", "pandas.Series"})
# So many of them say enough.
_SAID = 5


@dataclass(frozen=True)
class Obstacle:
    """What cannot travel: where it is (`cfg.session.lock`), what it is, and the remedy."""

    path: str
    kind: Kind

    def __str__(self) -> str:
        return f"`{self.path}` is {self.kind.what}"


def obstacles(value: Any, name: str) -> list[Obstacle]:
    """Return the first few things inside `value` that are known not to travel."""
    found = []
    for path, each in _walk(value, name, lambda each: kind_of(each) is None):
        kind = kind_of(each)
        if kind is not None and (each is not value or not isinstance(each, types.ModuleType)):
            found.append(Obstacle(path, kind))
            if len(found) == _SAID:
                break
    return found


def path_to(value: Any, name: str, is_it: Callable[[Any], bool]) -> str:
    """Return the path of the first object inside for which `is_it` holds, else the value's name."""
    walk = _walk(value, name, lambda _each: True)
    return next((path for path, each in walk if _is_true(is_it, each)), name)


def culprit(value: Any, name: str, fails: Callable[[Any], str]) -> tuple[str, Any, str]:
    """Return (path, object, reason) of the innermost part that `fails`, as the whole does."""
    path, reason = name, fails(value)
    for _ in range(_DEPTH):
        for inner, each in list(_inside(path, value))[:_BREADTH]:
            said = fails(each)
            if said:
                path, value, reason = inner, each, said
                break
        else:
            break
    return path, value, reason


def _is_true(question: Callable[[Any], bool], value: Any) -> bool:
    try:
        return question(value)
    except Exception:  # noqa: BLE001 - a foreign object may raise anything from an attribute
        return False


def _walk(value: Any, name: str, goes_on: Callable[[Any], bool]) -> Iterator[tuple[str, Any]]:
    """Yield what is inside, the nearest first; not below what does not `goes_on`."""
    seen: set[int] = set()
    # What was made only to look at it must not give its id to another.
    level, kept = [(name, value)], [value]
    for _ in range(_DEPTH):
        following: list[tuple[str, Any]] = []
        for path, each in level:
            if id(each) in seen:
                continue
            seen.add(id(each))
            yield path, each
            if len(seen) < _BREADTH and goes_on(each):
                following += _inside(path, each)
        kept += [each for _, each in following]
        level = following


def _inside(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What a pickle of `value` would hold, each with its path."""
    if isinstance(value, _ATOMS):
        return
    if isinstance(value, dict):
        for key, each in list(value.items())[:_BREADTH]:
            yield f"{path}[{_short(key)}]", each
            yield f"a key of {path}", key
    elif isinstance(value, (list, tuple, set, frozenset)):
        for number, each in enumerate(list(value)[:_BREADTH]):
            yield f"{path}[{number}]" if isinstance(value, (list, tuple)) else f"{path}{{…}}", each
    elif isinstance(value, types.FunctionType):
        yield from _inside_function(path, value)
    elif f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}" in _TABLES:
        yield from _inside_table(path, value)
    elif isinstance(value, types.MethodType):
        yield f"{path}.__self__", value.__self__
    else:
        try:
            yield from list(_attributes(path, value))
        except Exception:  # noqa: BLE001 - a foreign object may raise anything from an attribute
            return


def _inside_function(path: str, function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f"{path}'s {name}", cell.cell_contents
        except ValueError:  # noqa: PERF203 - a cell that is not filled yet
            continue
    for number, each in enumerate(function.__defaults__ or ()):
        yield f"{path}'s default {number + 1}", each


def _attributes(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    try:
        found = dict(vars(value))
    except TypeError:
        found = {}
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in [slots] if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                found[slot] = getattr(value, slot)
    state = getattr(type(value), "__getstate__", None)
    if state is not None and state is not getattr(object, "__getstate__", None):
        # It chooses what travels; an attribute that it leaves out is no obstacle.
        chosen = value.__getstate__()
        if isinstance(chosen, dict):
            own = chosen.get("__dict__")
            # pydantic's has the attributes one level below.
            found = {**chosen, **own} if isinstance(own, dict) else chosen
    if not found:
        yield from _pieces(path, value)
    for name, each in found.items():
        if name != "__dict__":
            yield f"{path}.{name}", each


def _inside_table(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The objects in an array, series or data frame; numbers are none."""
    if hasattr(value, "iloc") and value.ndim == 2:
        for name, column in value.items():
            yield from _inside_table(f"{path}[{_short(name)}]", column)
    elif value.dtype == object:
        is_array = not hasattr(value, "iloc")
        for at, each in sys.modules["numpy"].ndenumerate(value):
            place = ", ".join(map(str, at))
            yield f"{path}[{place or '()'}]" if is_array else f"{path}.iloc[{place}]", each


def _pieces(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What an object without attributes is made of: `map(str, file)`, a partial."""
    reduced = value.__reduce_ex__(2)
    if isinstance(reduced, tuple):
        for each in reduced[1]:
            yield f"{path}'s {type(each).__name__}", each
        items = reduced[3] if len(reduced) > 3 else None
        for number, each in enumerate(items or ()):
            yield f"{path}[{number}]", each


def _short(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= 40 else text[:37] + "…"
