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
    "a constant of the class": (_version(), _version(text=_CLASS.replace("rate = 1", "rate = 2"))),
    "a constructor": (_version(), _version(text=_CLASS.replace("self.name = name", "self.name = name + 'b'"))),
    "super": (_version(), _version("return super().__init__()")),
}  # fmt: skip


_SHORT = _CLASS.format(setup="pass", predict=_PLAIN)
_MORE = "    def more(self, n=1): return n\n"
_CHECK = "    def check(self, text):\n        return text\n"
_TYPED = "import csv\nfrom typing import Optional\nTOP = 3\n"
# About -> what stands above the class, the class, and what stands below its object; then the
# same after an edit of the class that loads nothing.
STRUCTURE: dict[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    about: ((above, _SHORT, below), (above, after, below))
    for about, above, after, below in [
        ("a default", "", _SHORT.replace("k=1", "k=2"), ""),
        ("a default by a name", _TYPED, _SHORT.replace("k=1", "k=TOP"), ""),
        ("a parameter more", "", _SHORT.replace("k=1", "k=1, *, stop=None"), ""),
        ("annotations", _TYPED, _SHORT.replace("text, k=1)", "text: Optional[str], k: int = 1) -> 'list'"), ""),
        ("an annotation by a class", "class Request: pass", _SHORT.replace("text, k=1)", "text: Request, k=1)"), ""),
        ("a method more", "", _SHORT + _MORE, ""),
        ("a method more between", "", _SHORT.replace(_CHECK, _MORE + _CHECK), "n = p.name"),
        ("a method more, and a handler", "", _SHORT + _MORE, "def handler(job): return p.predict(job)"),
        ("one less", "", _SHORT.replace(_CHECK, ""), ""),
        ("another name", "", _SHORT.replace("check", "test"), ""),
        ("other places", "", _SHORT.replace(_CHECK, "").replace("    rate = 1\n", "    rate = 1\n" + _CHECK), ""),
        ("the text of a method", "", _SHORT.replace("Say it", "Do it"), ""),
        ("a text of the class", "", _SHORT.replace("    rate", "    'A class.'\n    rate"), "n = p.name"),
        ("a generator", "", _SHORT.replace("        return text\n    def check", "        yield text\n    def check"), ""),
        ("a property", "", _SHORT.replace("    def check(self, text)", "    @property\n    def check(self)"), ""),
        ("a static method", "", _SHORT.replace("    def check(self", "    @staticmethod\n    def check(self"), ""),
        ("a static method more", "", _SHORT + "    @staticmethod\n    def more(n): return [n]\n", ""),
        ("all at once", "", "\n\n" + _SHORT.replace("k=1", "k=3").replace(_CHECK, "") + _MORE, ""),
        ("a length", "", _SHORT + "    def __len__(self): return 3\n", ""),
    ]
}  # fmt: skip
_KEYED = _SHORT.replace("rate = 1", "rate = 1\n    key = lambda x: [x, 1]")
STRUCTURE["beside a lambda"] = (("", _KEYED, ""), ("", _KEYED.replace("    rate", _MORE + "    rate"), ""))  # fmt: skip
# The same, where the edit reaches what has run: the model loads again.
REACHED: dict[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    about: ((above, before, below), (above, after, below))
    for about, above, before, after, below in [
        ("a default of what was called", "", _SHORT, _SHORT.replace("k=1", "k=2"), "x = p.predict('t')"),
        ("a default of the constructor", "", _SHORT, _SHORT.replace("(self, name)", "(self, name, n=1)"), ""),
        ("a list as a default", "", _SHORT, _SHORT.replace("k=1", "k=[]"), ""),
        ("a method that is asked for", "", _SHORT, _SHORT + _MORE, "x = hasattr(p, 'more')"),
        ("one that is tried", "", _SHORT, _SHORT + _MORE, "try:\n    x = p.more()\nexcept AttributeError:\n    x = 0"),
        ("one less, where it was called", "", _SHORT + _MORE, _SHORT, "try:\n    x = p.more()\nexcept AttributeError:\n    x = 0"),
        ("other places, shown", "", _SHORT, _SHORT.replace(_CHECK, "").replace("    rate = 1\n", "    rate = 1\n" + _CHECK), "x = [n for n in vars(Predictor)]"),
        ("the text of the class, shown", "", _SHORT, _SHORT.replace("    rate", "    'A class.'\n    rate"), "x = Predictor.__doc__"),
        ("the text of a method, shown", "", _SHORT, _SHORT.replace("Say it", "Do it"), "x = p.predict.__doc__"),
        ("a signature, shown", "import inspect", _SHORT, _SHORT.replace("k=1", "k=2"), "x = str(inspect.signature(p.predict))"),
        ("a bound method that is kept", "", _SHORT, _SHORT.replace("k=1", "k=2"), "f = p.predict"),
        ("a method over an attribute", "", _SHORT, _SHORT + "    def model(self): return 1\n", "x = p.model"),
        ("a hook for attributes", "", _SHORT, _SHORT + "    def __getattr__(self, name):\n        if name != 'seven': raise AttributeError(name)\n        return 7\n", ""),
        ("how it compares", "", _SHORT, _SHORT + "    def __eq__(self, other): return True\n", ""),
        ("a length, asked for", "", _SHORT, _SHORT + "    def __len__(self): return 3\n", "x = bool(p)"),
        ("a value and a method of one name", "", _SHORT, _SHORT + "    def rate(self): return 1\n", ""),
        ("a method by the name of a builtin", "", _SHORT.replace("rate = 1", "rate = str(1)"), _SHORT.replace("rate = 1", "rate = str(1)") + "    def str(self): return 1\n", ""),
        ("a default by a name bound twice", "TOP = 1", _SHORT, _SHORT.replace("k=1", "k=TOP"), "TOP = 2"),
        ("a default by a name of the class", "rate = 5", _SHORT, _SHORT.replace("k=1", "k=rate"), ""),
    ]
}  # fmt: skip


