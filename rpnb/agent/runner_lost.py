"""Why a value cannot be sent: the path to the first thing inside it that JSON cannot carry."""

from __future__ import annotations

import math
import sys
from typing import Any, Iterator, NamedTuple

# What turns a value of this kind into something JSON carries; the first that fits is shown.
_REMEDIES = (
    (("bytes", "bytearray", "memoryview"), "base64.b64encode(…).decode()"),
    (("set", "frozenset", "deque", "dict_keys", "dict_values", "range"), "list(…)"),
    (("datetime", "date", "time", "Timestamp"), ".isoformat()"),
    (("Decimal",), "float(…) or str(…)"),
    (("UUID", "Path", "PosixPath"), "str(…)"),
    (("Tensor", "ndarray", "Parameter"), ".tolist()"),
    (("DataFrame",), '.to_dict("records")'),
    (("Series",), ".to_list()"),
    (("Image",), "PNG bytes in base64"),
)
_STREAMS = ("generator", "async_generator", "coroutine")


class Unsendable(NamedTuple):
    """A place inside a value, and what stands there: `output["a"][3]`, `is a set, …`."""

    path: str
    fault: str

    def __str__(self) -> str:
        return f"{self.path} {self.fault}"


def first_unsendable(result: Any) -> Unsendable | None:
    """Return the first place of a result that `json.dumps` and UTF-8 refuse, or None."""
    if not isinstance(result, dict):
        return None
    walk = _walk(result, "", [])
    try:
        return next(walk, None)
    except RecursionError:
        return Unsendable("the result", "is nested too deeply for JSON")


def first_not_finite(result: Any) -> str | None:
    """Return the path and value of the first NaN or infinity: `output["x"] is NaN`."""
    for path, value in _leaves(result, ""):
        if isinstance(value, float) and not math.isfinite(value):
            name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
            return f"{path} is {name}"
    return None


def _walk(value: Any, path: str, above: list[int]) -> Iterator[Unsendable]:
    if isinstance(value, str):
        yield from _surrogate(value, path)
    elif value is None or isinstance(value, (int, float)):
        return
    elif not isinstance(value, (dict, list, tuple)):
        yield Unsendable(path, _fault(value))
    elif id(value) in above:
        yield Unsendable(path, "refers back to itself, which JSON cannot carry")
    else:
        yield from _walk_inside(value, path, [*above, id(value)])


def _walk_inside(value: Any, path: str, above: list[int]) -> Iterator[Unsendable]:
    if isinstance(value, dict):
        for key, item in value.items():
            if not (key is None or isinstance(key, (str, int, float))):
                yield Unsendable(
                    path, f"has the key {key!r:.60}, a {_kind(key)}; JSON's keys are text"
                )
            yield from _walk(item, _below(path, key), above)
    else:
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}[{index}]", above)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, _below(path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _below(path: str, key: Any) -> str:
    # The outermost keys are the POST's own: `output`, `error`.
    if not path:
        return str(key)
    return f'{path}["{key}"]' if isinstance(key, str) else f"{path}[{key!r:.60}]"


def _surrogate(text: str, path: str) -> Iterator[Unsendable]:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        fault = f"has half a surrogate pair at {error.start}, which UTF-8 cannot carry"
        yield Unsendable(path, fault)


def _kind(value: Any) -> str:
    kind = type(value)
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__.split('.')[0]}.{kind.__qualname__}"


def _fault(value: Any) -> str:
    name = type(value).__name__
    if name in _STREAMS:
        return (
            f"is a {name} that production never iterates: make the handler itself "
            "a generator function, or return a list"
        )
    remedy = _remedy(value)
    hint = f" (send {remedy})" if remedy else ""
    return f"is a {_kind(value)}, which JSON cannot carry{hint}"


def _remedy(value: Any) -> str | None:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return ".item()"
    if hasattr(type(value), "__dataclass_fields__"):
        return "dataclasses.asdict(…)"
    if hasattr(type(value), "model_dump"):
        return ".model_dump()"
    names = {base.__name__ for base in type(value).__mro__}
    return next((remedy for kinds, remedy in _REMEDIES if names.intersection(kinds)), None)
