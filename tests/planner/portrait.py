"""A namespace as plain data: values, what is shared, closures, classes, iterators, modules."""

from __future__ import annotations

import enum
import functools
import gc
import hashlib
import logging
import random
import types
import weakref
from collections.abc import Collection
from typing import Any

PROGRAM = "__main__"
# What Python and its libraries write themselves, differently from minor to minor.
_SKIPPED = {
    *("__dict__", "__weakref__", "__firstlineno__", "__static_attributes__"),
    *("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__replace__"),
    *("_hashable_values_", "_unhashable_values_", "_unhashable_values_map_", "__new__"),
    *("__slotnames__", "__abstractmethods__", "_abc_impl", "__orig_bases__", "__parameters__"),
}
_OF_MODULES = {
    *("__builtins__", "__cached__", "__loader__", "__spec__", "__file__", "__path__"),
    *("__name__", "__package__", "__warningregistry__"),
}
_PLAIN = (int, float, complex, str, bytes, bool, type(None), range, slice, type(...), type)
_ARRAY = ("ndarray",)


class Portrait:
    """Draws a namespace; equal portraits mean equal values with equal sharing.

    What the `hidden` names hold is left out wherever it is met.
    """

    # Of those that are compared, only the planner puts lines right.
    has_lines = True

    def __init__(self, namespace: dict[str, Any], hidden: Collection[str]) -> None:
        self._namespace = namespace
        self._seen: dict[int, Any] = {}
        self._alive: list[Any] = []
        self._hidden = hidden
        for name in hidden:
            if name in namespace:
                self._hide(namespace[name], f"hidden {name}", 0)

    def _hide(self, v: Any, label: str, depth: int) -> None:
        """Leave out a value; of an object also what its attributes hold: jobs may fill these."""
        if isinstance(v, _PLAIN[:-1]) or depth > 2 or id(v) in self._seen:
            return
        self._seen[id(v)] = label
        attributes = getattr(v, "__dict__", None) if _is_own(v) else None
        for each in [attributes, *(attributes.values() if type(attributes) is dict else ())]:
            if isinstance(each, (dict, list, set)):
                self._hide(each, label, depth + 1)

    def draw(self) -> dict[str, Any]:
        """Return name -> description."""
        # Classes that nothing holds any more are seen by the classes they inherit from.
        gc.collect()
        kept = (n for n in self._namespace if not _is_private(n) and n not in self._hidden)
        found = {name: self.value(self._namespace[name]) for name in sorted(kept)}
        for name in ("__doc__", "__annotations__"):
            shown = self._namespace.get(name) or None
            if isinstance(shown, dict):
                shown = dict(sorted((k, v) for k, v in shown.items() if k not in self._hidden))
            found[name] = self.value(shown or None)
        return found

    def value(self, v: Any) -> Any:
        """Return the description of one value; one met before is a reference to it."""
        if isinstance(v, _PLAIN) and not isinstance(v, enum.Enum) and not _is_own(v):
            return ("type", v.__qualname__) if isinstance(v, type) else repr(v)
        if isinstance(v, tuple) and type(v) is tuple:
            # Equal constants of one file are one object, those of two steps are not.
            return ("tuple", [self.value(item) for item in v])
        if id(v) in self._seen:
            return ("seen", self._seen[id(v)])
        self._seen[id(v)] = len(self._alive)
        self._alive.append(v)
        return self._new(v)

    def _new(self, v: Any) -> Any:
        cls = type(v)
        for sort, describe in _SORTS:
            if isinstance(v, sort):
                return describe(self, v)
        if cls.__name__ in _ARRAY:
            base = self.value(v.base) if isinstance(v.base, cls) else None
            return ("array", str(v.dtype), v.shape, self.value(v.tolist()), base)
        if hasattr(v, "cache_info"):
            return ("cache", tuple(v.cache_info()), self.value(v.__wrapped__))
        return self._other(v, cls)

    def _other(self, v: Any, cls: type) -> Any:
        if cls.__name__.startswith("dict_"):
            # An iterator that has gone wrong since jobs filled its dictionary.
            return ("iterator", cls.__name__)
        if hasattr(cls, "__next__") and hasattr(cls, "__reduce__") and not _is_own(cls):
            try:
                return ("iterator", cls.__name__, self.value(list(v.__reduce__()[1:])))
            except (TypeError, RuntimeError):
                return ("iterator", cls.__name__)
        if cls.__module__ in ("typing", "types", "re", "operator"):
            return (cls.__name__, self._alias(v))
        return ("object", self.value(cls), *self._parts(v))

    def _alias(self, v: Any) -> Any:
        """Lazy aliases are looked into; other such objects say all by their repr."""
        try:
            return repr(v), self.value(getattr(v, "__value__", None))
        except Exception as error:  # noqa: BLE001 - a lazy alias may refer to nothing
            return repr(v), repr(error)

    def _parts(self, v: Any) -> tuple[Any, ...]:
        """Attributes: those in the dictionary, and those in slots."""
        slots = (
            name
            for cls in type(v).__mro__
            for name in _slots(cls)
            if name not in ("__dict__", "__weakref__")
        )
        found = {name: getattr(v, name) for name in slots if hasattr(v, name)}
        found.update(getattr(v, "__dict__", {}))
        return tuple((k, self.value(x)) for k, x in sorted(found.items()) if k != "lock")

    def _sequence(self, v: Any) -> Any:
        items = [self.value(item) for item in list(v)]
        return (type(v).__name__, items, getattr(v, "maxlen", None), *self._extra(v))

    def _mapping(self, v: Any) -> Any:
        items = [(self.value(k), self.value(x)) for k, x in v.items()]
        factory = self.value(getattr(v, "default_factory", None))
        return (type(v).__name__, items, factory, *self._extra(v))

    def _set(self, v: Any) -> Any:
        return (type(v).__name__, sorted((self.value(x) for x in v), key=repr), *self._extra(v))

    def _extra(self, v: Any) -> tuple[Any, ...]:
        """What an instance of a program's subclass of a container holds besides."""
        return (self.value(type(v)), *self._parts(v)) if _is_own(type(v)) else ()

    def _enum(self, v: Any) -> Any:
        return ("member", self.value(type(v)), v.name)

    def _class(self, v: type) -> Any:
        body = [
            (name, self.value(value))
            for name, value in sorted(vars(v).items())
            if name not in _SKIPPED and not _is_generated(name, value)
        ]
        bases = [self.value(base) for base in v.__bases__]
        below = sorted(cls.__name__ for cls in _subclasses(v) if _is_own(cls))
        return ("class", v.__qualname__, self.value(type(v)), bases, body, below)

    def _function(self, v: types.FunctionType) -> Any:
        own = v.__globals__ is self._namespace or v.__module__ != PROGRAM
        cells = [self._cell(cell) for cell in v.__closure__ or ()]
        parts = (v.__defaults__, v.__kwdefaults__, v.__dict__, v.__annotations__, v.__doc__)
        name = (v.__name__, v.__qualname__)
        return ("function", *name, _code(v.__code__), own, cells, *map(self.value, parts))

    def _cell(self, cell: Any) -> Any:
        try:
            return self.value(cell.cell_contents)
        except ValueError:
            return "empty"

    def _builtin(self, v: Any) -> Any:
        owner = getattr(v, "__self__", None)
        if owner is None or isinstance(owner, types.ModuleType):
            return ("named", v.__name__)
        return ("bound", v.__name__, self.value(owner))

    def _module(self, v: types.ModuleType) -> Any:
        """Local modules are looked into."""
        if "/app/" not in (getattr(v, "__file__", None) or ""):
            return ("named", v.__name__)
        return ("module", v.__name__, *self._names(vars(v)))

    def _names(self, names: dict[str, Any]) -> list[Any]:
        return [(k, self.value(x)) for k, x in sorted(names.items()) if k not in _OF_MODULES]

    def _frame(self, v: Any) -> Any:
        kind = "".join(c for c in type(v).__name__ if c in "acg")[:1]
        prefix = {"generator": "gi", "coroutine": "cr", "async_generator": "ag"}[type(v).__name__]
        frame, code = getattr(v, f"{prefix}_frame"), getattr(v, f"{prefix}_code")
        inside = list(frame.f_locals.items()) if frame else None
        return (prefix, kind, code.co_name, frame and frame.f_lasti, self.value(inside))

    def _descriptor(self, v: Any) -> Any:
        names = ("fget", "fset", "fdel", "__func__", "func", "attrname")
        return (type(v).__name__, *(self.value(getattr(v, name, None)) for name in names))


