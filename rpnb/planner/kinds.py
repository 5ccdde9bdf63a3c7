"""What a name's value is at run time, as far as the planner must know.

imm     nothing can change it: numbers, strings, library classes' constants
mod     a module
log     a logger that only writes lines
code    a plain function or a class without mutable attributes
record  an instance of a class of the program's without code: a dataclass, a named tuple
data    anything else: it may be changed, and other values may share parts of it
active  data that reading may change: an iterator, an instance of the program's classes
names   the program's own module: who reads it may read and bind any name
"""

from __future__ import annotations

import dataclasses
import enum
import logging
import re
import sys
import sysconfig
import types
from typing import Any, Collection, Iterable, NamedTuple

from . import loggers
from .holdings import CONTAINERS, attributes, held, items

PROGRAM = "__main__"
RANK = {"imm": 0, "mod": 1, "log": 1, "code": 1, "record": 2, "data": 2, "active": 3, "names": 4}

_ATOMS = (
    *(int, float, complex, str, bytes, bool, range, enum.Enum, re.Pattern),
    *(type(None), type(...), type(NotImplemented), types.BuiltinFunctionType),
)
# What a builtin function is bound to that belongs to a module or a class.
_OF_NOBODY = (type(None), types.ModuleType, type)
_ATOM_NAMES = {
    *(("torch", "dtype"), ("torch", "device"), ("torch", "layout"), ("pathlib", "PosixPath")),
    *(("pathlib", "PurePosixPath"), ("decimal", "Decimal"), ("fractions", "Fraction")),
    *(("datetime", "datetime"), ("datetime", "date"), ("datetime", "timedelta")),
    *(("datetime", "timezone"), ("uuid", "UUID")),
    *(("typing", "_SpecialForm"), ("typing", "_SpecialGenericAlias")),
    *(("typing", "_TupleType"), ("typing", "_CallableType")),
}
_CLASS_BOOKKEEPING = {
    *("__dict__", "__weakref__", "__annotations__", "__dataclass_fields__"),
    *("__dataclass_params__", "__static_attributes__", "__annotate_func__"),
}
_ACCESSORS = (
    *(property, staticmethod, classmethod),
    *(types.GetSetDescriptorType, types.MemberDescriptorType),
)
# To use one is to change it; to go through the last ones is to draw from one.
_GENERATORS = {
    *(("torch", "Generator"), ("random", "Random"), ("numpy", "Generator")),
    *(("torch", "DataLoader"), ("torch", "RandomSampler"), ("torch", "SubsetRandomSampler")),
    *(("torch", "WeightedRandomSampler"), ("torch", "BatchSampler")),
}
# Slots, and the fields of named tuples.
_BOOKKEEPING = (
    *(types.GetSetDescriptorType, types.MemberDescriptorType),
    type(vars(NamedTuple("_Pair", [("first", int)]))["first"]),
)
# Where the functions come from that dataclasses write.
_WRITTEN = ("<string>", dataclasses.dataclass.__code__.co_filename)
# Methods of the program's that no mere reading runs.
_NOT_READING = frozenset(
    {
        *("__init__", "__new__", "__call__", "__enter__", "__exit__", "__aenter__", "__aexit__"),
        *("__init_subclass__", "__post_init__", "__del__", "__reduce__", "__getstate__"),
    }
)
# Where libraries lie; what is elsewhere may be the person's.
_LIBRARIES = tuple(set(sysconfig.get_paths().values()) - {sysconfig.get_path("data")})
# To read such a value runs none of the program's code.
_STILL = ("imm", "mod", "code", "log", "record", "data")
_DEPTH = 4
# A value of another kind keeps it, whatever is done to it.
_MAY_RISE = ("code", "log", "mod", "record", "data", None)


def kind(value: Any, program: str = PROGRAM, depth: int = 0) -> str:
    """Return `value`'s kind; `program` is the `__module__` of the program's own classes."""
    cls = type(value)
    own = cls.__module__ == program
    if cls is types.BuiltinFunctionType and not isinstance(value.__self__, _OF_NOBODY):
        # `a.append` is as good as `a`.
        return kind(value.__self__, program, depth)
    if not own and (
        isinstance(value, _ATOMS) or (cls.__module__.split(".")[0], cls.__name__) in _ATOM_NAMES
    ):
        return "imm"
    if cls in (tuple, frozenset) and depth < _DEPTH:
        kinds = {kind(item, program, depth + 1) for item in value}
        if kinds <= {"imm"}:
            return "imm"
        return "active" if "active" in kinds else "data"
    if cls is logging.Logger:
        # All that it can be told is read and put back as the resource `logging`.
        return "log" if loggers.is_plain(value) else "data"
    if value is logging and not loggers.is_plain(logging.getLogger()):
        return "data"
    if isinstance(value, types.ModuleType):
        return "names" if value.__name__ == program else "mod"
    if cls is types.FunctionType:
        return _function_kind(value, program, depth)
    if isinstance(value, type):
        return _class_kind(value, program, depth)
    if own and depth < _DEPTH and _is_record(cls, program):
        parts = value if isinstance(value, tuple) else vars(value).values()
        kinds = {kind(each, program, depth + 1) for each in list(parts)}
        return "record" if kinds.issubset(_STILL) else "active"
    if cls in CONTAINERS:
        return "active" if any(_acts(each, program) for each in held(value, items)) else "data"
    is_acting = own or _is_moved(cls) or _hold_acting(attributes(value), program)
    return "active" if is_acting else "data"


