"""Edits of a class's methods: which reload what its object holds, and which do not."""

# ruff: noqa: E501 - a program on a line

from __future__ import annotations

import pytest

from .differential import difference
from .stage import Stage
from .version import Version

_CLASS = """class Predictor:
    rate = 1
    def __init__(self, name):
        self.name = name
    def setup(self):
        self.model = modelkit.LOAD(self.name)
        {setup}
    def predict(self, text, k=1):
        '''Say it.'''
        {predict}
    def check(self, text):
        return text
"""
_MAKE = "p = Predictor('a')\np.setup()"
_PLAIN = "return text"


def _version(
    predict: str = _PLAIN,
    more: str = "",
    *,
    setup: str = "pass",
    make: str = _MAKE,
    text: str = _CLASS,
) -> Version:
    program = text.format(setup=setup, predict=predict)
    steps = ("import modelkit", "LABELS = ['x']", program, *make.splitlines(), *more.splitlines())
    return Version(steps)


# About -> (predict, lines below) before and after.
SPARED = {
    "a body": (("return text", ""), ("return text.upper()", "")),
    "a body of other constants and names": (("return text", ""), ("return [LABELS, len(text), 'b', 2.5]", "")),
    "an inner function": (("return text", ""), ("return (lambda: [text, k])()", "")),
    "another inner function": (("return (lambda: [text, k])()", ""), ("return (lambda: [k, [text], text])()", "")),
    "a body that stores": (("return text", ""), ("self.last = text; return text", "")),
    "a generator's body": (("yield text", ""), ("yield [text]", "")),
    "what a method calls": (("return self.check(text)", ""), ("return self.check(self.check(text))", "")),
    "a look at another attribute below": (("return text", "n = p.name"), ("return [text]", "n = p.name")),
    "a function that calls it": (("return text", "def g(t): return p.predict(t)"), ("return [text]", "def g(t): return p.predict(t)")),
}  # fmt: skip
# About -> two programs between which the model must load again.
CHANGED = {
    # A call may change what it is called on.
    "a call of it below": (_version(more="x = p.predict('t')"), _version("return [text]", "x = p.predict('t')")),
    "a bound method that is kept": (_version(more="f = p.predict"), _version("return [text]", "f = p.predict")),
    "a method that the load calls": (_version(setup="pass"), _version(setup="self.n = 1")),
    "one that a called one calls": (
        _version(setup="self.predict('a')"), _version("return [text]", setup="self.predict('a')")),
    "one that is called by name": (
        _version(setup="getattr(self, 'pre' + 'dict')('a')"),
        _version("return [text]", setup="getattr(self, 'pre' + 'dict')('a')")),
    "an object that is handed on before it loads": (
        _version(make="p = Predictor('a')\nlist(map(repr, [p]))\np.setup()"),
        _version("return [text]", make="p = Predictor('a')\nlist(map(repr, [p]))\np.setup()")),
    "a library that holds the object": (
        _version(make="import csv\np = Predictor('a')\nw = csv.writer(p)\nw.writerow([1])\np.setup()", text=_CLASS.replace("predict(self, text, k=1)", "write(self, text)")),
        _version("return len(text)", make="import csv\np = Predictor('a')\nw = csv.writer(p)\nw.writerow([1])\np.setup()", text=_CLASS.replace("predict(self, text, k=1)", "write(self, text)"))),
    "a function that makes one": (
        _version(make="def make(): return Predictor('a')\np = make()\np.setup()"),
        _version("return [text]", make="def make(): return Predictor('a')\np = make()\np.setup()")),
    "another of its class": (
        _version(make="p = Predictor('a')\nq = p.__class__('b')\np.setup()"),
        _version("return [text]", make="p = Predictor('a')\nq = p.__class__('b')\np.setup()")),
    "objects in a list": (
        _version(make="ps = [Predictor('a')]\nps[0].setup()"),
        _version("return [text]", make="ps = [Predictor('a')]\nps[0].setup()")),
    "a default": (_version(), _version(text=_CLASS.replace("k=1", "k=2"))),
    "a constant of the class": (_version(), _version(text=_CLASS.replace("rate = 1", "rate = 2"))),
    "a method more": (_version(), _version(text=_CLASS + "    def more(self): pass\n")),
    "a method by another name": (_version(), _version(text=_CLASS.replace("check", "test"))),
    "a constructor": (_version(), _version(text=_CLASS.replace("self.name = name", "self.name = name + 'b'"))),
    "a text that says what it does": (_version(), _version(text=_CLASS.replace("Say it", "Do it"))),
    "a body that becomes a generator's": (_version(), _version("yield text")),
    "super": (_version(), _version("return super().__init__()")),
    "a decorator": (_version(), _version(text=_CLASS.replace("    def check(self", "    @staticmethod\n    def check(self"))),
}  # fmt: skip


