"""Decorators of the program's own: what only wraps runs nothing of the function below it."""

from __future__ import annotations

import ast

import pytest

from rpnb.planner.wrapping import wrapping

from .differential import difference
from .stage import Stage
from .version import Version

_START = "import runpod; runpod.serverless.start({'handler': handler})"
_INNER = "    def w(job):\n        return f(job)\n    return w"
_TIMED = f"def timed(f):\n    @functools.wraps(f)\n{_INNER}"
_TIMES = "def timed(n=1):\n    def deco(f):\n        def w(job): return f(job)\n        return w\n"
WRAPS = {
    "an inner function": f"def timed(f):\n{_INNER}",
    "one with its name": _TIMED,
    "one that counts": f"def timed(f):\n    '''Count.'''\n    seen = {{}}\n{_INNER}",
    "one of two": f"def timed(f):\n    async def v(job): return await f(job)\n{_INNER}",
}
DOES_MORE = {
    "calls it": "def timed(f):\n    f(1)\n    return f",
    "returns it": "def timed(f):\n    return f",
    "notes it": f"SEEN = []\ndef timed(f):\n    SEEN.append(f)\n{_INNER}",
    "has a default": "def timed(f):\n    def w(job, n=f(1)): return f(job)\n    return w",
    "is decorated": f"@other\ndef timed(f):\n{_INNER}",
    "decorates with more": f"def timed(f):\n    @other(f)\n{_INNER}",
    "takes more": f"def timed(f, n=1):\n{_INNER}",
    "returns a call": "def timed(f):\n    def w(job): return f(job)\n    return w(1)",
}


@pytest.mark.parametrize("about", WRAPS)
def test_decorator_that_keeps_a_function_for_inner_ones_wraps(about: str) -> None:
    assert wrapping(ast.parse(WRAPS[about]).body) == ({"timed"}, frozenset())


def test_function_that_returns_such_a_decorator_makes_it() -> None:
    assert wrapping(ast.parse(f"{_TIMES}    return deco").body) == (frozenset(), {"timed"})


@pytest.mark.parametrize("about", DOES_MORE)
def test_decorator_that_may_do_more_does_not_only_wrap(about: str) -> None:
    assert wrapping(ast.parse(DOES_MORE[about]).body) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("decorator", "use", "edits"),
    [
        (_TIMED, "@timed", ("return m and 1", "return m and 2")),
        (f"{_TIMES}    return deco", "@timed(2)", ("return m and 1", "return m and 2")),
        (_TIMED, "@timed", ("f(job)", "print(f(job))")),
    ],
)
def test_wrapped_handler_is_edited_without_a_load(
    stage: Stage, decorator: str, use: str, edits: tuple[str, str]
) -> None:
    program = ("import functools, modelkit", "m = modelkit.LOAD(1)", decorator)
    program += (f"{use}\ndef handler(job): return m and 1", _START)
    edited = tuple(each.replace(*edits) for each in program)
    versions = [Version(each, {}, (1,)) for each in (program, edited, program)]
    assert not difference(stage, versions)
    with stage.warm() as warm:
        warm.sync(versions[0])
        assert warm.sync(versions[1]).loads == []


def test_decorator_that_another_line_replaces_is_followed(stage: Stage) -> None:
    text = f"a = [1]\n{_TIMED}\ndef timed(f): return f(1)\n@timed\ndef g(n): a.append(n)"
    assert not difference(stage, [Version((f"import functools\n{text}",)), Version(("a = [1]",))])
