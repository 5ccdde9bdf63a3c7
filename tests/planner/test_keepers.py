"""Functions that only keep what they are given: their calls change, and load, nothing."""

from __future__ import annotations

import ast

import pytest

from rpnb.planner.plan import steps
from rpnb.planner.wrapping import keeping

from .differential import difference
from .stage import Stage
from .version import Version

_LOAD = "import functools, modelkit\nfrom functools import partial\nm = modelkit.LOAD(1)\n"
_START = "\nimport runpod; runpod.serverless.start({'handler': handler})"
_MAKE = "def make(m):\n    def h(job): return m.run(1), 1\n    return h\n"
_TWO = "def make(m, *, n=2):\n    '''Serve.'''\n    seen = {}\n"
_TWO += (
    "    async def g(job: int = 1): return m\n    def h(job): return m.run(n), 1\n    return h\n"
)
_FLAT = "def h(m, job, n=2): return m.run(n), 1\n"
_OBJECT = "class make:\n    '''Serves.'''\n    sort = 'a'\n"
_OBJECT += "    def __init__(self, m, n=1):\n        self.m, self.n = m, n\n"
_OBJECT += "        self.seen: dict = {}\n"
_OBJECT += "    def __call__(self, job): return self.m.run(self.n), 1\n"
# Their handlers keep `m`: the body of one is edited from `, 1` to `, 2`.
KEEPS = {
    "a closure": f"{_MAKE}handler = make(m)",
    "a closure over two, by name": f"{_TWO}handler = make(n=5, m=m)",
    "two names": f"{_MAKE}handler = other = make(m)",
    "partial": f"{_FLAT}handler = functools.partial(h, m)",
    "partial, imported by name, with keywords": f"{_FLAT}handler = partial(h, m, n=4)",
    "a partial in a partial": f"{_FLAT}handler = partial(partial(h, m), n=4)",
    "a partial of a partial": f"{_FLAT}p = partial(h, m)\nhandler = partial(p, n=4)",
    "a partial of a closure": f"{_MAKE}handler = partial(make(m))",
    "an object": f"{_OBJECT}handler = make(m)",
    "an object that keeps a function": "def run(job): return m.run(2), 1\n"
    f"{_OBJECT.replace('self.m.run(self.n), 1', 'self.m(job)')}handler = make(run)",
    "what is warm stays": f"{_MAKE}m.eval()\nhandler = make(m)",
}


def series(*texts: str, jobs: tuple[int, ...] = (1,)) -> list[Version]:
    """Return versions of a program, and the way back."""
    return [Version((text,), {}, jobs) for text in (*texts, *texts[-2::-1])]


@pytest.mark.parametrize("about", KEEPS)
def test_body_of_what_keeps_a_model_is_edited_without_a_load(stage: Stage, about: str) -> None:
    text = _LOAD + KEEPS[about] + _START
    versions = series(
        text, text.replace(", 1\n", ", 2\n"), text.replace("handler = ", "\nh2 = 1\nhandler = ")
    )
    assert not difference(stage, versions)
    with stage.warm() as warm:
        assert [len(warm.sync(version).loads) for version in versions] == [1, 0, 0, 0, 0]


