"""What one statement reads, binds and changes: a table over Python's syntax."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from rpnb.planner.facts import Facts, facts, free_names, split


@dataclass(frozen=True)
class Case:
    """A statement and, space-separated, the names it reads and binds, now and later."""

    text: str
    reads: str = ""
    binds: str = ""
    later_reads: str = ""
    later_binds: str = ""
    changes: str = ""
    calls: str = ""


def only(text: str) -> Facts:
    (statement,) = split(text)
    return facts(statement)


CASES = [
    Case("x = y", reads="y", binds="x"),
    Case("x: int = y", reads="int y", binds="x"),
    Case("x += y", reads="x y", binds="x", changes="x"),
    Case("a, *b = c", reads="c", binds="a b"),
    Case("a.b.c = d", reads="a d", changes="a"),
    Case("a[i] = 1", reads="a i", changes="a"),
    Case("a[i].b += 1", reads="a i", changes="a"),
    Case("del x", binds="x"),
    Case("del a[0]", reads="a", changes="a"),
    Case("import a.b.c", binds="a"),
    Case("import a.b as c", binds="c"),
    Case("from m import a as b, c", binds="b c"),
    Case("[q for q in xs if q > n]", reads="xs n"),
    Case("{k: (w := k) for k in xs}", reads="xs", binds="w"),
    Case("(q + n for q in xs)", reads="xs n", later_reads="n"),
    Case("[q.append(1) for q in xs]", reads="xs", changes="q xs", calls="q xs"),
    Case("print(x)", reads="print x"),
    Case("f(x, *a, k=v, **m)", reads="f x a v m", calls="f x a v m"),
    Case("a.sort()", reads="a", changes="a", calls="a"),
    Case("a.b(c).d(e)", reads="a c e", calls="a c e"),
    Case("getattr(a, 'b')[0] = 1", reads="a", changes="a"),
    Case("def f(v): return v + x", binds="f", later_reads="x"),
    Case("def f(v=d): pass", reads="d", binds="f"),
    Case("def f(v: T) -> R: pass", reads="T R", binds="f"),
    Case("def f():\n global x\n x = 1", binds="f", later_binds="x"),
    Case("def f():\n x = 1\n def g():\n  nonlocal x\n  x += y", binds="f", later_reads="y"),
    Case("@d(e)\ndef f(): return x", reads="d e", binds="f", later_reads="x", calls="d e x"),
    Case("f = lambda v=d: v + x", reads="d", binds="f", later_reads="x"),
    Case("async def f():\n async with a as b:\n  await b", binds="f", later_reads="a"),
    Case("class C(B, metaclass=M):\n x = y\n def m(self): return z",
         reads="B M y", binds="C", later_reads="z", calls="B M"),
    Case("class C:\n a = 1\n b = a", reads="a", binds="C"),
    Case("for i in xs:\n ys.append(i)", reads="xs ys", binds="i", changes="ys", calls="ys i"),
    Case("for a.b in xs: pass", reads="a xs", changes="a"),
    Case("while x: x = f()", reads="x f", binds="x", calls="f"),
    Case("with a(b) as c: d = c", reads="a b c", binds="c d", calls="a b"),
    Case("try:\n import a\nexcept E as e:\n b = e\nfinally:\n c = 1",
         reads="E e", binds="a e b c"),
    Case("if x:\n a = 1\nelse:\n b = 1", reads="x", binds="a b"),
    Case("x = f'{a!r:>{w}}'", reads="a w", binds="x"),
    Case("assert x, y", reads="x y"),
    Case("raise E(x) from y", reads="E x y", calls="E x"),
    Case("x = await f(y)", reads="f y", binds="x", calls="f y"),
    Case("async with a as b: pass", reads="a", binds="b", calls="a"),
    Case("global x\n", ""),
    Case("match x:\n case [a, *b]: pass\n case {'k': c, **d}: pass\n case P(e) as f: pass",
         reads="x P", binds="a b c d e f"),
    Case("match x:\n case m.K: y = 1", reads="x m", binds="y"),

]  # fmt: skip
if sys.version_info >= (3, 12):
    CASES += [
        Case("def f[T: B](v: T) -> T: pass", reads="B", binds="f"),
        Case("class C[T](B): pass", reads="B", binds="C", calls="B"),
        Case("type A[T] = list[T] | B", reads="list B", binds="A"),
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.text.replace("\n", "; "))
def test_statement_names_are_found(case: Case) -> None:
    found = only(case.text)
    expected = (
        case.reads,
        case.binds,
        case.later_reads,
        case.later_binds,
        case.changes,
        case.calls,
    )
    actual = (
        *(found.reads, found.binds, found.deferred_reads, found.deferred_binds),
        *(found.changes, found.calls),
    )
    assert [set(names.split()) for names in expected] == [set(names) for names in actual]


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("def f():\n CACHE[k] = 1", {"CACHE"}),
        ("def f():\n w = CACHE\n w.append(1)", {"CACHE"}),
        ("def f():\n w = CACHE.get(1)\n w['n'] += 1", {"CACHE"}),
        ("def f():\n for w in LOGS.values():\n  w.clear()", {"LOGS"}),
        ("def f(v):\n v.append(1)", set()),
        ("def f():\n out = model.generate()\n out += 1", set()),
        ("def f():\n f.cache = 1", {"f"}),
        ("def f():\n x = len(CACHE)\n x += 1", set()),
    ],
)
def test_function_changes_for_sure_what_it_stores_into(text: str, changed: set[str]) -> None:
    assert only(text).deferred_changes == changed


def test_function_may_change_what_it_hands_to_calls() -> None:
    found = only("def f():\n out = model.generate(tok)\n out += 1")
    assert {"model", "tok"} <= found.deferred_calls


def test_result_that_is_changed_names_its_function() -> None:
    assert only("f(1).append(2)").results == {"f"}


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("exec('x = 1')", "is_opaque"),
        ("globals()[x] = 1", "is_opaque"),
        ("locals()[x] = 1", "is_opaque"),
        ("def f(): return globals()", "is_opaque_later"),
        ("from m import *", "has_star"),
        ("def f(v=1): return v", "is_definition"),
        ("f = lambda v: v", "is_definition"),
        ("'''doc'''", "is_inert"),
        ("model", "is_inert"),
        ("runpod.serverless.start({'handler': handler})", "is_start"),
        ("if __name__ == '__main__':\n import runpod\n runpod.serverless.start({})", "is_start"),
        ("if __name__ == '__main__':\n print('up')\n runpod.serverless.start(config)", "is_start"),
        ("x = f()", "has_calls"),
    ],
)  # fmt: skip
def test_statement_kind_is_told(text: str, flag: str) -> None:
    assert getattr(only(text), flag)


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("def f(v=[]): return v", "is_definition"),
        ("def f(v: T()): return v", "is_definition"),
        ("@d\ndef f(): pass", "is_definition"),
        ("model.eval", "is_inert"),
        ("if __name__ == '__main__':\n m = load()\n runpod.serverless.start({})", "is_start"),
        ("runpod.serverless.start({'handler': make(model)})", "is_start"),
        ("x = len(y)", "has_calls"),
    ],
)
def test_statement_kind_is_not_claimed(text: str, flag: str) -> None:
    assert not getattr(only(text), flag)


@dataclass(frozen=True)
class Needs:
    """A text and the names it needs from outside."""

    text: str
    names: str


NEEDS = [
    Needs("x = 1\ny = x", ""),
    Needs("x = x + 1", "x"),
    Needs("x += 1", "x"),
    Needs("for i in xs:\n print(i)", "xs print"),
    Needs("with open(p) as f:\n f.read()", "open p"),
    Needs("[i for i in xs for j in i if j]", "xs"),
    Needs("[i for i in i]", "i"),
    Needs("y = [(w := i) for i in xs]\nw", "xs"),
    Needs("def f(a=d, *b, c: T, **k) -> R:\n return a + b + c + g", "d T R g"),
    Needs("def f(): return g()\ndef g(): return f()", ""),
    Needs("def f():\n x = 1\n def inner():\n  nonlocal x\n  x = y\n return inner", "y"),
    Needs("def f():\n global n\n n += 1", "n"),
    Needs("class C(B):\n a = 1\n b = a\n def m(self): return a", "B a"),
    Needs("@d\nclass C: pass", "d"),
    Needs("class C:\n x = x", "x"),
    Needs("try:\n import a\nexcept ImportError:\n a = None\na.b", "ImportError"),
    Needs("try: pass\nexcept E as e: e.args", "E"),
    Needs("x: T = 1", "T"),
    Needs("from __future__ import annotations\nx: T = 1\ndef f(a: U): pass", ""),
    Needs("from m import *", ""),
    Needs("del x", "x"),
    Needs("lambda a: a + b", "b"),
    Needs("__name__, __file__", ""),
    Needs("async def f():\n async for i in xs: yield i", "xs"),
    Needs("x = await f(y)", "f y"),
    Needs("f'{a:{b}}'", "a b"),
    Needs("class C:\n def m(self): return __class__", ""),
    Needs("match p:\n case K(a=b) if b: b\n case [*c]: c", "p K"),
]
if sys.version_info >= (3, 12):
    NEEDS += [Needs("def f[T](v: T) -> T: pass", ""), Needs("type A[T] = list[T]", "list")]


@pytest.mark.parametrize("case", NEEDS, ids=lambda case: case.text.replace("\n", "; "))
def test_free_names_are_what_text_needs(case: Needs) -> None:
    assert free_names(case.text) == set(case.names.split())
