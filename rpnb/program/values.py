"""Values as pickles that a plain `pickle.load` reads in the program's own namespace.

cloudpickle gives the functions of each pickle globals of their own. Here they
get those of `__main__`, which is the program on the worker and in the exported
file; the globals that they use are captured as names like any other. Functions
and classes whose source is known are not in the pickle at all: it refers to
them by name. So what is left of bytecode is bound to one version of Python.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ..errors import CannotCapture
from .obstacles import Obstacle, find_obstacle

PROTOCOL = 5
# Over this a value is not sent without being asked for.
LARGE_BYTES = 64 << 20


@dataclass(frozen=True)
class Pickled:
    """A value's pickle: `references` must be bound before it is loaded.

    `globals` are names that its functions look up when they are called;
    `bytecode` says that it holds code of this very Python version; `modules` are
    the top-level modules of its objects' classes.
    """

    data: bytes = field(repr=False)
    references: frozenset[str] = frozenset()
    globals: frozenset[str] = frozenset()
    bytecode: bool = False
    modules: frozenset[str] = frozenset()


def dump(
    name: str,
    value: Any,
    namespace: Mapping[str, Any],
    *,
    has_source: Callable[[str], bool] = frozenset().__contains__,
    limit: int | None = LARGE_BYTES,
) -> Pickled:
    """Return `value` pickled; `has_source` tells for which names a pickle may refer to it.

    Raises:
        CannotCapture: it cannot travel, or is larger than `limit`; names the path
            inside it and the remedy. A large value is measured, never held twice.
    """
    if limit is not None and _may_be_large(value):
        size = _measured(name, value, namespace, has_source)
        if size > limit:
            raise CannotCapture(_too_large(name, size), name=name, path=name)
    file = io.BytesIO()
    pickler = _run(name, value, file, namespace, has_source)
    data = file.getvalue()
    if limit is not None and len(data) > limit:
        raise CannotCapture(_too_large(name, len(data)), name=name, path=name)
    return Pickled(
        data,
        frozenset(pickler.references),
        frozenset(pickler.global_names),
        pickler.bytecode,
        frozenset(pickler.modules),
    )


class _Counter:
    """A file that only measures what is written to it."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: Any) -> int:
        written = len(memoryview(data).cast("B")) if not isinstance(data, bytes) else len(data)
        self.size += written
        return written


def _measured(
    name: str, value: Any, namespace: Mapping[str, Any], has_source: Callable[[str], bool]
) -> int:
    """Return how large the pickle would be; buffers are counted where they lie."""
    counter = _Counter()

    def count(buffer: pickle.PickleBuffer) -> None:
        counter.size += buffer.raw().nbytes

    _run(name, value, counter, namespace, has_source, count)
    return counter.size


def _may_be_large(value: Any) -> bool:
    """Tell whether measuring first is worth a second pass."""
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return size > LARGE_BYTES
    return not isinstance(value, (types.FunctionType, type)) and sys.getsizeof(value, 0) > 1 << 20


def _run(
    name: str,
    value: Any,
    file: Any,
    namespace: Mapping[str, Any],
    has_source: Callable[[str], bool],
    on_buffer: Callable[[pickle.PickleBuffer], None] | None = None,
) -> Any:
    pickler = _pickler_class()(file, namespace, has_source, on_buffer)
    try:
        pickler.dump(value)
    except _RefusedError as refused:
        found = find_obstacle(value, name)
        raise _cannot(name, found, str(refused)) from None
    except RecursionError:
        raise CannotCapture(
            f"`{name}` is nested too deeply to travel: build it in a remote cell",
            name=name,
            path=name,
        ) from None
    except Exception as error:  # noqa: BLE001 - a value's own __reduce__ may raise anything
        raise _cannot(name, find_obstacle(value, name), f"{error}") from None
    return pickler


def _cannot(name: str, found: Obstacle | None, reason: str) -> CannotCapture:
    if found is None:
        return CannotCapture(
            f"`{name}` cannot travel to the target: {reason}. Make it in a remote cell",
            name=name,
            path=name,
        )
    return CannotCapture(
        f"`{name}` cannot travel to the target: {found}. Remedy: {found.remedy}",
        name=name,
        path=found.path,
    )


def _too_large(name: str, size: int) -> str:
    return (
        f"`{name}` is {size / 1e6:,.0f} MB: a set-up cell would make it on the target without "
        f"sending it. To send it all the same: --send {name}"
    )


_NAMED = (type, types.FunctionType, types.BuiltinFunctionType)


class _RefusedError(Exception):
    """Something that a pickle would carry as something else."""


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


@cache
def _pickler_class() -> type[Any]:
    """The class, made late: cloudpickle is only imported when a value needs it."""
    import cloudpickle
    from cloudpickle import cloudpickle as inner

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
        """A pickler whose functions live in the program's one namespace."""

        def __init__(
            self,
            file: Any,
            namespace: Mapping[str, Any],
            has_source: Callable[[str], bool],
            on_buffer: Callable[[pickle.PickleBuffer], None] | None,
        ) -> None:
            super().__init__(file, protocol=PROTOCOL, buffer_callback=on_buffer)
            self.namespace, self.has_source = namespace, has_source
            self.references: set[str] = set()
            self.global_names: set[str] = set()
            self.modules: set[str] = set()
            self.bytecode = False
            self._main = _Main()
            self._globals = _Globals(self._main)

        def reducer_override(self, obj: Any) -> Any:
            module = getattr(obj if isinstance(obj, _NAMED) else type(obj), "__module__", None)
            if isinstance(module, str):
                self.modules.add(module.partition(".")[0])
            if isinstance(obj, (type, types.FunctionType)):
                name = getattr(obj, "__name__", "")
                if self.namespace.get(name) is obj and self.has_source(name):
                    self.references.add(name)
                    return getattr, (self._main, name)
            elif isinstance(obj, io.IOBase) and not isinstance(obj, (io.BytesIO, io.StringIO)):
                raise _RefusedError("it holds an open file")
            reduced = super().reducer_override(obj)
            if isinstance(obj, type) and isinstance(reduced, tuple):
                self.bytecode = self.bytecode or getattr(obj, "__module__", "") == "__main__"
            return reduced

        def _function_getnewargs(self, func: Any) -> Any:
            self.bytecode = True
            if func.__globals__ is not self.namespace:
                return super()._function_getnewargs(func)
            # The base class would fill a dictionary of this pickle's own.
            self.globals_ref[id(func.__globals__)] = {}
            code, _, *rest = super()._function_getnewargs(func)
            return (code, self._globals, *rest)

        def _dynamic_function_reduce(self, func: Any) -> Any:
            self.bytecode = True
            if func.__globals__ is not self.namespace:
                return super()._dynamic_function_reduce(func)
            state, slots = inner._function_getstate(func)
            self.global_names |= set(slots["__globals__"])
            slots["__globals__"] = {}
            return (
                inner._make_function,
                self._function_getnewargs(func),
                (state, slots),
                None,
                None,
                inner._function_setstate,
            )

    return Pickler


def loads(data: bytes) -> Any:
    """Return what a pickle of `dump` holds, as the program's text loads it."""
    return pickle.loads(data)
