"""The place inside a value that keeps it from travelling, and what to do about it."""

from __future__ import annotations

import asyncio
import io
import socket
import subprocess
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Queue, SimpleQueue
from typing import Any

_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_DEPTH, _BREADTH = 12, 10_000


@dataclass(frozen=True)
class Obstacle:
    """What cannot travel: where it is (`cfg.session.lock`), what it is, and the remedy."""

    path: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"`{self.path}` is {self.what}"


_SYNC = "create it in a remote cell, where it is used"
_TABLE: tuple[tuple[Callable[[Any], bool], str, str], ...] = (
    (lambda v: isinstance(v, _LOCKS), "a thread lock", _SYNC),
    (
        lambda v: isinstance(
            v, (threading.Event, threading.Condition, threading.Semaphore, threading.Barrier)
        ),
        "a thread synchronisation object",
        _SYNC,
    ),
    (lambda v: isinstance(v, threading.local), "thread-local data", _SYNC),
    (lambda v: isinstance(v, threading.Thread), "a thread", "start it in a remote cell"),
    (lambda v: isinstance(v, (Queue, SimpleQueue)), "a queue between threads", _SYNC),
    (
        lambda v: isinstance(v, io.IOBase) and not isinstance(v, (io.BytesIO, io.StringIO)),
        "an open file",
        "open the file in a remote cell, or capture what it holds: data = file.read()",
    ),
    (lambda v: isinstance(v, socket.socket), "a socket", "connect in a remote cell"),
    (lambda v: isinstance(v, subprocess.Popen), "a running process", "start it in a remote cell"),
    (
        lambda v: isinstance(v, (types.GeneratorType, types.AsyncGeneratorType)),
        "a generator",
        "keep the function that makes it, or capture list(…) of it",
    ),
    (
        lambda v: isinstance(v, types.CoroutineType),
        "a coroutine",
        "await it here and capture the result",
    ),
    (
        lambda v: isinstance(v, (asyncio.Future, asyncio.AbstractEventLoop)),
        "part of a running event loop",
        "create it in a remote cell",
    ),
    (
        lambda v: isinstance(v, (types.FrameType, types.TracebackType)),
        "a stack frame",
        "keep what it says as text: traceback.format_exc()",
    ),
    (
        lambda v: _module_of(v) == "sqlite3" and type(v).__name__ in ("Connection", "Cursor"),
        "a database connection",
        "connect in a remote cell",
    ),
    (
        lambda v: (
            _module_of(v).startswith("multiprocessing")
            and type(v).__name__ in ("Lock", "RLock", "Process", "ForkProcess", "Queue", "Pool")
        ),
        "tied to this machine's processes",
        "create it in a remote cell",
    ),
    (
        lambda v: _module_of(v) == "_hashlib" or type(v).__name__ == "HASH",
        "a hash in progress",
        "capture its hexdigest()",
    ),
)


def find_obstacle(value: Any, name: str) -> Obstacle | None:
    """Return the first thing inside `value` that cannot travel, None if none is seen."""
    seen: set[int] = set()
    level = [(name, value)]
    for _ in range(_DEPTH):
        following: list[tuple[str, Any]] = []
        for path, each in level:
            if id(each) in seen:
                continue
            seen.add(id(each))
            found = _obstacle(path, each)
            if found is not None:
                return found
            if len(seen) < _BREADTH:
                following += _inside(path, each)
        level = following
    return None


def _obstacle(path: str, value: Any) -> Obstacle | None:
    for is_one, what, remedy in _TABLE:
        try:
            if is_one(value):
                return Obstacle(path, what, remedy)
        except Exception:  # noqa: BLE001, PERF203 - a foreign object may raise anything from an attribute
            continue
    return None


def _module_of(value: Any) -> str:
    return str(getattr(type(value), "__module__", ""))


def _inside(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What a pickle of `value` would hold, each with its path."""
    if isinstance(value, (str, bytes, bytearray, int, float, complex, type(None), type)):
        return
    if isinstance(value, dict):
        for key, each in list(value.items())[:_BREADTH]:
            yield f"{path}[{_short(key)}]", each
    elif isinstance(value, (list, tuple, set, frozenset)):
        for number, each in enumerate(list(value)[:_BREADTH]):
            yield f"{path}[{number}]" if isinstance(value, (list, tuple)) else f"{path}{{…}}", each
    elif isinstance(value, types.FunctionType):
        yield from _inside_function(path, value)
    elif isinstance(value, types.MethodType):
        yield f"{path}.__self__", value.__self__
    elif not isinstance(value, types.ModuleType):
        yield from _attributes(path, value)


def _inside_function(path: str, function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f"{path}'s {name}", cell.cell_contents
        except ValueError:  # noqa: PERF203 - a cell that is not filled yet
            continue
    for number, each in enumerate(function.__defaults__ or ()):
        yield f"{path}'s default {number + 1}", each


def _attributes(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    found = dict(getattr(value, "__dict__", None) or {})
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in [slots] if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                found[slot] = getattr(value, slot)
    state = getattr(type(value), "__getstate__", None)
    if state is not None and state is not getattr(object, "__getstate__", None):
        # It chooses what travels; an attribute that it leaves out is no obstacle.
        try:
            chosen = value.__getstate__()
        except Exception:  # noqa: BLE001 - its own error is reported by the attempt to pickle
            chosen = None
        if isinstance(chosen, dict):
            found = chosen
    if hasattr(value, "func") and hasattr(value, "args") and hasattr(value, "keywords"):
        found |= {"func": value.func, "args": value.args, "keywords": value.keywords}
    for name, each in found.items():
        yield f"{path}.{name}", each


def _short(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= 40 else text[:37] + "…"