@pytest.mark.parametrize(
    ("make", "loads"), [("p = P('a')", 0), ("p = P('a')\np('x')", 1), ("p = P('a')\nbool(p)", 1)]
)
def test_object_that_is_called_by_jobs_alone_is_edited_in_place(
    stage: Stage, make: str, loads: int
) -> None:
    text = (
        "class P:\n    def __init__(self, n):\n        self.m = modelkit.LOAD(n)\n"
        "    def __call__(self, t):\n        return [t, {}]\n"
    )
    versions = [
        Version(
            ("import modelkit", text.format(n), *make.splitlines(), "def handler(job): return p(1)")
        )
        for n in (1, 2)
    ]
    assert not difference(stage, [*versions, versions[0]])
    with stage.warm() as warm:
        warm.sync(versions[0])
        assert len(warm.sync(versions[1]).loads) == loads


@pytest.mark.parametrize("about", SPARED)
def test_method_that_no_load_calls_is_edited_in_place(stage: Stage, about: str) -> None:
    versions = [_version(*each) for each in SPARED[about]]
    assert not difference(stage, [*versions, versions[0]])
    with stage.warm() as warm:
        assert warm.sync(versions[0]).loads
        assert not warm.sync(versions[1]).loads
        assert not warm.sync(versions[0]).loads


@pytest.mark.parametrize("about", CHANGED)
def test_class_that_a_load_depends_on_is_made_anew(stage: Stage, about: str) -> None:
    versions = list(CHANGED[about])
    assert not difference(stage, [*versions, versions[0]])
    with stage.warm() as warm:
        assert warm.sync(versions[0]).loads
        assert warm.sync(versions[1]).loads


def test_what_only_an_uncalled_method_reads_loads_nothing(stage: Stage) -> None:
    first = _version("return LABELS")
    then = Version(tuple(s.replace("['x']", "['y']") for s in first.steps))
    assert not difference(stage, [first, then])
    with stage.warm() as warm:
        warm.sync(first)
        assert warm.sync(then).ran == ["LABELS = ['y']"]


def test_job_that_an_edited_method_served_is_undone(stage: Stage) -> None:
    serve = (
        "CACHE = {}\ndef handler(job):\n    if 1 not in CACHE:\n        CACHE[1] = p.predict('t')\n"
        '    return CACHE[1]\nimport runpod\nrunpod.serverless.start({"handler": handler})'
    )
    hidden = frozenset({"CACHE"})
    versions = [
        Version((*_version(predict).steps, serve), {}, (1, 1), hidden)
        for predict in ("return text", "return [text]")
    ]
    assert not difference(stage, versions)


def test_job_that_calls_otherwise_now_and_ran_an_edited_method_is_undone(stage: Stage) -> None:
    program = (
        "CACHE = {{}}\nclass P:\n    def put(self, k, v):\n        CACHE[k] = v\n        return {0}\n"
        "p = P()\ndef handler(job):\n    p.put(1, {0})\n    return CACHE[1]\n"
        'import runpod\nrunpod.serverless.start({{"handler": handler}})'
    )
    hidden = frozenset({"CACHE"})
    versions = [Version((program.format(n),), {}, (1, 1), hidden) for n in (1, 2)]
    assert not difference(stage, versions)


def test_lines_above_a_function_leave_it_mere_code(stage: Stage) -> None:
    program = ("import modelkit", "def f(v):\n    return v", "m = modelkit.LOAD(f(1))")
    with stage.warm() as warm:
        for more in ((), ("z = 1",), ("z = f(2)",)):
            warm.sync(Version(("# a line", *program, *more) if more else program))
        assert warm.sync(Version(("# a line", *program, "z = f(3)"))).ran == ["z = f(3)"]
