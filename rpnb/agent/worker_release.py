"""Freeing what was dropped, before anything new is loaded: one model at a time.

A value lives as long as anything refers to it. Besides the program's own names that
may be a reference cycle, the traceback of what raised last, or a cache of a library's.
"""

from __future__ import annotations

import functools
import gc
import sys
import types
from typing import Any, Iterable

from ..planner.kinds import PROGRAM
from . import worker_cuda

# Values of no size, and what holds them. Looking for cycles among these is not worth the
# 0.3 s that a collection takes with torch and transformers loaded.
_ATOMS = (
    *(type(None), bool, int, float, complex, range, type(...), types.CodeType),
    *(types.BuiltinFunctionType, types.GetSetDescriptorType, types.MemberDescriptorType),
    *(types.WrapperDescriptorType, types.ModuleType),
)
_HOLDERS = (
    *(list, tuple, dict, set, frozenset, types.MappingProxyType, types.CellType, types.MethodType),
    *(staticmethod, classmethod, property, functools.partial, functools._lru_cache_wrapper),
)
_MAX_PARTS = 2_000
_MAX_BYTES = 1_000_000


def forget_traces() -> None:
    """Forget the last error: its frames hold what the program's functions worked on."""
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        if hasattr(sys, name):
            delattr(sys, name)


def are_plain(values: Iterable[Any]) -> bool:
    """Tell whether these values, and all they hold, are plain Python, small and few."""
    todo, seen = list(values), set[int]()
    while todo:
        value = todo.pop()
        if id(value) in seen or type(value) in _ATOMS:
            continue
        seen.add(id(value))
        held = _held(value)
        if held is None or len(seen) > _MAX_PARTS:
            return False
        todo += held
    return True


def _held(value: Any) -> list[Any] | None:
    """Return what a plain value holds, None for one that is not plain."""
    if type(value) in (str, bytes):
        return [] if len(value) < _MAX_BYTES else None
    if type(value) is types.FunctionType:
        # Not its globals: they are all that the program has.
        return [value.__closure__, value.__defaults__, value.__kwdefaults__, value.__dict__]
    if isinstance(value, type):
        # A library's class lives as long as the library.
        return [*value.__mro__, *vars(value).values()] if value.__module__ == PROGRAM else []
    return gc.get_referents(value) if type(value) in _HOLDERS else None


def collect() -> None:
    """Free what only cycles hold, and give the devices back what torch keeps for later."""
    gc.collect()
    worker_cuda.release()