def _around(above: str, text: str, below: str) -> Version:
    return Version((above, "import modelkit", text, _MAKE, below))


@pytest.mark.parametrize("about", STRUCTURE)
def test_edit_around_methods_that_no_load_calls_is_done_in_place(stage: Stage, about: str) -> None:
    versions = [_around(*each) for each in STRUCTURE[about]]
    assert not difference(stage, [*versions, versions[0]])
    with stage.warm() as warm:
        assert warm.sync(versions[0]).loads
        assert not warm.sync(versions[1]).ran
        assert not warm.sync(versions[0]).ran


@pytest.mark.parametrize("about", REACHED)
def test_edit_around_methods_that_reaches_the_object_makes_it_anew(
    stage: Stage, about: str
) -> None:
    versions = [_around(*each) for each in REACHED[about]]
    assert not difference(stage, [*versions, versions[0]])
    with stage.warm() as warm:
        assert warm.sync(versions[0]).loads
        assert warm.sync(versions[1]).loads


# About -> versions: (above, class, below), which only have to be right.
RIGHT: dict[str, list[tuple[str, str, str]]] = {
    "an annotation that is not there": [
        ("import csv", _SHORT, ""), ("import csv", _SHORT.replace("text, k", "text: csv.nope, k"), "")],
    "an annotation of nothing": [("", _SHORT, ""), ("", _SHORT.replace("text, k", "text: Nope, k"), "")],
    "an annotation by a class that changes, too": [
        ("class R: n = 1", _SHORT, ""), ("class R: n = 2", _SHORT.replace("text, k", "text: R, k"), ""),
        ("class R: n = 2", _SHORT.replace("text, k", "text: 'R', k"), ""), ("class R: n = 3", _SHORT.replace("text, k", "text: R, k"), "")],
    "a default by a name that changes, too": [
        ("TOP = 1", _SHORT, ""), ("TOP = 2", _SHORT.replace("k=1", "k=TOP"), ""), ("TOP = 3", _SHORT.replace("k=1", "k=TOP"), "")],
    "a default by a name from below": [("", _SHORT, "TOP = 1"), ("", _SHORT.replace("k=1", "k=TOP"), "TOP = 1")],
    "a property over an attribute": [("", _SHORT, ""), ("", _SHORT + "    @property\n    def name(self): return 'n'\n", "")],
    "a method over a slot": [
        ("", _SHORT.replace("rate = 1", "__slots__ = ('model', 'name')"), ""), ("", _SHORT.replace("rate = 1", "__slots__ = ('model', 'name')") + "    def model(self): return 1\n", "")],
    "settings that a constructor makes": [
        ("class S:\n    def __init__(self, a='1'): self.a = a\ns = S()", _SHORT, "m = modelkit.LOAD(s.a)"),
        ("class S:\n    def __init__(self, a='2'): self.a = a\ns = S()", _SHORT, "m = modelkit.LOAD(s.a)")],
    "settings that a property makes": [
        ("class S:\n    b = 1\n    def __init__(self): self.a = 1\ns = S()", _SHORT, "m = modelkit.LOAD(s.b)\nn = s.a"),
        ("class S:\n    b = 1\n    def __init__(self): self.a = 2\n    @property\n    def c(self): return 1\ns = S()", _SHORT, "m = modelkit.LOAD(s.b)\nn = s.a")],
    "lazy annotations": [
        ("from __future__ import annotations", _SHORT, ""), ("from __future__ import annotations", _SHORT.replace("text, k", "text: Nope, k"), "")],
    "a class that is made twice": [
        ("class Predictor:\n    def a(self): pass", _SHORT, ""), ("class Predictor:\n    def a(self, k=1): pass", _SHORT.replace("k=1", "k=2"), "")],
    "a decorator of the program's by Python's name": [
        ("def property(f): return [f]", _SHORT, ""), ("def property(f): return [f]", _SHORT.replace("    def check", "    @property\n    def check"), "")],
    "a name that stands for something else below": [
        ("", _SHORT, "Predictor = 1"), ("", _SHORT.replace("k=1", "k=2"), "Predictor = 1"), ("", _SHORT.replace("k=1", "k=2"), "")],
    "one after the other": [
        ("", _SHORT, ""), ("", _SHORT + _MORE, ""), ("z = 1", _SHORT + _MORE, "x = p.more()"), ("z = 1", _SHORT + _MORE.replace("n=1", "n=2"), "x = p.more()"),
        ("", _SHORT + _MORE.replace("return n", "return [n]"), ""), ("", _SHORT, "")],
    "a value that is called in the class": [
        ("import os", _SHORT.replace("rate = 1", "rate = os.getenv('RPNB_B', 'x')"), ""), ("import os", _SHORT.replace("rate = 1", "rate = os.getenv('RPNB_B', 'x')") + _MORE, "")],
}  # fmt: skip