# What loads `m` again, for it may have changed it when `handler` was made.
_CALLED = "def make(m):\n    def h(job): return len(m.state), 1\n    h(m.attach(1))\n    return h\n"
CHANGES = {
    "it is called at once": _MAKE.replace("return h\n", "return h(m.attach(1))\n"),
    "it calls": _CALLED,
    "a default": _MAKE.replace("(job)", "(job, n=m.attach(1))"),
    "an annotation": _MAKE.replace("(job)", "(job: m.attach(1))"),
    "an annotation that looks": _MAKE.replace("(job)", "(job: m.state.append(1))"),
    "a decorator": "def told(m): return lambda f: (m.attach(1), f)[1]\n"
    + _MAKE.replace("    def h", "    @told(m)\n    def h"),
    "a decorated maker": f"def told(f):\n    m.attach(1)\n    return f\n@told\n{_MAKE}",
    "a store": _MAKE.replace("    return h", "    a = m.cfg['v'] = 5\n    return h"),
    "a default of its own": _MAKE.replace("make(m)", "make(m, n=m.attach(1))"),
    "an object that changes it": _OBJECT.replace("self.seen: dict", "m.attach(1); self.seen"),
    "a default of an object": _OBJECT.replace("n=1", "n=m.attach(1)"),
    "a value that is stored": _OBJECT.replace("= m, n", "= m, m.attach(n)"),
    "a property that is stored into": f"{_OBJECT}    n = property(lambda self: 1, "
    "lambda self, n: self.m.attach(n))\n",
    "a method that is stored into": f"{_OBJECT}    @property\n    def n(self): return 1\n"
    "    @n.setter\n    def n(self, n): self.m.attach(n)\n",
    "a setter": f"{_OBJECT}    def __setattr__(self, name, value):\n"
    "        vars(self)[name] = value\n        getattr(value, 'attach', len)((1,))\n",
    "a maker": f"{_OBJECT}    def __new__(cls, m):\n        m.attach(1)\n"
    "        return object.__new__(cls)\n",
    "a base": f"class B:\n    def __setattr__(self, name, value):\n        m.attach(1)\n"
    f"        vars(self)[name] = value\n{_OBJECT.replace('class make:', 'class make(B):')}",
    "a metaclass": "class T(type):\n    def __call__(cls, m):\n        m.attach(1)\n"
    f"        return type.__call__(cls, m)\n{_OBJECT.replace('make:', 'make(metaclass=T):')}",
    "a decorated class": "def told(c):\n    return lambda m: (m.attach(1), c(m))[1]\n"
    f"@told\n{_OBJECT}",
    "a start from elsewhere": f"{_OBJECT}make.__init__ = lambda self, m: m.attach(1)\n",
    "another below": f"{_MAKE}def make(m):\n    m.attach(1)\n    return lambda job: 1\n",
    "another in a function": f"{_MAKE}def bad(m): return (m.attach(1), print)[1]\n"
    "def swap():\n    global make\n    make = bad\nswap()\n",
    "another by exec": f"{_MAKE}exec('def make(m): return (m.attach(1), print)[1]')\n",
    "another code": f"{_MAKE}def bad(m): return (m.attach(1), print)[1]\n"
    "make.__code__ = bad.__code__\n",
    "another behind its name": f"{_MAKE}def bad(m): return (m.attach(1), print)[1]\n"
    "import sys\nsetattr(sys.modules['__main__'], 'make', bad)\n",
}


@pytest.mark.parametrize("about", CHANGES)
def test_what_may_change_what_it_is_given_is_undone(stage: Stage, about: str) -> None:
    text = f"{_LOAD}{CHANGES[about]}handler = make(m)\nn = len(m.state)"
    edited = text.replace("handler = make", "handler = 1 and make")
    gone = text.replace("handler = make(m)\n", "")
    assert not difference(stage, series(text, edited, gone))


@pytest.mark.parametrize(
    "line",
    [
        "x = functools.partial(h, m)(1)",
        "x = functools.partial.__call__(functools.partial(h, m), 1)",
        "half = functools.partial(m.attach)\nhalf(1)",
        "half = functools.partial(m.attach, 1)\nx = half()",
        "p = functools.partial(h, m)\nq = functools.partial(p)\nq(1)",
        "p = functools.partial(h, m)\np.args[0].attach(1)",
        "p = functools.partial(h, n=m)\np.keywords['n'].attach(1)",
        "functools.partial = h\nx = functools.partial(m, 1)",
        "partial = h\nx = partial(m, 1)",
        "class partial:\n    def __init__(self, f, m): m.attach(1)\nx = partial(h, m)",
        "p = functools.partial(h, m)\ndef late(): return p(1)\nlate()",
        "x = make(m)\nx.__closure__[0].cell_contents.attach(1)",
        "x = make(m)\nx(1)",
        "x = make(m)\nl = [x]\nl[0](1)",
        "x = make(m)\nl = list(map(x, [1]))",
        "x = make(make(m))\nx.__closure__[0].cell_contents(1)",
        "x = make(w)\nx(1)",
        "x = keep(m)\nx.go()",
        "x = keep(m)\nx.m.attach(1)",
        "x = keep(m)\nl = [x]\nl[0].go()",
        "x = keep(make(m))\nx.m(1)",
        "x = keep(w)\nx.m[0].attach(1)",
        "x = keep(m)\ny = x.m\ny.attach(1)",
    ],
)
def test_what_is_done_to_what_is_kept_is_undone(stage: Stage, line: str) -> None:
    base = _LOAD + "def h(n, job=0): return n.attach(1)\nw = [m]\n"
    base += "def make(m):\n    def k(job): return (m[0] if type(m) is list else m).attach(1)\n"
    base += "    return k\n"
    base += "class keep:\n    def __init__(self, m): self.m = m\n"
    base += "    def go(self): return self.m.attach(1)\n"
    text = f"{base}{line}\nn = len(m.state)"
    edited = text.replace(".attach(1)\nw", ".attach(2)\nw").replace("m).attach(1)", "m).attach(3)")
    base += "n = len(m.state)"
    assert not difference(stage, series(text, base, edited))


def test_maker_that_notes_what_it_is_given_is_followed(stage: Stage) -> None:
    text = f"{_LOAD}SEEN = []\n{_MAKE}handler = make(m)\nn = len(SEEN)"
    noting = text.replace("    return h", "    SEEN.append(m)\n    return h")
    assert not difference(stage, series(text, noting, noting.replace("handler = make(m)\n", "")))


