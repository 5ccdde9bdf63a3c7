"""What tells that a value which holds code was changed in place.

Identity does not: a dictionary of lambdas, a class whose method was replaced.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator
from itertools import islice
from typing import Any

_ATOMS = (int, float, complex, str, bytes, bool, type(None))
_DEPTH, _BREADTH, _NODES = 4, 1000, 20_000


def fingerprint(value: Any, depth: int = 0) -> Any:
    """Return something equal as long as the value's own code-bearing parts are the same."""
    try:
        return _print(value, depth, [_NODES])
    except Exception:  # noqa: BLE001 - a proxy may raise whatever one asks of it
        return id(value)


def _print(value: Any, depth: int, budget: list[int]) -> Any:
    budget[0] -= 1
    if isinstance(value, _ATOMS):
        return value if value == value else "nan"
    if depth > _DEPTH or budget[0] < 0:
        return id(value)
    if type(value) is dict:
        pairs = islice(value.items(), _BREADTH)
        return len(value), tuple((_key(k), _print(v, depth + 1, budget)) for k, v in pairs)
    if type(value) in (list, tuple):
        return len(value), tuple(_print(v, depth + 1, budget) for v in value[:_BREADTH])
    if type(value) in (set, frozenset):
        return len(value), frozenset(map(_key, islice(value, _BREADTH)))
    if isinstance(value, type) and depth == 0:
        return tuple((name, _print(each, 1, budget)) for name, each in attributes(value))
    if isinstance(value, types.FunctionType) and depth == 0:
        parts = (value.__defaults__, value.__kwdefaults__, vars(value))
        return id(value.__code__), *(_print(each, 1, budget) for each in parts)
    return id(value)


def attributes(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield a class's own attributes, less those that Python, abc and enum keep for themselves."""
    kept = ("__", "_abc_", *(["_"] if isinstance(kind, enum.EnumMeta) else []))
    for name, each in sorted(vars(kind).items()):
        own = not (name.startswith(kept) and name.endswith("_")) and not name.startswith("_abc_")
        if own or isinstance(each, types.FunctionType):
            yield name, each


def _key(key: Any) -> Any:
    return key if isinstance(key, _ATOMS) else id(key)


def holds_code(value: Any, depth: int = 0) -> bool:
    """Tell whether functions or classes of the notebook are in the value."""
    if isinstance(value, (types.FunctionType, types.MethodType)) or is_wrapper(value):
        return True
    if isinstance(value, type):
        return value.__module__ == "__main__"
    if depth < _DEPTH and type(value) in (list, tuple, set, frozenset):
        return any(holds_code(each, depth + 1) for each in islice(value, _BREADTH))
    if depth < _DEPTH and type(value) is dict:
        return any(holds_code(each, depth + 1) for each in islice(value.values(), _BREADTH))
    return False


def is_wrapper(value: Any) -> bool:
    """Tell whether the value stands for a function that it wraps, as `lru_cache` makes them.

    Asked of its own attributes only: a `__getattr__` may answer, or raise, anything.
    """
    try:
        return "__wrapped__" in vars(value)
    except TypeError:
        return False
