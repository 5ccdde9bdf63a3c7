"""Captured values: steps that load a pickle, as the program builder writes them."""

from __future__ import annotations

import functools
import random
import types
from collections.abc import Callable
from typing import Any

from rpnb.program.values import dump, loading

NAMES = ("V1", "V2")
# What a notebook has defined in cells: a pickle refers to these by name.
_NOTEBOOK: dict[str, Any] = {
    "__name__": "__main__",
    "C": type("C", (), {"__module__": "__main__"}),
    "f": types.FunctionType((lambda v: v).__code__, {}, "f"),
    "x": 1,
}
_CODE = """
def made(n):
    return lambda v: [v, n, x]

def doubled(v):
    return [f(v), x]
"""


def _instance(n: int) -> Any:
    found = _NOTEBOOK["C"]()
    found.q, found.z = [n], n
    return found


def _code(name: str, n: int) -> Any:
    exec(_CODE, _NOTEBOOK)
    return _NOTEBOOK["made"](n) if name == "made" else _NOTEBOOK["doubled"]


_SORTS: list[Callable[[int], Any]] = [
    lambda n: [n],
    lambda n: {"k": [n, n]},
    lambda n: (n, [n]),
    lambda n: "text" * n,
    lambda n: {n, n + 1},
    _instance,
    lambda n: [_instance(n), _NOTEBOOK["f"]],
    lambda n: functools.partial(_NOTEBOOK["f"], [n]),
    lambda n: {"f": _NOTEBOOK["f"], "n": n},
    lambda n: _code("made", n),
    lambda n: [_code("doubled", n), n],
    lambda n: iter([n, 2, 3]),
    random.Random,
]


def value(rng: random.Random, name: str) -> tuple[str, str, bytes]:
    """Return the statement that loads a random value, and the file it loads it from."""
    return _loading(name, rng.choice(_SORTS)(rng.randrange(1, 4)))


def instance() -> tuple[str, str, bytes]:
    """Return the same for an object of the class `C`."""
    return _loading("V1", _instance(1))


def _loading(name: str, found_value: Any) -> tuple[str, str, bytes]:
    found = dump(
        name,
        found_value,
        _NOTEBOOK,
        refer=lambda obj: obj.__name__ if obj in (_NOTEBOOK["C"], _NOTEBOOK["f"]) else None,
    )
    text, path = loading(name, found)
    content = found.content
    return text, path, b"".join(content.blobs[piece] for piece, _ in content.layout)
