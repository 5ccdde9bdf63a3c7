"""What tells that a value which holds code was changed in place.

Identity does not: a dictionary of lambdas, a class whose method was replaced.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

_ATOMS = (int, float, complex, str, bytes, bool, type(None))
_DEPTH, _BREADTH = 4, 1000


def fingerprint(value: Any, depth: int = 0) -> Any:
    """Return something equal as long as the value's own code-bearing parts are the same."""
    if isinstance(value, _ATOMS):
        return value if value == value else "nan"
    if depth > _DEPTH:
        return id(value)
    if type(value) is dict:
        pairs = list(value.items())[:_BREADTH]
        return len(value), tuple((_key(k), fingerprint(v, depth + 1)) for k, v in pairs)
    if type(value) in (list, tuple):
        return len(value), tuple(fingerprint(v, depth + 1) for v in value[:_BREADTH])
    if type(value) in (set, frozenset):
        return frozenset(map(_key, value))
    if isinstance(value, type) and depth == 0:
        return tuple((name, fingerprint(each, depth + 1)) for name, each in attributes(value))
    if isinstance(value, types.FunctionType) and depth == 0:
        defaults = fingerprint(value.__defaults__, 1), fingerprint(value.__kwdefaults__, 1)
        return id(value.__code__), defaults, fingerprint(vars(value), 1)
    return id(value)


def attributes(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield a class's own attributes, less those that Python and abc keep for themselves."""
    for name, each in sorted(vars(kind).items()):
        own = not (name.startswith("__") and name.endswith("__")) and not name.startswith("_abc_")
        if own or isinstance(each, types.FunctionType):
            yield name, each


def _key(key: Any) -> Any:
    return key if isinstance(key, _ATOMS) else id(key)


def holds_code(value: Any, depth: int = 0) -> bool:
    """Tell whether functions or classes of the notebook are in the value."""
    if isinstance(value, (types.FunctionType, types.MethodType)) or hasattr(value, "__wrapped__"):
        return True
    if isinstance(value, type):
        return value.__module__ == "__main__"
    if depth < _DEPTH and type(value) in (list, tuple, set, frozenset):
        return any(holds_code(each, depth + 1) for each in value)
    if depth < _DEPTH and type(value) is dict:
        return any(holds_code(each, depth + 1) for each in value.values())
    return False
