"""What attributes of models were before jobs set them, so that an edit sets them back.

`pipe.scheduler = Euler.from_config(pipe.scheduler.config)` in a handler must not cost
the pipeline at each edit of the handler.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any, Collection, Iterable

from ..planner import known
from ..planner.holdings import dictionary
from ..planner.torch_modules import top
from .worker_size import size_bytes

# What is larger would take memory that production does not need: a model in place of another.
_MOST_BYTES = 16 << 20
_MISSING = object()
# Of these it is known that to set an attribute back undoes that it was set.
_SETTERS = {("builtins", "object"), ("torch", "Module"), ("diffusers", "DiffusionPipeline")}


@dataclass(frozen=True)
class _Original:
    owner: weakref.ref[Any]
    name: str
    value: Any


class Attributes:
    """The attributes of models in a namespace that jobs may set, as they were before that."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._found: dict[str, _Original] = {}

    def __contains__(self, path: object) -> bool:
        return path in self._found

    def note(self, paths: Iterable[str], standing: Collection[str], local: Collection[str]) -> None:
        """Remember these attributes; what jobs have made of the `standing` ones still stands.

        `local` are the local modules.
        """
        found = {path: each for path, each in self._found.items() if path in standing}
        for path in paths:
            original = None if path in found else self._original(path, local)
            if original is not None:
                found[path] = original
        self._found = found

    def set_back(self, paths: Iterable[str]) -> None:
        """Let these attributes be what they were; an owner that is gone needs none."""
        for path in paths:
            original = self._found.pop(path, None)
            owner = original and original.owner()
            if original is None or owner is None:
                continue
            if original.value is not _MISSING:
                setattr(owner, original.name, original.value)
            elif original.name in dictionary(owner):
                delattr(owner, original.name)

    def _original(self, path: str, local: Collection[str]) -> _Original | None:
        """Return what an attribute is; None where to set it back might do more, or less."""
        first, *between, name = path.split(".")
        owner = self._namespace.get(first)
        for each in between:
            owner = _part(owner, each)
        if not _is_settable(owner, name, local):
            return None
        value = _part(owner, name, _MISSING)
        if value is not _MISSING and size_bytes(value) > _MOST_BYTES:
            return None
        return _Original(weakref.ref(owner), name, value)


def _part(owner: Any, name: str, default: Any = None) -> Any:
    """Return what an object holds under a name, without running any code of its class."""
    held = dictionary(owner)
    return held.get(name, held.get("_modules", {}).get(name, default))


def _is_settable(owner: Any, name: str, local: Collection[str]) -> bool:
    """Tell whether an attribute is a library's model's own, and no property of it."""
    cls = type(owner)
    if known.SELF not in known.models({"it": owner}, None, local).get("it", ()):
        return False
    setter = next(each for each in cls.__mro__ if "__setattr__" in vars(each))
    is_plain = (top(setter.__module__), setter.__name__) in _SETTERS
    found = next((vars(each)[name] for each in cls.__mro__ if name in vars(each)), None)
    return is_plain and not hasattr(type(found), "__set__") and hasattr(owner, "__weakref__")