def _hold_acting(values: Iterable[Any], program: str) -> bool:
    """Tell whether to read any of these values, or what they hold, may change it."""
    every = [each.value if isinstance(each, enum.Enum) else each for each in values]
    return any(_acts(each, program) for v in every for each in (v, *held(v, items)))


def _is_moved(cls: type) -> bool:
    """Tell whether reading an object of a library's class changes it."""
    is_random = (cls.__module__.split(".")[0], cls.__name__) in _GENERATORS
    return is_random or hasattr(cls, "__next__") or hasattr(cls, "__missing__")


def _acts(value: Any, program: str) -> bool:
    """Tell whether to read a value that a container holds may change it."""
    cls = type(value)
    if cls.__module__ != program or isinstance(value, enum.Enum):
        return cls not in CONTAINERS and _is_moved(cls)
    own = (vars(parent) for parent in cls.__mro__ if parent.__module__ == program)
    return any(_runs(name, part) for parent in own for name, part in parent.items())


def _runs(name: str, part: Any) -> bool:
    """Tell whether reading an object runs a part of its class: a property, `__len__`."""
    if isinstance(part, (types.FunctionType, staticmethod, classmethod)):
        is_written = _is_private(name) and not _is_code(part)
        return _is_private(name) and name not in _NOT_READING and not is_written
    return _is_code(part)


def _is_record(cls: type, program: str) -> bool:
    """Tell whether all functions of a dataclass or named tuple are those that Python wrote."""
    is_tuple = cls.__bases__ == (tuple,) and "_fields" in vars(cls)
    is_data = "__dataclass_fields__" in vars(cls) and cls.__dictoffset__ != 0
    if type(cls) is not type or not (is_tuple or is_data):
        return False
    parents = [parent for parent in cls.__mro__ if parent not in (tuple, object)]
    if any(parent.__module__ != program for parent in parents):
        return False
    values = [value for parent in parents for value in vars(parent).values()]
    return not any(_is_code(value) for value in values)


def _is_code(value: Any) -> bool:
    if type(value) is types.FunctionType:
        return value.__code__.co_filename not in _WRITTEN and value.__module__ != "collections"
    if isinstance(value, (staticmethod, classmethod)):
        return _is_code(value.__func__)
    return hasattr(type(value), "__get__") and not isinstance(value, _BOOKKEEPING)


def _function_kind(function: types.FunctionType, program: str, depth: int) -> str:
    """A function that keeps something (cells, attributes, mutable defaults) is data."""
    if function.__closure__:
        return "data"
    kept = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    if _hold_acting([*kept, *function.__dict__.values()], program):
        return "active"
    if function.__code__.co_filename.startswith(_LIBRARIES):
        # Its defaults are the library's own affair, as a class's attributes are.
        return "code"
    if function.__dict__:
        return "data"
    if depth >= _DEPTH:
        # A default may lead back to the function itself.
        return "data" if kept else "code"
    return "code" if all(kind(v, program, depth + 1) == "imm" for v in kept) else "data"


def _class_kind(cls: type, program: str, depth: int) -> str:
    """A library's class counts as code; the program's own only without mutable attributes.

    What its own metaclass does, or an attribute's own `__get__`, whoever reads it may do.
    """
    if type(cls).__module__ == program:
        return "active"
    own = [parent for parent in cls.__mro__ if parent.__module__ == program]
    if _hold_acting([value for parent in own for value in vars(parent).values()], program):
        return "active"
    for parent in own:
        for name, value in list(vars(parent).items()):
            if name in _CLASS_BOOKKEEPING or isinstance(value, _ACCESSORS):
                continue
            if depth >= _DEPTH or kind(value, program, depth + 1) not in ("imm", "code", "mod"):
                return "data"
    return "code"


