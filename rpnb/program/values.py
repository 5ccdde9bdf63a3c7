"""Values as pickles that a plain `pickle.load` reads in the program's own namespace.

cloudpickle gives the functions of each pickle globals of their own. Here they
get those of `__main__`, which is the program on the worker and in the exported
file; the globals that they use are captured as names like any other. Functions
and classes whose source is known are not in the pickle at all: it refers to
them by name. So what is left of bytecode is bound to one version of Python.
"""

from __future__ import annotations

import pickle
import types
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import CannotCapture
from .content import Content
from .places import culprit, obstacles
from .stream import Stream

# They cannot be changed: two names may have a copy each.
_FIXED = (
    *(int, float, complex, str, bytes, bool, type(None), type(...), range, slice, tuple, frozenset),
    *(type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.CodeType),
)
# Looking through so many takes 0.05 s; what has more is data.
_MANY = 200_000

# Over this a value is not sent without being asked for.
LARGE_BYTES = 64 << 20


@dataclass(frozen=True)
class Pickled:
    """A value's pickle: `references` must be bound before it is loaded.

    `globals` are names that its functions look up when they are called;
    `bytecode` is what it holds as code of this very Python version; `modules` are
    the top-level modules of its objects, with the first of each, `by_name` what it takes from
    modules as (module, qualified name); `from_gpu` that tensors on this
    machine's GPU travel as copies in memory; `parts` are the objects in it that
    could be changed, by id.
    """

    content: Content = field(repr=False)
    references: frozenset[str] = frozenset()
    globals: frozenset[str] = frozenset()
    bytecode: tuple[Any, ...] = ()
    modules: Mapping[str, Any] = field(default_factory=dict, repr=False)
    by_name: frozenset[tuple[str, str]] = frozenset()
    from_gpu: bool = False
    parts: Mapping[int, Any] = field(default_factory=dict, repr=False)


def dump(
    name: str,
    value: Any,
    namespace: Mapping[str, Any],
    *,
    refer: Callable[[Any], str | None] = lambda _obj: None,
    limit: int | None = LARGE_BYTES,
) -> Pickled:
    """Return `value` pickled; `refer` says under which name the program has a function or class.

    Raises:
        CannotCapture: it cannot travel, or is larger than `limit`; names the path
            inside it and the remedy. A large value is never held twice.
    """
    stream = Stream(limit)
    pickler = _run(name, value, stream, stream.take, namespace, refer)
    if stream.is_slow and not stream.is_too_large:
        stream = Stream(limit)
        pickler = _run(name, value, stream, None, namespace, refer)
    if stream.is_too_large:
        raise CannotCapture(_too_large(name, stream.size), name=name, path=name)
    return Pickled(
        Content.of(stream.segments()),
        frozenset(pickler.references),
        frozenset(pickler.global_names),
        tuple(pickler.bytecode),
        pickler.modules,
        frozenset(pickler.by_name),
        pickler.from_gpu,
        _parts(value, pickler.memo.copy()),
    )


def containers(value: Any) -> dict[int, Any]:
    """Return the objects of a plain value that could be changed, itself included, by id."""
    return {key: each for key, each in inside(value).items() if not isinstance(each, _FIXED)}


def inside(value: Any) -> dict[int, Any]:
    """Return all objects that the lists, dictionaries and sets of a plain value hold, by id."""
    found: dict[int, Any] = {}
    todo = [value]
    while todo:
        each = todo.pop()
        if id(each) not in found:
            found[id(each)] = each
            todo += _items(each)
    return found


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return list(value) if isinstance(value, (list, tuple, set, frozenset, deque)) else []


def _parts(value: Any, memo: Mapping[int, tuple[int, Any]]) -> dict[int, Any]:
    """What a pickler has met, less what cannot change; of a great many only the value itself."""
    if len(memo) > _MANY:
        return {id(value): value}
    found = {id(each): each for _, each in memo.values() if not isinstance(each, _FIXED)}
    return {**found, id(value): value}


def loading(name: str, found: Pickled) -> tuple[str, str]:
    """Return the statement that binds `name` to the pickle's value, and the file that it reads.

    The names that the pickle refers to stand in no code: a comment tells the planner.
    """
    path = f"data/{name.strip('_')}-{found.content.digest[:8]}.pkl"
    place = f'pathlib.Path(__file__).parent / "data" / "{path.partition("/")[2]}"'
    needs = ", ".join(sorted((found.references | found.globals) - {name}))
    comment = f"  # rpnb: needs {needs}" if needs else ""
    return f"{name} = pickle.loads(({place}).read_bytes()){comment}", path


def _run(
    name: str,
    value: Any,
    stream: Stream,
    on_buffer: Callable[[pickle.PickleBuffer], bool] | None,
    namespace: Mapping[str, Any],
    refer: Callable[[Any], str | None],
) -> Any:
    # cloudpickle is only imported when a value needs it.
    from .pickler import Pickler, RefusedError

    def fails(part: Any) -> str:
        try:
            Pickler(Stream(0), namespace, refer, lambda _buffer: False).dump(part)
        except Exception as error:  # noqa: BLE001 - the question is whether
            return _said(error)
        return ""

    pickler = Pickler(stream, namespace, refer, on_buffer)
    try:
        pickler.dump(value)
    except RefusedError as refused:
        raise _cannot(name, value, str(refused), fails) from None
    except RecursionError:
        raise _too_deep(name) from None
    except Exception as error:  # noqa: BLE001 - a value's own __reduce__ may raise anything
        if isinstance(error.__context__, RecursionError):
            raise _too_deep(name) from None
        raise _cannot(name, value, _said(error), fails) from None
    return pickler


def _cannot(name: str, value: Any, reason: str, fails: Callable[[Any], str]) -> CannotCapture:
    known = obstacles(value, name)
    if known:
        listed = ", ".join(str(each) for each in known)
        remedies = "; ".join(dict.fromkeys(each.kind.remedy for each in known))
        path = known[0].path
    else:
        path, inner, said = culprit(value, name, fails)
        kind = f"{type(inner).__module__}.{type(inner).__qualname__}".replace("__main__.", "")
        listed = f"`{path}` is of the kind {kind.replace('builtins.', '')} ({said or reason})"
        remedies = "make it in a remote cell, or take from it here what the remote cell needs"
    return CannotCapture(
        f"`{name}` cannot travel to the target: {listed}. Remedy: {remedies}", name=name, path=path
    )


def _too_deep(name: str) -> CannotCapture:
    return CannotCapture(
        f"`{name}` is nested too deeply to travel. Remedy: build it in a remote cell",
        name=name,
        path=name,
    )


def _said(error: Exception) -> str:
    kind = type(error).__name__
    return f"{error}" if kind in ("TypeError", "PicklingError") else f"{kind}: {error}"


def _too_large(name: str, size: int) -> str:
    return (
        f"`{name}` is {size / 1e6:,.0f} MB: a set-up cell would make it on the target without "
        f"sending it. To send it all the same: --send {name}"
    )


def loads(data: bytes) -> Any:
    """Return what a pickle of `dump` holds, as the program's text loads it."""
    return pickle.loads(data)
