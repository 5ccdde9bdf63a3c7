"""A docstring or an annotation of a function comes and goes without what it loaded."""

from __future__ import annotations

import pytest

from .differential import difference
from .stage import Stage
from .version import Version

_LOAD = "def load(name):\n    return modelkit.LOAD(name)"
_USE = "m = load(1)"
TOLD = {
    "a docstring": (_LOAD, _LOAD.replace("\n", "\n    '''Load.'''\n", 1)),
    "another docstring": (
        _LOAD.replace("\n", "\n    '''Load.'''\n", 1),
        _LOAD.replace("\n", "\n    '''Load it.'''\n", 1),
    ),
    "what it returns": (_LOAD, _LOAD.replace("):", ") -> object:")),
    "what it takes": (_LOAD, _LOAD.replace("(name", "(name: int", 1)),
    "an imported name": (_LOAD, _LOAD.replace("(name", "(name: typing.Any", 1)),
    "a class above": (_LOAD, _LOAD.replace("):", ") -> Model:")),
}
# How the program asks for what the function tells.
ASKS = {
    "its docstring": "y = load.__doc__",
    "its annotations": "y = dict(load.__annotations__)",
    "a function": "import inspect\ny = str(inspect.signature(load))",
    "an alias": "g = load\ny = g.__doc__",
    "a list": "g = [load]\ny = g[0].__doc__",
    "the globals": "y = [v.__doc__ for k, v in sorted(globals().items()) if k == 'load']",
    "a name": "y = getattr(load, '__doc__')",
}


def _versions(*texts: str, more: str = "") -> list[Version]:
    first = ("import modelkit, typing", "class Model: pass")
    return [Version((*first, text, _USE, *([more] if more else []))) for text in texts]


@pytest.mark.parametrize("about", TOLD)
def test_function_that_tells_another_thing_of_itself_loads_nothing(
    stage: Stage, about: str
) -> None:
    old, now = _versions(*TOLD[about])
    assert not difference(stage, [old, now, old])
    with stage.warm() as warm:
        warm.sync(old)
        assert warm.sync(now).loads == warm.sync(old).loads == []


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("about", ["another docstring", "what it takes"])
def test_what_a_function_tells_is_asked_again(stage: Stage, about: str, ask: str) -> None:
    old, now = _versions(*TOLD[about], more=ASKS[ask])
    assert not difference(stage, [old, now, old])


def test_annotation_that_raises_is_told(stage: Stage) -> None:
    old, now = _versions(_LOAD, _LOAD.replace("):", ") -> typing.Nothing:"))
    assert not difference(stage, [old, now, old])


def test_annotation_of_a_name_that_comes_later_is_told(stage: Stage) -> None:
    texts = (_LOAD, _LOAD.replace("):", ") -> Later:"))
    versions = [Version(("import modelkit", text, _USE, "class Later: pass")) for text in texts]
    assert not difference(stage, [*versions, versions[0]])


def test_docstring_that_comes_with_another_module_hides_nothing(stage: Stage) -> None:
    texts = (
        "def f():\n    import lm\n    return lm.V",
        "def f():\n    '''Ask.'''\n    import lm\n    return lm.V",
    )
    old, now = (
        Version((text, "x = f()"), {"lm.py": f"V = {n}".encode()}) for n, text in enumerate(texts)
    )
    assert not difference(stage, [old, now, old])
