"""What values are at run time, as far as the planner must know."""

from __future__ import annotations

import collections
import enum
import functools
import pathlib
import random
import re
import textwrap
import types
from typing import Any

import pytest

from rpnb.planner.kinds import Watch, kind
from tests.planner.differential import difference
from tests.planner.stage import Stage
from tests.planner.version import Version


def run(text: str) -> dict[str, Any]:
    """Run a program; its classes are those of the module `__main__`."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(text, namespace)
    return namespace


_PAIR = "import typing\nclass P(typing.NamedTuple):\n a: object\n b: int = 1\n"


def closure() -> Any:
    kept: list[int] = []
    return lambda: kept


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, "imm") for value in (1, 1.5, "a", b"a", None, True, ..., range(3), len)),
        *((value, "imm") for value in ((1, "a"), frozenset({1}), re.compile("a"))),
        (pathlib.PurePosixPath("a"), "imm"),
        (enum.Enum("E", "A")["A"], "imm"),
        (re, "mod"),
        (textwrap.dedent, "code"),
        (dict, "code"),
        *((value, "data") for value in ([], {}, set(), ([],), types.SimpleNamespace())),
        (closure(), "data"),
        (functools.partial(len), "data"),
        *((value, "active") for value in (iter([]), (q for q in ()), map(len, []))),
        (collections.defaultdict(list), "active"),
        (random.Random(1), "active"),
    ],
)  # fmt: skip
def test_kind_of_value_is_told(value: Any, expected: str) -> None:
    assert kind(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def v(a=1): pass", "code"),
        ("def v(a=[]): pass", "data"),
        ("def v(): pass\nv.cache = 1", "data"),
        ("class v:\n k = 1\n def m(self): pass", "code"),
        ("class v:\n seen = []", "data"),
        ("class B:\n seen = []\nclass v(B): pass", "data"),
        ("class C: pass\nv = C()", "active"),
        ("class C: pass\nv = (C(),)", "active"),
        ("import enum\nclass E(enum.Enum):\n A = 1\nv = E.A", "active"),
        (f"{_PAIR}v = P(1)", "record"),
        (f"{_PAIR}v = {{'a': P(1)}}", "data"),
        (f"{_PAIR}v = P(iter([]))", "active"),
        (f"{_PAIR} def m(self): pass\nv = P(1)", "record"),
        (f"{_PAIR} @property\n def m(self): pass\nv = P(1)", "active"),
        (f"{_PAIR}class Q(P): pass\nv = Q(1)", "active"),
        ("import collections\nP = collections.namedtuple('P', 'a')\nv = [P(1)]", "data"),
    ],
)
def test_kind_of_program_object_is_told(text: str, expected: str) -> None:
    assert kind(run(text)["v"]) == expected


def test_watch_sees_binds_rebinds_and_deletions() -> None:
    namespace: dict[str, Any] = {"a": 1, "b": [], "c": 2}
    watch = Watch(namespace)
    watch.start()
    exec("d = b; a = 'x'; del c; b.append(1)", namespace)
    assert watch.stop() == {"a", "c", "d"}


def test_watch_keeps_the_highest_kind_until_dropped() -> None:
    namespace: dict[str, Any] = {"a": []}
    watch = Watch(namespace)
    watch.look()
    namespace["a"] = 1
    watch.look()
    assert watch.kinds["a"] == "data"
    watch.drop({"a"})
    assert "a" not in watch.kinds
    assert "a" not in namespace


_SENDS = "a = []\ndef g():\n    while True: a.append((yield))\ni = g()\nnext(i)\ns = i.send\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [("a = [1]\nf = a.append\nf(2)", "a = [1]\nf = a.append"), (f"{_SENDS}s(1)", _SENDS)],
    ids=["a list's", "a generator's"],
)
def test_method_under_another_name_is_what_it_is_a_method_of(
    before: str, after: str, stage: Stage
) -> None:
    assert difference(stage, [Version((before,)), Version((after,))]) == ""