_SORTS: list[tuple[Any, Any]] = [
    (types.BuiltinFunctionType, Portrait._builtin),
    (types.ModuleType, Portrait._module),
    (enum.Enum, Portrait._enum),
    (type, Portrait._class),
    (types.FunctionType, Portrait._function),
    ((dict, types.MappingProxyType), Portrait._mapping),
    ((set, frozenset), Portrait._set),
    ((property, classmethod, staticmethod, functools.cached_property), Portrait._descriptor),
    ((types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType), Portrait._frame),
    (types.MethodType, lambda p, v: ("method", p.value(v.__func__), p.value(v.__self__))),
    (functools.partial, lambda p, v: ("partial", *map(p.value, (v.func, v.args, v.keywords)))),
    (weakref.ref, lambda p, v: ("ref", p.value(v()))),
    (BaseException, lambda p, v: ("error", type(v).__name__, p.value(v.args), *p._parts(v))),
    (random.Random, lambda p, v: ("random", _digest(v.getstate()))),
    (logging.Logger, lambda p, v: ("logger", v.name)),
    ((list, tuple), Portrait._sequence),
    (bytearray, lambda p, v: ("bytearray", repr(v))),
]


def _digest(value: object) -> str:
    return hashlib.blake2b(repr(value).encode(), digest_size=8).hexdigest()


def _is_private(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_own(v: Any) -> bool:
    """Tell whether a class, or the class of a value, is the program's or a local module's."""
    cls = v if isinstance(v, type) else type(v)
    return cls.__module__ == PROGRAM or cls.__module__.startswith(("lm_", "lp_"))


def _subclasses(cls: type) -> list[type]:
    return type.__subclasses__(cls) if cls is not type else []


def _slots(cls: type) -> tuple[str, ...]:
    found = vars(cls).get("__slots__", ())
    return (found,) if isinstance(found, str) else tuple(found)


def _is_generated(name: str, value: Any) -> bool:
    """Methods that dataclasses and enum write themselves, and what asking for it makes."""
    if name == "__annotations__" and not value:
        return True
    code = getattr(value, "__code__", None)
    return name.startswith("__") and "/app/" not in getattr(code, "co_filename", "/app/")


def _code(code: types.CodeType) -> Any:
    constants = [_code(k) if isinstance(k, types.CodeType) else repr(k) for k in code.co_consts]
    names = (code.co_names, code.co_varnames, code.co_freevars)
    line = code.co_firstlineno if Portrait.has_lines else 0
    return (code.co_name, line, names, constants, code.co_flags)