def form(value: Any, program: str = PROGRAM) -> list[Any]:
    """What a function or class is made of: it was changed in place if a part is another object."""
    value = getattr(value, "__func__", value)
    if type(value) is types.FunctionType:
        parts: list[Any] = [value.__code__, value.__defaults__, value.__kwdefaults__]
        parts += [value.__doc__, value.__name__, value.__qualname__]
        return [*parts, *value.__annotations__, *value.__annotations__.values()]
    own = [c for c in getattr(value, "__mro__", ()) if c.__module__ == program]
    attributes = [(name, v) for c in own for name, v in vars(c).items() if not _is_kept(name, v)]
    return [part for name, v in attributes for part in (name, v, *(form(v) if callable(v) else ()))]


def _is_kept(name: str, value: Any) -> bool:
    """Tell whether a class attribute is Python's or a library's own bookkeeping."""
    is_text = name == "__doc__" or callable(value)
    return name.startswith("_abc_") or (_is_private(name) and not is_text)


def is_of_library(value: Any) -> bool:
    """Tell whether a class, function or module was not written beside the program."""
    name = value.__name__ if isinstance(value, types.ModuleType) else value.__module__
    home = getattr(sys.modules.get(name or ""), "__file__", None)
    return name != PROGRAM and (not home or home.startswith(_LIBRARIES))


class Watch:
    """Watches a namespace while steps run: what each one bound, what kinds names have had.

    A name's kind is the highest it ever had, as long as it is not dropped: values
    made while it was data may still share parts with it.
    """

    def __init__(self, namespace: dict[str, Any], program: str = PROGRAM) -> None:
        self.namespace, self._program = namespace, program
        self.kinds: dict[str, str] = {}
        self._before: dict[str, Any] = {}
        self._marks: dict[str, int] = {}
        # Name of a code value -> the value, and its form when it was first seen.
        self._forms: dict[str, tuple[Any, list[Any]]] = {}

    def start(self) -> None:
        """Remember the namespace as it is; call it right before a step runs."""
        self._before = dict(self.namespace)

    def stop(self) -> frozenset[str]:
        """Return the names that were bound, rebound or deleted since `start`."""
        before, after = self._before, self.namespace
        changed = {name for name, value in after.items() if before.get(name, self) is not value}
        self.look(changed)
        changed.update(name for name in before if name not in after)
        self._before = {}
        return frozenset(name for name in changed if not _is_private(name))

    def mark(self) -> None:
        """Remember what the names are bound to, without keeping it alive; call it before a job."""
        self._marks = {name: id(value) for name, value in self.namespace.items()}

    def rebound(self) -> frozenset[str]:
        """Return the names that were bound, rebound or deleted since `mark`."""
        now = {name: id(value) for name, value in self.namespace.items()}
        every = {**self._marks, **now}
        changed = {name for name in every if self._marks.get(name) != now.get(name)}
        return frozenset(name for name in changed if not _is_private(name))

    def look(self, changed: Collection[str] | None = None) -> None:
        """Bring `kinds` up to date; call it after a job, too.

        Only the names of `changed` have got other values, None for perhaps all. What
        was code may have become data in place: a function got an attribute, a class another one.
        """
        for name, value in list(self.namespace.items()):
            is_new = changed is None or name in changed
            if (is_new or self.kinds.get(name) in _MAY_RISE) and not _is_private(name):
                self._merge(name, self._kind(name, value))

    def _kind(self, name: str, value: Any) -> str:
        found = kind(value, self._program)
        if found != "code":
            self._forms.pop(name, None)
            return found
        now = form(value, self._program)
        seen, before = self._forms.setdefault(name, (value, now))
        if seen is not value:
            self._forms[name] = (value, now)
        elif len(before) != len(now) or any(a is not b for a, b in zip(before, now)):
            return "data"
        return "code"

    def renew(self) -> None:
        """Take what functions and classes are made of now for what they were first seen with.

        Call it when their code was exchanged, for new line numbers.
        """
        for name, (value, _) in self._forms.items():
            self._forms[name] = (value, form(value, self._program))

    def drop(self, names: Collection[str]) -> None:
        """Delete `names` from the namespace and forget their kinds."""
        annotations = self.namespace.get("__annotations__", {})
        for name in names:
            self.namespace.pop(name, None)
            self.kinds.pop(name, None)
            self._forms.pop(name, None)
            annotations.pop(name, None)
        # A module without a docstring has None.
        self.namespace.setdefault("__doc__", None)

    def _merge(self, name: str, new: str) -> None:
        old = self.kinds.get(name)
        if old is None or RANK[new] > RANK[old]:
            self.kinds[name] = new
        elif new != old and RANK[new] == RANK[old]:
            self.kinds[name] = "data"


def _is_private(name: str) -> bool:
    """Python's own names (`__name__`, `__builtins__`) are no state of the program's."""
    return name.startswith("__") and name.endswith("__")
