"""What values hold: the items of containers, the attributes of objects."""

from __future__ import annotations

import collections
import functools
import itertools
import operator
import types
from typing import Any, Callable, Iterable, Iterator, Sequence

# Containers that run no code of the program's when they are read.
CONTAINERS = {dict, list, set, collections.deque, collections.OrderedDict, types.SimpleNamespace}
# So many values are looked at: those that lie deepest, or last in a long container, are not.
MOST = 200


def held(value: Any, parts: Callable[[Any], Iterable[Any]]) -> Iterator[Any]:
    """Yield what a value leads to by its parts, and theirs, the nearest first."""
    todo, place, seen = list(itertools.islice(parts(value), MOST)), 0, {id(value)}
    while place < len(todo):
        each = todo[place]
        place += 1
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        todo += itertools.islice(parts(each), max(0, MOST - len(todo)))


def contents(container: Any) -> Iterator[Any]:
    """Yield a container, and the keys and items of it and of the containers in it, in order."""
    for each in (container, *held(container, items)):
        yield each
        yield from each if isinstance(each, dict) else ()
        yield from items(each)


def are_same(before: Sequence[Any], after: Sequence[Any]) -> bool:
    """Tell whether the same objects stand in the same places."""
    return len(before) == len(after) and all(map(operator.is_, before, after))


def items(value: Any) -> Iterable[Any]:
    """Return what a container holds; nothing of any other value."""
    if type(value) not in CONTAINERS and type(value) is not tuple:
        return ()
    inner = getattr(value, "__dict__", value)
    return list(inner.values()) if isinstance(inner, dict) else list(inner)


def attributes(value: Any) -> Iterable[Any]:
    """Return the items of a container, or what an object's attributes are."""
    if isinstance(value, (types.ModuleType, type, types.FunctionType)):
        return ()
    if type(value) is functools.partial:
        return [value.func, *value.args, *value.keywords.values()]
    if type(value) is types.MappingProxyType:
        return list(value.values())
    if type(value).__name__ == "ndarray" and str(value.dtype) == "object":
        return list(itertools.islice(value.flat, MOST))
    return items(value) or list(dictionary(value).values())


def dictionary(value: Any) -> dict[str, Any]:
    """Return an object's own dictionary; not by its own look-up, which may run code."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return {}
    return found if type(found) is dict else {}
