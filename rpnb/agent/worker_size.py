"""How much memory a value holds, as far as can be told without touching it."""

from __future__ import annotations

from typing import Any

from ..planner.torch_modules import is_a, is_module

# Nested containers and attributes are followed so far; a model is two deep.
_MAX_DEPTH = 4
_MAX_PARTS = 10_000


def size_bytes(value: Any) -> int:
    """Return the bytes of the arrays, tensors, modules and buffers in a value.

    Each is counted once. What only looks like a container (a proxy, a lazy
    loader) is not opened.
    """
    seen: set[int] = set()
    return _size(value, seen, _MAX_DEPTH)


def _size(value: Any, seen: set[int], depth: int) -> int:
    if id(value) in seen or len(seen) > _MAX_PARTS:
        return 0
    seen.add(id(value))
    if is_module(value):
        tensors = (*value.parameters(), *value.buffers())
        return sum(_size(tensor, seen, 0) for tensor in tensors)
    if isinstance(value, (bytes, bytearray, str)):
        return len(value)
    size = value.nbytes if hasattr(type(value), "nbytes") else None
    if is_a(value, "Tensor"):
        size = value.nelement() * value.element_size()
    elif type(value).__module__.startswith("pandas.") and hasattr(value, "memory_usage"):
        used = value.memory_usage()
        size = int(used.sum()) if hasattr(used, "sum") else int(used)
    if isinstance(size, int):
        return size
    return sum(_size(part, seen, depth - 1) for part in _parts(value)) if depth else 0


def _parts(value: Any) -> list[Any]:
    if type(value) is dict:
        return list(value.values())
    if type(value) in (list, tuple, set, frozenset):
        return list(value)
    attributes = getattr(value, "__dict__", None)
    if type(attributes) is not dict or isinstance(value, type) or hasattr(value, "__code__"):
        return []
    return list(attributes.values())