@pytest.mark.parametrize("about", RIGHT)
def test_class_is_what_a_fresh_process_makes_of_it(stage: Stage, about: str) -> None:
    versions = [_around(*each) for each in RIGHT[about]]
    assert not difference(stage, [*versions, *versions[::-1]])


@pytest.mark.parametrize(
    ("does", "old", "new"),
    [
        ("p.predict.__defaults__", "k=1", "k=2"),
        ("hasattr(p, 'more')", _CHECK, _CHECK + _MORE),
        ("p.__class__.__doc__", "    rate", "    'A class.'\n    rate"),
        ("[n for n in vars(Predictor) if n[0] != '_']", "    rate = 1\n", "    rate = 1\n" + _MORE),
        ("[type(v).__name__ for v in vars(Predictor).values()][:3]", "    def check", "    @property\n    def check"),
    ],
)  # fmt: skip
def test_what_a_job_kept_of_an_edited_class_goes(
    stage: Stage, does: str, old: str, new: str
) -> None:
    handler = f"def handler(job):\n    if 1 not in CACHE:\n        CACHE[1] = {does}\n    return [CACHE[1], {does}]"
    serve = ("CACHE = {}", handler, 'import runpod\nrunpod.serverless.start({"handler": handler})')
    versions = [
        Version(
            ("import modelkit", text, *_MAKE.splitlines(), *serve), {}, (1, 1), frozenset({"CACHE"})
        )
        for text in (_SHORT, _SHORT.replace(old, new))
    ]
    assert versions[0] != versions[1]
    assert not difference(stage, [*versions, versions[0]])


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
