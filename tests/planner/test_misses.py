"""A mistyped name is no effect: nothing reloads, nothing restarts."""

from __future__ import annotations

import ast
import sys
from typing import Any

import pytest

from rpnb.planner.misses import did_nothing
from rpnb.planner.plan import Executed, plan, steps

_NAMES_THE_ATTRIBUTE = pytest.mark.skipif(
    sys.version_info < (3, 10), reason="no AttributeError.obj"
)


def _misses(text: str, **names: Any) -> bool:
    namespace: dict[str, Any] = {"math": __import__("math"), **names}
    try:
        exec(text, namespace)
    except Exception as error:  # noqa: BLE001 (what it raises is the question)
        return did_nothing(ast.parse(text).body[0], namespace, error)
    raise AssertionError(f"{text} raised nothing")


@_NAMES_THE_ATTRIBUTE
@pytest.mark.parametrize(
    "text",
    [
        "math.foo()",
        "math.foo.bar(1)",
        "x = math.foo(len('a'))",
        "math.foo().bar()",
        "x: int = math.foo",
        "math.x = math.foo",
        "box.pop_all()",
        "mth.sqrt(2)",
        "x = laod(box)",
    ],
)
def test_missing_first_name_did_nothing(text: str) -> None:
    assert _misses(text, box=[1])


@pytest.mark.parametrize(
    "text",
    [
        "math.sqrt('a')",
        "f()",
        "f().foo()",
        "box.append(1).foo()",
        "box.append(missing)",
        "own.foo()",
        "getattr(math, 'foo')()",
        "from math import foo",
    ],
)
def test_anything_else_may_have_done_something(text: str) -> None:
    def f() -> None:
        raise AttributeError("foo", name="f", obj=f)

    own = type("Own", (), {"__module__": "__main__"})()
    assert not _misses(text, f=f, box=[], own=own)


def test_undoing_a_step_that_did_nothing_restarts_and_reloads_nothing() -> None:
    old = steps("import lib\nmodel = lib.load()\nlib.typo(model)")
    ran = [Executed(step, binds=step.facts.binds) for step in old[:2]]
    ran.append(Executed(old[2], ok=False, did_nothing=True))
    found = plan(ran, old[:2], kinds={"lib": "mod", "model": "data"})
    assert found.restart is None
    assert found.run == ()
