"""cloudpickle's pickler, with functions in the program's one namespace.

Private hooks of cloudpickle are used (2.2 to 3.1 have them): the tests say when
a release changes them.
"""

from __future__ import annotations

import importlib
import operator
import sys
import types
from collections.abc import Callable, Mapping
from pickle import PickleBuffer
from typing import Any

import cloudpickle

from .expressions import is_reloaded
from .names import spaces
from .obstacles import stays

PROTOCOL = 5
# torch's names for NVIDIA's and AMD's, Apple's, Intel's.
_GPUS = frozenset({"cuda", "mps", "xpu"})
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType)


class RefusedError(Exception):
    """Something that a pickle would carry as something else than it is."""


class _Main:
    """Stands for the module `__main__` of whoever loads the pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, ("__main__",)


class _Globals:
    """Stands for that module's dictionary."""

    def __init__(self, main: _Main) -> None:
        self.main = main

    def __reduce__(self) -> tuple[Any, ...]:
        return vars, (self.main,)


def module_of(obj: Any) -> set[str]:
    """Return the top-level modules that a pickle of the object asks for, none for a made one.

    What an object of a cell's class is made of may be its base's affair: a pydantic model's.
    """
    if isinstance(obj, types.ModuleType):
        return {obj.__name__.partition(".")[0]}
    made: tuple[Any, ...] = (obj,) if isinstance(obj, _NAMED) else (type(obj),)
    if type(obj).__module__ == "__main__":
        made = type(obj).__mro__
    named = [each.__module__ for each in made]
    return {each.partition(".")[0] for each in named if isinstance(each, str)}


def _is_on_gpu(obj: Any) -> bool:
    kind = type(obj)
    is_tensor = kind.__module__ == "torch" and kind.__name__ == "Tensor"
    return is_tensor and obj.device.type in _GPUS


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """A pickler whose functions live in the program's one namespace."""

    def __init__(
        self,
        file: Any,
        namespace: Mapping[str, Any],
        refer: Callable[[Any], str | None],
        on_buffer: Callable[[PickleBuffer], bool] | None,
    ) -> None:
        super().__init__(file, protocol=PROTOCOL, buffer_callback=on_buffer)
        self.refer, self._spaces = refer, spaces(namespace)
        self.references: set[str] = set()
        self.global_names: set[str] = set()
        # The first object of each top-level module.
        self.modules: dict[str, Any] = {}
        # What it takes from modules by name, as (module, qualified name).
        self.by_name: set[tuple[str, str]] = set()
        # What has no source: its code goes along, which only this Python runs.
        self.bytecode: list[Any] = []
        # A tensor on this machine's GPU was copied into memory.
        self.from_gpu = False
        self._staying: dict[type, bool] = {}
        self._main = _Main()
        self._globals = _Globals(self._main)

    def reducer_override(self, obj: Any) -> Any:
        """Refer to what has a source by its name; refuse what would become something else."""
        for module in module_of(obj):
            self.modules.setdefault(module, obj)
        if isinstance(obj, (type, types.FunctionType)):
            path = self.refer(obj)
            if path is not None:
                self.references.add(path.partition(".")[0])
                if "." in path:
                    return operator.attrgetter(path), (self._main,)
                return getattr, (self._main, path)
            if isinstance(obj, types.FunctionType) and is_reloaded(obj):
                # What `%autoreload` left behind is by its name the new one.
                return operator.attrgetter(obj.__qualname__), (sys.modules[obj.__module__],)
        elif self._stays(type(obj)):
            raise RefusedError(type(obj).__name__)
        elif _is_on_gpu(obj):
            self.from_gpu = True
            # What a parameter or a module holds comes here as a tensor of its own.
            copy = obj.detach().cpu()
            copy.requires_grad_(obj.requires_grad)
            return copy.__reduce_ex__(PROTOCOL)
        reduced = super().reducer_override(obj)
        if reduced is NotImplemented and isinstance(obj, _NAMED):
            self.by_name.add((str(obj.__module__), obj.__qualname__))
        is_made = isinstance(obj, type) and isinstance(reduced, tuple)
        if isinstance(obj, types.CodeType) or (is_made and module_of(obj) == {"__main__"}):
            self.bytecode.append(obj)
        return reduced

    def _stays(self, cls: type) -> bool:
        if cls not in self._staying:
            self._staying[cls] = stays(cls)
        return self._staying[cls]

    def _function_getnewargs(self, func: Any) -> Any:
        self.bytecode.append(func)
        if not any(func.__globals__ is own for own in self._spaces):
            return super()._function_getnewargs(func)
        # The base class would fill a dictionary of this pickle's own.
        self.globals_ref[id(func.__globals__)] = {}
        code, _, *rest = super()._function_getnewargs(func)
        return (code, self._globals, *rest)

    def _dynamic_function_reduce(self, func: Any) -> Any:
        self.bytecode.append(func)
        if not any(func.__globals__ is own for own in self._spaces):
            return super()._dynamic_function_reduce(func)
        make, arguments, (state, slots), *rest = super()._dynamic_function_reduce(func)
        self.global_names |= set(slots["__globals__"])
        return (make, arguments, (state, {**slots, "__globals__": {}}), *rest)
