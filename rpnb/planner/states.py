"""Whether a call that is known to change nothing did: what it was called on, what it was given."""

from __future__ import annotations

import types
import zlib
from typing import Any, Iterable, Iterator, Mapping, Sequence

from .holdings import CONTAINERS, MOST, are_same, attributes, contents, held
from .kinds import is_of_library, kind
from .torch_modules import is_module, sets_state_itself, top

# Bytes of an array; a larger one is not read to compare it.
_MOST = 1 << 26


class Given:
    """Containers of numbers and texts that a step is given, and which of them stay as they are."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Only what is known to the last part is looked at."""
        self._values = {n: v for n, v in values.items() if type(v) in CONTAINERS}
        self._before = {n: list(contents(v)) for n, v in self._values.items()}

    def unchanged(self) -> frozenset[str]:
        """Return the names whose values hold what they held, and nothing that could change."""
        return frozenset(
            name
            for name, before in self._before.items()
            if are_same(before, list(contents(self._values[name]))) and _are_fixed(before)
        )


def _are_fixed(parts: Sequence[Any]) -> bool:
    """Tell whether these are containers and what nothing can change, and surely all there are."""
    inner = [each for each in parts if type(each) not in CONTAINERS]
    return len(parts) < MOST and all(kind(each) == "imm" for each in inner)


class State:
    """What torch modules and arguments hold, and whether they still do after a call.

    Some modules keep a state of their own in eval state, too: a table that grows with the
    longest text, what a recurrent network heard last. An argument may be written to
    (`out`, `inplace=True`), or collect what was computed (a cache).
    """

    def __init__(self, called: Iterable[Any], given: Iterable[Any]) -> None:
        """Of what is `called` only torch modules are looked at: a pipeline counts its calls."""
        self._modules = [value for value in called if is_module(value)]
        self._given = list(given)
        self._before = list(self._marks())

    def is_same(self) -> bool:
        """Tell whether every part is the object that it was, with the content that it had."""
        after = list(self._marks())
        return len(self._before) == len(after) and all(
            one is other and mark == now for (one, mark), (other, now) in zip(self._before, after)
        )

    def _marks(self) -> Iterator[tuple[Any, Any]]:
        """Yield the values that are held, with what shows a change in place.

        They are kept until they are compared: another object may get the id of one that is gone.
        """
        for module in self._modules:
            yield from _of_module(module)
        for value in self._given:
            for each in (value, *held(value, _parts)):
                yield each, _mark(each)
                if is_module(each):
                    yield from _of_module(each)


def _of_module(module: Any) -> Iterator[tuple[Any, Any]]:
    for part in module.modules():
        for name, value in vars(part).items():
            if name == "training" and sets_state_itself(part):
                continue
            yield value, _mark(value)
            if isinstance(value, dict):
                yield from ((each, _mark(each)) for each in value.values())


def _parts(value: Any) -> Iterable[Any]:
    # An image is read when it is first asked for; a module is looked at as a whole.
    is_whole = is_module(value) or top(type(value).__module__) == "PIL"
    if is_whole:
        return ()
    if isinstance(value, (type, types.FunctionType)) or _is_local(value):
        return [] if is_of_library(value) else list(vars(value).values())
    return attributes(value)


def _is_local(value: Any) -> bool:
    return isinstance(value, types.ModuleType) and getattr(value, "__file__", None) is not None


def _mark(value: Any) -> Any:
    """How often a tensor was written to, an array's content, how many elements there are."""
    try:
        if type(value).__name__ == "ndarray" and value.nbytes < _MOST:
            return zlib.crc32(value.tobytes())
        if hasattr(type(value), "_version"):
            return value._version, value.dtype, value.device
        return len(value)
    except Exception:  # noqa: BLE001 - a tensor of inference mode does not count, and most have no length
        return None
