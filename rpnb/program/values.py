"""Values as pickles that a plain `pickle.load` reads in the program's own namespace.

cloudpickle gives the functions of each pickle globals of their own. Here they
get those of `__main__`, which is the program on the worker and in the exported
file; the globals that they use are captured as names like any other. Functions
and classes whose source is known are not in the pickle at all: it refers to
them by name. So what is left of bytecode is bound to one version of Python.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import CannotCapture
from .obstacles import Obstacle, find_obstacle

# Over this a value is not sent without being asked for.
LARGE_BYTES = 64 << 20


@dataclass(frozen=True)
class Pickled:
    """A value's pickle: `references` must be bound before it is loaded.

    `globals` are names that its functions look up when they are called;
    `bytecode` says that it holds code of this very Python version; `modules` are
    the top-level modules of its objects' classes; `from_gpu` that tensors on this
    machine's GPU travel as copies in memory.
    """

    data: bytes = field(repr=False)
    references: frozenset[str] = frozenset()
    globals: frozenset[str] = frozenset()
    bytecode: bool = False
    modules: frozenset[str] = frozenset()
    from_gpu: bool = False


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
        pickler.from_gpu,
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
    # cloudpickle is only imported when a value needs it.
    from .pickler import Pickler, RefusedError

    pickler = Pickler(file, namespace, has_source, on_buffer)
    try:
        pickler.dump(value)
    except RefusedError as refused:
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


def loads(data: bytes) -> Any:
    """Return what a pickle of `dump` holds, as the program's text loads it."""
    return pickle.loads(data)
