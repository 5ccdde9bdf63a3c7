"""Names in strings (`globals()["model"]`), and code that may read and bind any name."""

from __future__ import annotations

import ast

import pytest

from rpnb.planner.spelled import spelled

from .differential import difference, there_and_back
from .stage import Stage
from .version import Version

_START = 'import runpod\nrunpod.serverless.start({"handler": handler})'
_GET = "c = {}\ndef f(k): return globals()[k]\n"
_CONF = """class Conf:
    def __init__(self, **given):
        for name, value in given.items():
            setattr(self, name, value)
"""

# About -> a program, in which `{}` is edited.
EDITED = {
    "a function's look-up": "c = [{}]\ndef f(): return globals()['c']\nx = f()",
    "a look-up below a call that fails": (
        "c = [{}]\ndef f(): return globals()['c']\nx = f()\nmissing()"),
    "a name that a function has itself": (
        "c = [{}]\ndef f():\n    c = 5\n    return globals()['c']\nx = f()"),
    "a name that a parameter has": "c = [{}]\ndef f(c): return globals()['c']\nx = f(1)",
    "a lambda that looks up what it is told": "g = lambda k: globals()[k]\nc = [{}]\nx = g('c')",
    "a method": "class A:\n    def m(self): return globals()['c']\nc = [{}]\nx = A().m()",
    "a property": (
        "class A:\n    @property\n    def p(self): return globals()['c']\nc = [{}]\nx = A().p"),
    "a decorator": "c = [{}]\ndef d(f): return globals()['c']\n@d\ndef g(): pass",
    "some arguments given": _GET + "import functools\ng = functools.partial(f, 'c')\nx = g()",
    "a function handed over": _GET + "x = list(map(f, ['c']))",
    "a frame's globals": (
        "import sys\ndef f(): return sys._getframe(1).f_globals['c']\nc = [{}]\nx = f()"),
    "a frame's names": (
        "import sys\ndef f(): return sys._getframe(1).f_locals['c']\nc = [{}]\nx = f()"),
    "text that is evaluated": "c = [{}]\ndef f(): return eval('c')\nx = f()",
    "code that is evaluated": "c = [{}]\ndef f(): return eval(compile('c', '', 'eval'))\nx = f()",
    "text that is executed": "def f():\n    exec('c = {}', globals())\nf()\nx = c",
    "a function's store": "def f(v):\n    globals()['c'] = v\nf({})\nx = c",
    "a function that adds": "c = {}\ndef f():\n    globals()['c'] += 1\nf()\nf()",
    "a change of what another name has": (
        "c = [1]\nd = c\ndef f(): globals()['c'].append({})\nf()"),
    "an attribute set by a function": (
        "class A: pass\na = A()\nb = [a]\ndef f(o, v): setattr(o, 'q', v)\nf(a, {})"),
    "an attribute set at once": "class A: pass\na = A()\nb = [a]\nsetattr(b[0], 'q', {})",
    "the program's attribute": "import sys\nsetattr(sys.modules[__name__], 'c', {})\nx = c",
    "an object's dictionary": "class A: pass\na = A()\nvars(a)['q'] = {}",
    "names made in a loop": "for i in range({}):\n    locals()['v%d' % i] = i\nx = v0",
}  # fmt: skip
# About -> texts that follow each other.
TEXTS = {
    "a name that comes": ["x = {} in globals()", "c = 1\nx = {} in globals()"],
    "a name that comes, asked by a function": [
        "def f(): return {} in globals()\nx = f()",
        "c = 1\ndef f(): return {} in globals()\nx = f()"],
    "a name that comes into a list of names": ["x = {} in dir()", "c = 1\nx = {} in dir()"],
    "a name that is there or not": ["x = globals().get({}, 3)", "c = 1\nx = globals().get({}, 3)"],
    "a name that a function deletes": [
        "c = [1]\nx = c\ndef f():\n    del globals()[{}]\nf()",
        "c = [1]\nx = c\ndef f():\n    pass\nf()"],
}  # fmt: skip
# What a job does to `c`.
JOBS = {
    "a change by name": "globals()['c'].append(1)",
    "a change of what was looked up": "q = globals()['c']\n    q.append(1)",
    "a change by a computed name": "globals()['cd'[:1]].append(1)",
    "a new value": "globals()['c'] = [2]",
    "text": "exec('c.append(1)')",
    "a helper's text": "add()",
    "a helper by name": "globals()[name]()",
}  # fmt: skip
_PUT = "def put(k, v): globals()[k] = v"
_PUT_X = "def put(v): globals()['X'] = v"
# About -> (program, its module) that follow each other.
MODULES = {
    "a module that is told names": [
        ("import lm\nlm.put('X', 1)\nx = lm.X", _PUT), ("import lm\ny = 1", _PUT)],
    "a module that names": [
        ("import lm\nlm.put(1)\nx = lm.X", _PUT_X), ("import lm\ny = 1", _PUT_X)],
}  # fmt: skip


