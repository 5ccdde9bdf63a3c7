"""Functions of the program whose bodies only ask: a warm-up through one loads nothing."""

# ruff: noqa: E501 - a program on a line

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from rpnb.planner.bodies import is_body, looks_through

from .differential import difference
from .stage import Stage
from .version import Version

_CLEAN = "def clean(t): return t.strip()\n"
# A function `f`, and what it asks; it is called as `f("a")`.
ASKS = {
    "a model": ("def f(t): return model(t)", {("model", "")}),
    "what it made itself": (
        "def f(t):\n    ids = tok(t, return_tensors='pt').to('cuda')\n    out = model.generate(**ids)\n    return tok.decode(out[0])",
        {("tok", ""), ("model", "generate"), ("tok", "decode")}),
    "another function": (_CLEAN + "def f(t): return model(clean(t))", {("model", "")}),
    "a model that it is given": ("def g(m, t): return m.generate(t)\ndef f(t): return g(model, t)", {("model", "generate")}),
    "a part under a name": ("def f(t):\n    c = model.config\n    return c.get('x')", {("model", "$part")}),
    "options": ("def f(t, **options): return model(t, n=options.get('n', 1))", {("model", "")}),
    "a list that it makes": ("def f(t):\n    found = []\n    for each in [t]: found.append(model(each))\n    return found", {("model", "")}),
    "a dictionary that it makes": ("def f(t):\n    ids = {k: v.to('cuda') for k, v in tok(t).items()}\n    return model(**ids)", {("tok", ""), ("model", "")}),
    "a copy that it fills": ("def f(t):\n    t = t.copy()\n    t['n'] = 1\n    return model(t)", {("model", "")}),
    "a refusal": ("def f(t):\n    if not t: raise ValueError('empty')\n    return model(t)", {("model", "")}),
    "a block": ("def f(t):\n    with torch.no_grad(): return model(t)", {("torch", "no_grad"), ("model", "")}),
    "a context of the program's own": ("@contextmanager\ndef timer():\n    yield\n    log.info('x')\ndef f(t):\n    with timer(): return model(t)", {("log", "info"), ("model", "")}),
}  # fmt: skip
DOES_MORE = {
    "changes the model": "def f(t):\n    model.half()\n    return model(t)",
    "changes it under another name": "def f(t):\n    m = model\n    m.half()\n    return m(t)",
    "changes a part of it": "def f(t):\n    c = model.config\n    c.n = 1\n    return model(t)",
    "changes what it is given": "def g(m):\n    m.half()\n    return 1\ndef f(t): return g(model)",
    "changes what another hands out": "def g(): return model\ndef f(t):\n    m = g()\n    m.half()",
    "changes what stands in a list": "def f(t):\n    for m in [model]: m.half()",
    "binds a global": "def f(t):\n    global n\n    n = model(t)",
    "stores into a global": "def f(t):\n    seen[t] = model(t)",
    "keeps it in a default": "def f(t, seen=[]):\n    seen.append(model(t))",
    "appends to a global": "def f(t): seen.append(model(t))",
    "puts the model into its list": "def f(t):\n    found = []\n    found.append(model)\n    for m in found: m.half()",
    "joins the model to its list": "def f(t):\n    found = [] + [model]\n    for m in found: m.half()",
    "changes what a copy holds": "def f(t):\n    t = seen.copy()\n    t['n']['m'] = 1\n    return model(t)",
    "changes what it copies below": "def f(t):\n    seen['n'] = 1\n    return model(seen.copy())",
    "puts the model into a copy": "def f(t):\n    t = t.copy()\n    t['m'] = model\n    t['m'].half()",
    "keeps the model in a dictionary": "def f(t):\n    d = {k: model for k in t}\n    d['a'].half()",
    "makes a function": "def f(t):\n    def g(): return model(t)\n    return g",
    "hands a function on": "def f(t): return model(t, lambda: seen.append(1))",
    "imports": "def f(t):\n    import lm\n    return model(t)",
    "yields": "def f(t):\n    yield model(t)",
    "asks what is in no table": "def f(t): return model.tune(t)",
    "calls itself": "def f(t): return f(model(t))",
    "calls what it made": "def f(t):\n    g = model(t)\n    return g(t)",
    "is decorated": "@other\ndef f(t): return model(t)",
}