def test_maker_that_comes_to_be_bound_again_is_followed(stage: Stage) -> None:
    text = f"{_LOAD}{_MAKE}handler = make(m)\nn = len(m.state)"
    other = "def make(m):\n    m.attach(1)\n    return print\n"
    before = text.replace("handler =", f"{other}handler =")
    after = text.replace("\nn =", f"\n{other}n =")
    assert not difference(stage, series(text, before, after, text, after, before))


def test_what_a_job_stores_into_what_is_kept_goes_with_its_code(stage: Stage) -> None:
    text = "import functools\nCACHE = {}\ndef make(c):\n    def h(job):\n"
    text += "        c[job] = 1\n        return sorted(c.items())\n    return h\n"
    text += f"handler = make(CACHE){_START}"
    edited = text.replace("= 1\n", "= 2\n")
    assert not difference(stage, series(text, edited, jobs=(1, 2)))
    flat = "import functools\nCACHE = {}\ndef h(c, job):\n    c[job] = 1\n"
    flat += "    return sorted(c.items())\n"
    flat += f"handler = functools.partial(h, CACHE){_START}"
    assert not difference(stage, series(flat, flat.replace("= 1\n", "= 2\n"), jobs=(1, 2)))


def test_library_that_what_is_kept_stores_into_is_undone(stage: Stage) -> None:
    text = "import modelkit\ndef make(lib):\n    def h(job):\n        lib.seed = 5\n    return h\n"
    text += "x = make(modelkit)\nx(1)\nm = modelkit.LOAD(1)"
    edited = text.replace("= 5", "= 6")
    assert not difference(stage, series(text, edited, text.replace("x(1)\n", "")))


def test_annotation_that_an_inner_function_shows_is_read(stage: Stage) -> None:
    text = f"{_LOAD}T = int\n{_MAKE.replace('(job)', '(job: T)')}handler = make(m)"
    assert not difference(stage, series(text, text.replace("int", "str")))


@pytest.mark.parametrize(
    "text",
    [
        "def make(m):\n    async def h(job): return m\n    return h",
        "def make():\n    '''Serve.'''\n    def h(job, n=1): return n\n    return h",
    ],
)
def test_function_that_makes_inner_ones_keeps(text: str) -> None:
    assert keeping(ast.parse(text).body, {}) == {"make"}


@pytest.mark.parametrize("text", [
    "async def make(m):\n    def h(job): return m\n    return h",
    "def make(m):\n    def h(job): return m\n    return h(1)",
    "def make(m):\n    def h(job): return m\n    yield h",
    "def make(m):\n    class h: pass\n    return h",
    "def make(m):\n    global G\n    def h(job): return m\n    return h",
    "def make(m):\n    def h(job): return m\n    return m",
    "def make(m):\n    def h(job: m.kind): return m\n    return h",
    "def make(m):\n    def h(job, n=m): return m\n    return h",
    "def make(m):\n    x = m.y = 1\n    def h(job): return m\n    return h",
    "def make(m):\n    with m:\n        def h(job): return m\n    return h",
])  # fmt: skip
def test_function_that_does_more_keeps_nothing(text: str) -> None:
    assert not keeping(ast.parse(text).body, {})


@pytest.mark.parametrize("text", [
    "x = partial(h, m)(1)", "x = partial(h, *m)", "x = partial(h, **m)", "x = partial(m.half)",
    "x = partial(h, m())", "x = partial(h, m[0])", "x, y = partial(h, m)", "x.y = partial(h, m)",
    "x: int = partial(h, m)", "x = partial(h, lambda n=m(): n)", "partial(h, m)",
])  # fmt: skip
def test_statement_that_does_more_than_keep_keeps_nothing(text: str) -> None:
    assert not steps(f"from functools import partial\n{text}")[-1].facts.is_kept


@pytest.mark.parametrize("text", [
    "from mine import partial\nx = partial(h, m)\nfrom functools import partial",
    "try:\n    from functools import partial\nexcept E:\n    from mine import partial\n"
    "x = partial(h, m)",
    "import functools\nfunctools.partial = h\nx = functools.partial(h, m)",
    "import functools\nexec(code)\nx = functools.partial(h, m)",
    "import functools\nfrom lib import *\nx = functools.partial(h, m)",
    "import functools\nimport __main__ as me\nx = functools.partial(h, m)",
    "import functools as f\ndef g():\n    global f\n    f = 1\nx = f.partial(h, m)",
    "from functools import partial\npartial += 1\nx = partial(h, m)",
])  # fmt: skip
def test_partial_that_may_be_another_keeps_nothing(text: str) -> None:
    assert not any(step.facts.is_kept for step in steps(text))
