"""A namespace as plain data: values, what is shared, closures, classes, iterators."""

from __future__ import annotations

import enum
import functools
import types
from typing import Any

from tests.planner.warm import PROGRAM

_SKIPPED = {
    *("__dict__", "__weakref__", "__firstlineno__", "__static_attributes__", "__doc__"),
    *("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__replace__"),
    *("_hashable_values_", "_unhashable_values_", "_unhashable_values_map_", "__new__"),
}
_PLAIN = (int, float, str, bytes, bool, type(None))


class Portrait:
    """Draws a namespace; equal portraits mean equal values with equal sharing."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []

    def draw(self) -> dict[str, Any]:
        """Return name -> description."""
        names = sorted(n for n in self._namespace if not n.startswith("__"))
        return {name: self._value(self._namespace[name]) for name in names}

    def _value(self, v: Any) -> Any:
        if isinstance(v, _PLAIN) and not isinstance(v, enum.Enum):
            return repr(v)
        if isinstance(v, (types.BuiltinFunctionType, types.ModuleType)):
            return ("named", v.__name__)
        if isinstance(v, type) and v.__module__ != PROGRAM:
            return ("type", v.__qualname__)
        if id(v) in self._seen:
            return ("seen", self._seen[id(v)])
        self._seen[id(v)] = len(self._seen)
        self._alive.append(v)
        return self._new(v)

    def _new(self, v: Any) -> Any:
        cls = type(v)
        if isinstance(v, (list, tuple)) or cls.__name__ == "deque":
            return (cls.__name__, [self._value(item) for item in v])
        if isinstance(v, (dict, types.MappingProxyType)):
            return (cls.__name__, [(self._value(k), self._value(x)) for k, x in v.items()])
        if isinstance(v, (set, frozenset)):
            return (cls.__name__, sorted(map(repr, v)))
        if isinstance(v, type):
            return self._class(v)
        if cls is types.FunctionType:
            return self._function(v)
        if hasattr(v, "cache_info"):
            return ("cache", tuple(v.cache_info()), self._value(v.__wrapped__))
        return self._other(v, cls)

    def _other(self, v: Any, cls: type) -> Any:
        if cls is functools.partial:
            return ("partial", *map(self._value, (v.func, v.args, v.keywords)))
        if isinstance(v, types.MethodType):
            return ("method", self._value(v.__func__), self._value(v.__self__))
        if isinstance(v, (property, classmethod, staticmethod)):
            return (cls.__name__, self._value(getattr(v, "fget", None) or v.__func__))
        if isinstance(v, types.GeneratorType):
            inside = list(v.gi_frame.f_locals.values()) if v.gi_frame else None
            place = v.gi_frame.f_lasti if v.gi_frame else None
            return ("generator", v.gi_code.co_name, place, self._value(inside))
        if hasattr(cls, "__next__") and hasattr(cls, "__reduce__"):
            try:
                return ("iterator", cls.__name__, self._value(list(v.__reduce__()[1:])))
            except (TypeError, RuntimeError):
                return ("iterator", cls.__name__)
        if hasattr(v, "__dict__"):
            return ("object", self._value(cls), self._value(dict(sorted(vars(v).items()))))
        return ("other", cls.__name__)

    def _class(self, v: type) -> Any:
        body = [
            (name, self._value(value))
            for name, value in vars(v).items()
            if name not in _SKIPPED and not _is_generated(name, value)
        ]
        return ("class", v.__name__, [self._value(base) for base in v.__bases__], body)

    def _function(self, v: types.FunctionType) -> Any:
        own = v.__globals__ is self._namespace or v.__module__ != PROGRAM
        cells = [self._cell(cell) for cell in v.__closure__ or ()]
        parts = (v.__defaults__, v.__kwdefaults__, v.__dict__)
        return ("function", v.__name__, _code(v.__code__), own, cells, *map(self._value, parts))

    def _cell(self, cell: Any) -> Any:
        try:
            return self._value(cell.cell_contents)
        except ValueError:
            return "empty"


def _is_generated(name: str, value: Any) -> bool:
    """Methods that dataclasses and enum write themselves."""
    code = getattr(value, "__code__", None)
    return name.startswith("__") and "<program>" not in getattr(code, "co_filename", "<program>")


def _code(code: types.CodeType) -> Any:
    constants = [_code(k) if isinstance(k, types.CodeType) else repr(k) for k in code.co_consts]
    return (code.co_name, code.co_names, constants, code.co_varnames, code.co_freevars)