@pytest.mark.parametrize("about", EDITED)
def test_edit_is_seen_through_names_in_strings(stage: Stage, about: str) -> None:
    assert not there_and_back(stage, *(Version((EDITED[about].format(n),)) for n in (1, 2)))


@pytest.mark.parametrize("about", TEXTS)
def test_names_that_come_and_go_are_seen_by_who_asks(stage: Stage, about: str) -> None:
    assert not there_and_back(stage, *(Version((text.format("'c'"),)) for text in TEXTS[about]))


@pytest.mark.parametrize("about", JOBS)
def test_what_a_job_did_by_name_is_undone(stage: Stage, about: str) -> None:
    program = (
        "c = [1]\nname = 'add'\ndef add():\n    eval('c').append(1)\n"
        f"def handler(job):\n    {JOBS[about]}\n    return list(c)\n{_START}"
    )
    versions = [Version((program, f"z = len(c) + {n}"), {}, (1, 1)) for n in (1, 2)]
    assert not difference(stage, versions)


@pytest.mark.parametrize("about", MODULES)
def test_module_that_stores_by_name_is_made_anew(stage: Stage, about: str) -> None:
    texts: list[tuple[str, str]] = MODULES[about]
    versions = [Version((text,), {"lm.py": module.encode()}) for text, module in texts]
    assert not there_and_back(stage, *versions)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("{load}\nlevel = 1", "{load}\nlevel = 2"),
        ("n = 1\nif 'm' not in globals():\n    {load}",
         "n = 2\nif 'm' not in globals():\n    {load}"),
        ("n = 1\nif 'm' not in dir():\n    {load}", "n = 2\nif 'm' not in dir():\n    {load}"),
        ("{load}\n" + _CONF, "{load}\n" + _CONF + "        self.ready = True\nconf = Conf(n=1)"),
        ("{load}\ndef f(): return globals()['n']\nn = 1\nx = f()",
         "{load}\ndef f(): return globals()['n']\nn = 2\nx = f()"),
    ],
)  # fmt: skip
def test_model_stays_where_names_in_strings_are_others(stage: Stage, first: str, then: str) -> None:
    versions = {
        text: Version(("import modelkit", text.format(load="m = modelkit.LOAD(1)")))
        for text in (first, then)
    }
    with stage.warm() as warm:
        assert warm.sync(versions[first]).loads
        assert not warm.sync(versions[then]).loads


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("x = globals()['c']", "x = c"),
        ("if 'm' not in globals(): m = 1", "if m: m = 1"),
        ("x = locals().get('c', d)", "x = c if True else d"),
        ("def f(): return globals()['c']", "def f():\n    global c\n    return c"),
        ("def f(): return lambda: globals()['c']", "def f():\n    global c\n    return lambda: c"),
    ],
)
def test_look_up_is_the_name(text: str, same: str) -> None:
    assert spelled(text) == ast.unparse(ast.parse(same))


@pytest.mark.parametrize(
    "text",
    [
        "x = globals()[c]",
        "def f(c): return globals()['c']",
        "def f(): return locals()['c']",
        "class A: x = locals()['c']",
        "x = o.globals()['c']",
    ],
)
def test_what_may_be_another_name_stays_a_look_up(text: str) -> None:
    assert spelled(text) == text