def _looks(text: str) -> set[tuple[str, str]]:
    every = ast.parse(text).body
    plain = [
        n for n in every if not getattr(n, "decorator_list", ()) or "context" in ast.unparse(n)
    ]
    found, entered = looks_through(
        ast.parse("f('a')").body[0],
        {n.name: n for n in plain if isinstance(n, ast.FunctionDef) and is_body(n)},
    )
    return set(found) if "f" in entered else set()


@pytest.mark.parametrize("about", ASKS)
def test_body_that_only_asks_is_what_it_asks(about: str) -> None:
    text, expected = ASKS[about]
    assert _looks(text) == expected


@pytest.mark.parametrize("about", DOES_MORE)
def test_body_that_does_more_asks_nothing(about: str) -> None:
    assert _looks(DOES_MORE[about]) == set()


_LOAD = "from transformers import AutoModelForCausalLM as M, AutoTokenizer as T\ntok = T.from_pretrained('org/a')\nmodel = M.from_pretrained('org/a')\nmodel.eval()"
_CHAT = "def chat(t):\n    ids = tok(t, return_tensors='pt')\n    return tok.decode(model.generate(ids['input_ids']))"
_START = "def handler(job): return chat('x')\nimport runpod; runpod.serverless.start({'handler': handler})"


@pytest.fixture(scope="module")
def libraries() -> Iterator[Stage]:
    """A stage with stand-ins of libraries that tell what they loaded."""
    with Stage(standins=True) as found:
        yield found


@pytest.mark.parametrize(
    "line",
    ["s = chat('hi')", "print(chat('hi'))", "for _ in range(2): chat('hi')", "assert chat('hi')"],
)
@pytest.mark.parametrize(
    "edit", [("'hi'", "'ho'"), ("tok.decode(", "'>' + tok.decode("), ("chat('hi')", "1"), ("", "")]
)
def test_warm_up_through_a_function_loads_nothing(
    libraries: Stage, line: str, edit: tuple[str, str]
) -> None:
    first = (_LOAD, _CHAT, line, _START)
    edited = tuple(each.replace(*edit) for each in first) if edit[0] else (_LOAD, _CHAT, _START)
    versions = [Version(each, {}, (1,)) for each in (first, edited, first)]
    assert not difference(libraries, versions)
    with libraries.warm() as warm:
        warm.sync(versions[0])
        assert warm.sync(versions[1]).loads == warm.sync(versions[2]).loads == []


@pytest.mark.parametrize(
    ("function", "line", "last"),
    [
        ("def chat(t):\n    model.half()\n    return model.generate(t)", "chat('a')", "y = str(vars(model))"),
        ("seen = []\ndef chat(t):\n    seen.append(t)\n    return model.generate(t)", "chat('a')", "y = len(seen)"),
        ("def part(): return model.config\ndef chat(t):\n    c = part()\n    return c", "c = chat('a')\nc.n = 3", "y = str(vars(model.config))"),
        ("def chat(t): return [model, tok(t)]", "c = chat('a')\nc[0].half()", "y = str(vars(model))"),
        ("def g(m): return m.generate('a'), m\ndef chat(t): return g(model)", "a, b = chat('a')\nb.half()", "y = str(vars(model))"),
        ("def chat(t):\n    out = tok(t)\n    return out, model", "a, b = chat('a')\nb.half()", "y = str(vars(model))"),
        ("n = 0\ndef chat(t):\n    global n\n    n += 1\n    return tok(t)", "chat('a')", "y = n"),
        ("def chat(t): return tok(t)\ndef chat(t):\n    model.half()\n    return 1", "chat('a')", "y = str(vars(model))"),
    ],
)  # fmt: skip
def test_function_that_changes_something_is_undone(
    libraries: Stage, function: str, line: str, last: str
) -> None:
    versions = [Version((_LOAD, function, *lines, last)) for lines in ((line,), ())]
    assert not difference(libraries, [*versions, versions[0]])


def test_function_that_comes_to_change_the_model_is_no_look_any_more(libraries: Stage) -> None:
    texts = [
        "def chat(t): return model.generate(t)",
        "def chat(t):\n    model.half()\n    return 1",
    ]
    line = "chat('a')\ny = str(vars(model))"
    versions = [Version((_LOAD, text, line)) for text in texts]
    assert not difference(libraries, [*versions, versions[0]])
