"""Edits of settings that a load does not use spare it; the others do not."""

# ruff: noqa: E501 - a program on a line

from __future__ import annotations

import pytest

from rpnb.planner.statements import split

from .differential import difference
from .stage import Stage
from .version import Version

_DATACLASS = (
    "from dataclasses import dataclass\n@dataclass{}\nclass Conf:\n    {}\n    {}\nc = Conf({})"
)
_MODEL = (
    "from pydantic import BaseModel, Field\nclass Conf(BaseModel):\n    {}\n    {}\nc = Conf({})"
)
_CLASS = "class Conf:\n    {}\n    {}"
_INNER = "from dataclasses import dataclass, field\n@dataclass\nclass G:\n    n: int = {}\n"
_OUTER = "@dataclass\nclass Conf:\n    {}\n    g: G = field(default_factory=G)\nc = Conf()"
_FIELD, _OTHER = "model: str = 'a'", "n: int = 1"
_BY_KEY, _BY_NAME, _OF_CLASS = "c['model']", "c.model", "Conf.model"
_BY_KEYS = "c['m']['id']"
_BY_GET = "c.get('model', 'z')"

_KEYED = "def g(d): return d['n']\n"
_ALIASED = "from typing import Annotated\n"
_CONFIG = "from pydantic import ConfigDict\n"
_OWN_DICT = "def dict(**k): return {'model': k['model'] + str(k['n'])}\n"
_OWN_DATACLASS = (
    "from dataclasses import dataclass\ndef dataclass(c):\n"
    "    c.model = c.model * c.n\n    return c\n"
)

# About -> what reads the setting, and the settings before and after an edit.
SPARED = {
    "a value in a dictionary": (_BY_KEY, "c = {'model': 'a', 'n': 1}", "c = {'model': 'a', 'n': 2}"),
    "a value that is asked for": (_BY_GET, "c = {'model': 'a', 'n': 1}", "c = {'model': 'a', 'n': 2}"),
    "a dictionary in a dictionary": (
        _BY_KEYS, "c = {'m': {'id': 'a'}, 'g': {'n': 1}}", "c = {'m': {'id': 'a'}, 'g': {'n': 2}}"),
    "another entry of the inner dictionary": (
        _BY_KEYS, "c = {'m': {'id': 'a', 'n': 1}}", "c = {'m': {'id': 'a', 'n': 2}}"),
    "an entry that is asked of the inner one": (
        "c['m'].get('id', 'z')", "c = {'m': {'id': 'a'}, 'g': {'n': 1}}", "c = {'m': {'id': 'a'}, 'g': {'n': 2}}"),
    "an entry more": (_BY_KEY, "c = {'model': 'a'}", "c = {'n': [1], 'model': 'a'}"),
    "a computed entry": (_BY_KEY, "c = {'model': 'a', 'n': f()}", "c = {'model': 'a', 'n': f() + 1}"),
    "a keyword": (_BY_KEY, "c = dict(model='a', n=1)", "c = dict(model='a', n=2)"),
    "an annotated dictionary": (
        _BY_KEY, "c: dict = {'model': 'a', 'n': 1}", "c: dict = {'model': 'a', 'n': 2}"),
    "a namespace": (
        _BY_NAME, "from types import SimpleNamespace\nc = SimpleNamespace(model='a', n=1)",
        "from types import SimpleNamespace\nc = SimpleNamespace(model='a', n=2)"),
    "a constant of a class": (
        _OF_CLASS, _CLASS.format(_FIELD, "n = 1"), _CLASS.format(_FIELD, "n = 2")),
    "a method of a class": (
        _OF_CLASS, _CLASS.format(_FIELD, "def f(self): return 1"),
        _CLASS.format(_FIELD, "def f(self): return 2")),
    "a field of a dataclass": (
        _BY_NAME, _DATACLASS.format("", _FIELD, _OTHER, ""), _DATACLASS.format("", _FIELD, "n: int = 2", "")),
    "a field of a frozen dataclass": (
        _BY_NAME, _DATACLASS.format("(frozen=True)", _FIELD, _OTHER, ""),
        _DATACLASS.format("(frozen=True)", _FIELD, "k: str = ''", "")),
    "a dataclass in a dataclass": (
        _BY_NAME, _INNER.format(1) + _OUTER.format("model: str = 'a'"), _INNER.format(2) + _OUTER.format("model: str = 'a'")),
    "an argument of a dataclass": (
        _BY_NAME, _DATACLASS.format("", "model: str", _OTHER, "model='a'"),
        _DATACLASS.format("", "model: str", _OTHER, "model='a', n=2")),
    "a field of a pydantic model": (
        _BY_NAME, _MODEL.format(_FIELD, _OTHER, ""), _MODEL.format(_FIELD, "n: int = 2", "")),
    "a described field of a pydantic model": (
        _BY_NAME, _MODEL.format("model: str = Field('a', max_length=9)", "n: int = Field(1, ge=1)", ""),
        _MODEL.format("model: str = Field('a', max_length=9)", "n: int = Field(2, ge=1)", "")),
    "a configured pydantic model": (
        _BY_NAME, _CONFIG + _MODEL.format("model_config = ConfigDict(frozen=True)", "model: str = 'a'\n    n: list = Field(default_factory=list)", "n=[1]"),
        _CONFIG + _MODEL.format("model_config = ConfigDict(frozen=True)", "model: str = 'a'\n    n: list = Field(default_factory=list)", "n=[2]")),
    "a method and the text of a pydantic model": (
        _BY_NAME, _MODEL.format("'''A.'''", "model: str = 'a'", ""),
        _MODEL.format("'''B.'''", "model: str = 'a'\n    def f(self): return 1", "")),
    "a variable's default": (
        _BY_NAME,
        "import os\n" + _DATACLASS.format("", "model: str = os.getenv('RPNB_A', 'a')", _OTHER, ""),
        "import os\n" + _DATACLASS.format("", "model: str = os.getenv('RPNB_A', 'a')", "n: int = 2", "")),
}  # fmt: skip
CHANGED = {
    "the value of the inner dictionary": (
        _BY_KEYS, "c = {'m': {'id': 'a'}, 'g': 1}", "c = {'m': {'id': 'b'}, 'g': 1}"),
    "an inner dictionary under another name": (
        _BY_KEYS, "g = {'id': 'a'}\nc = {'m': g, 'n': 1}\ng['id'] = 'b'", "g = {'id': 'a'}\nc = {'m': g, 'n': 2}"),
    "an inner dictionary that is handed on": (
        _BY_KEYS, "c = {'m': {'id': 'a'}, 'n': 1}\nd = c['m']\nd['id'] = 'b'", "c = {'m': {'id': 'a'}, 'n': 2}\nd = c['m']"),
    "an inner dictionary that is made elsewhere": (
        _BY_KEYS, "d = {'id': 'a'}\nc = {'m': {'id': 'z', **d}}", "d = {'id': 'b'}\nc = {'m': {'id': 'z', **d}}"),
    "an inner entry that is there no more": (
        "c['m'].get('id', 'z')", "c = {'m': {'id': 'a'}, 'n': 1}", "c = {'m': {}, 'n': 1}"),
    "the value itself": (_BY_KEY, "c = {'model': 'a', 'n': 1}", "c = {'model': 'b', 'n': 1}"),
    "a value that is asked for": (_BY_GET, "c = {'model': 'a', 'n': 1}", "c = {'model': 'b', 'n': 1}"),
    "a value that is there no more": (_BY_GET, "c = {'model': 'a', 'n': 1}", "c = {'n': 1}"),
    "a value that comes": (_BY_GET, "c = {'n': 1}", "c = {'n': 1, 'model': 'a'}"),
    "two of a key": (_BY_KEY, "c = {'model': 'a', 'n': 1}", "c = {'model': 'a', 'n': 1, 'model': 'b'}"),
    "what comes from elsewhere": (
        _BY_KEY, "d = {}\nc = {'model': 'a', **d}", "d = {'model': 'b'}\nc = {'model': 'a', **d}"),
    "what a function gives": (
        _BY_KEY, "def g(): return 'a'\nc = {'model': g()}", "def g(): return 'b'\nc = {'model': g()}"),
    "a store below": (
        _BY_KEY, "c = {'model': 'a', 'n': 1}", "c = {'model': 'a', 'n': 2}\nc['model'] = 'b'"),
    "a store under another name": (
        _BY_KEY, "c = {'model': 'a'}\nd = c\nd['model'] = 'b'", "c = {'model': 'a', 'n': 2}\nd = c\nd['model'] = 'c'"),
    "a function that stores": (
        _BY_KEY, "c = {'model': 'a'}\ndef g(): c['model'] = 'b'\ng()",
        "c = {'model': 'a', 'n': 2}\ndef g(): c['model'] = 'c'\ng()"),
    "a second dictionary": (
        _BY_KEY, "c = {'model': 'a', 'n': 1}", "c = {'model': 'a', 'n': 2}\nc = {'model': 'b'}"),
    "a constant of a class": (
        _OF_CLASS, _CLASS.format(_FIELD, ""), _CLASS.format("model: str = 'b'", "")),
    "one that another decides": (
        _OF_CLASS, _CLASS.format("n = 'a'", "model = n + '-1'"), _CLASS.format("n = 'b'", "model = n + '-1'")),
    "a property": (
        _BY_NAME, _CLASS.format(_FIELD, "") + "\nc = Conf()",
        _CLASS.format("@property", "def model(self): return 'b'") + "\nc = Conf()"),
    "what is done after a dataclass is made": (
        _BY_NAME, _DATACLASS.format("", _FIELD, _OTHER, ""),
        _DATACLASS.format("", _FIELD, "def __post_init__(self): self.model = 'b'", "")),
    "a default that an argument hid": (
        _BY_NAME, _DATACLASS.format("", _FIELD, _OTHER, "model='c'"), _DATACLASS.format("", _FIELD, _OTHER, "")),
    "what the program calls dict": (
        _BY_KEY, _OWN_DICT + "c = dict(model='a', n=1)", _OWN_DICT + "c = dict(model='a', n=2)"),
    "what the program calls a dataclass": (
        _BY_NAME, _OWN_DATACLASS + "@dataclass\nclass Conf:\n    model: str = 'a'\n    n: int = 1\nc = Conf()",
        _OWN_DATACLASS + "@dataclass\nclass Conf:\n    model: str = 'a'\n    n: int = 2\nc = Conf()"),
    "what the program calls a number": (
        _BY_KEY, "k = [1]\ndef int(v): return len(k)\nc = {'model': int(1), 'n': 1}",
        "k = [1, 2]\ndef int(v): return len(k)\nc = {'model': int(1), 'n': 1}"),
    "an argument by position": (
        _BY_NAME, _DATACLASS.format("", _FIELD, _OTHER, "'a'"), _DATACLASS.format("", _FIELD, _OTHER, "'b'")),
    "an argument that a function gives": (
        _BY_NAME, "def g(): return 'a'\n" + _DATACLASS.format("", _FIELD, _OTHER, "model=g()"),
        "def g(): return 'b'\n" + _DATACLASS.format("", _FIELD, _OTHER, "model=g()")),
    "an annotation that an argument is made by": (
        _BY_NAME, _MODEL.format("model: str", _OTHER, "model='1'"), _MODEL.format("model: int", _OTHER, "model='1'")),
    "a dataclass that decides a field": (
        _BY_NAME, _INNER.format(1) + _OUTER.format("model: int = G.n"), _INNER.format(2) + _OUTER.format("model: int = G.n")),
    "a dataclass that sets another": (
        "Conf.model", _INNER.format(1).replace("\n    n", "\n    def __post_init__(self): Conf.model = str(self.n)\n    n") + _OUTER.format("model: str = 'a'"),
        _INNER.format(2).replace("\n    n", "\n    def __post_init__(self): Conf.model = str(self.n)\n    n") + _OUTER.format("model: str = 'a'")),
    "a described field": (
        _BY_NAME, _MODEL.format("model: str = Field('a')", _OTHER, ""), _MODEL.format("model: str = Field('b')", _OTHER, "")),
    "a factory": (
        _BY_NAME, "k = ['a']\ndef g(): return k[0]\n" + _MODEL.format("model: str = Field(default_factory=g)", _OTHER, ""),
        "k = ['b']\ndef g(): return k[0]\n" + _MODEL.format("model: str = Field(default_factory=g)", _OTHER, "")),
    "a factory that takes the other fields": (
        _BY_NAME, _KEYED + _MODEL.format("n: str = 'a'", "model: str = Field(default_factory=g)", "n='a'"),
        _KEYED + _MODEL.format("n: str = 'a'", "model: str = Field(default_factory=g)", "n='b'")),
    "an argument under an alias": (
        _BY_NAME, _MODEL.format("model: str = Field('c', alias='m')", _OTHER, "m='a'"),
        _MODEL.format("model: str = Field('c', alias='m')", _OTHER, "m='b'")),
    "an argument under an alias in the annotation": (
        _BY_NAME, _ALIASED + _MODEL.format("model: Annotated[str, Field(alias='m')] = 'c'", _OTHER, "m='a'"),
        _ALIASED + _MODEL.format("model: Annotated[str, Field(alias='m')] = 'c'", _OTHER, "m='b'")),
    "an argument under an alias that is worked out": (
        _BY_NAME, _CONFIG + _MODEL.format("model_config = ConfigDict(alias_generator=str.upper)", "model: str = 'c'", "MODEL='a'"),
        _CONFIG + _MODEL.format("model_config = ConfigDict(alias_generator=str.upper)", "model: str = 'c'", "MODEL='b'")),
    "a validator": (
        _BY_NAME, _MODEL.format("model: str", _OTHER, "model='a'"),
        "from pydantic import BaseModel, field_validator\nclass Conf(BaseModel):\n    model: str\n"
        "    @field_validator('model')\n    def up(cls, v): return v.upper()\nc = Conf(model='a')"),
    "a store into a field": (
        _BY_NAME, _DATACLASS.format("", _FIELD, _OTHER, ""),
        _DATACLASS.format("", _FIELD, "n: int = 2", "") + "\nc.model = 'b'"),
    "a variable": (
        _BY_NAME,
        "import os\nos.environ['RPNB_A'] = 'a'\n"
        + _DATACLASS.format("", "model: str = os.getenv('RPNB_A')", _OTHER, ""),
        "import os\nos.environ['RPNB_A'] = 'b'\n"
        + _DATACLASS.format("", "model: str = os.getenv('RPNB_A')", "n: int = 2", "")),
    "a name that a field has": (
        _BY_KEY, "k = 'a'\nc = {'model': k, 'n': 1}", "k = 'b'\nc = {'model': k, 'n': 2}"),
}  # fmt: skip


# Settings that someone holds as a whole, and what is done to them there.
HELD = {
    "a function that hands them out": "def g(): return c\ng()['model'] = '{}'",
    "a parameter": "def g(d): d['model'] = '{}'\ng(c)",
    "a closure": "def g():\n    d = c\n    return lambda: d.update(model='{}')\ng()()",
    "a default": "def g(d=c): d['model'] = '{}'\ng()",
    "a list": "d = [c]\nd[0]['model'] = '{}'",
    "every name": "globals()['c']['model'] = '{}'",
    "a name that is worked out": "k = 'c'\nglobals()[k]['model'] = '{}'",
    "a store into all": "for each in [c]: each['model'] = '{}'",
    "a function that binds it": "def g():\n    global c\n    c = dict(model='{}')\ng()",
    "an entry that is deleted": "del c['model']\nc.setdefault('model', '{}')",
}  # fmt: skip


def _version(reader: str, settings: str, *, is_called: bool = False) -> Version:
    load = f"m = modelkit.LOAD({reader})"
    if is_called:
        load = f"def load():\n    return modelkit.LOAD({reader})\nm = load()\nm.eval()"
    return Version(("import modelkit", "def f(): return 1", settings, load))


@pytest.mark.parametrize("is_called", [False, True])
@pytest.mark.parametrize("about", SPARED)
def test_settings_that_a_load_does_not_read_spare_it(
    stage: Stage, about: str, is_called: bool
) -> None:
    reader, *texts = SPARED[about]
    versions = [_version(reader, text, is_called=is_called) for text in texts]
    assert not difference(stage, [*versions, versions[0]])
    with stage.warm() as warm:
        assert warm.sync(versions[0]).loads
        assert not warm.sync(versions[1]).loads
        assert not warm.sync(versions[0]).loads


@pytest.mark.parametrize("is_called", [False, True])
@pytest.mark.parametrize("about", CHANGED)
def test_settings_that_a_load_reads_load_again(stage: Stage, about: str, is_called: bool) -> None:
    reader, *texts = CHANGED[about]
    versions = [_version(reader, text, is_called=is_called) for text in texts]
    assert not difference(stage, [*versions, versions[0]])
    with stage.warm() as warm:
        assert warm.sync(versions[0]).loads
        assert warm.sync(versions[1]).loads


@pytest.mark.parametrize("about", HELD)
def test_settings_that_someone_holds_are_what_was_made_of_them(stage: Stage, about: str) -> None:
    versions = [
        _version(
            _BY_KEY, f"c = {{'model': 'a', 'n': {n}}}\n{HELD[about].format(to)}", is_called=True
        )
        for n, to in ((1, "b"), (2, "c"), (3, "c"))
    ]
    assert not difference(stage, [*versions, versions[0]])


@pytest.mark.parametrize("steps", ["2", "3, 'guidance': [1]"])
def test_entry_that_only_others_take_may_be_a_dictionary(stage: Stage, steps: str) -> None:
    program = (
        "import modelkit\nc = {{'model': 'a', 'defaults': {{'steps': {}}}}}\n"
        "def load(): return modelkit.LOAD(c['model'])\nm = load()\nm.eval()\n"
        "def run():\n    d = c['defaults']\n    return d['steps']\nx = run()"
    )
    versions = [Version(tuple(_split(program.format(text)))) for text in ("1", steps)]
    assert not difference(stage, [*versions, versions[0]])
    with stage.warm() as warm:
        assert warm.sync(versions[0]).loads
        assert not warm.sync(versions[1]).loads


def _split(program: str) -> list[str]:
    return [each.text for each in split(program)]


def test_entry_that_can_be_changed_is_changed_where_a_load_kept_it(stage: Stage) -> None:
    program = (
        "import modelkit\nc = {{'model': ['a'], 'n': {}}}\n"
        "def load(): return [modelkit.LOAD('a'), c['model']]\nm = load()\nm[1].append({})"
    )
    versions = [
        Version(tuple(program.format(*two).split("\n"))) for two in ((1, 1), (2, 1), (2, 3))
    ]
    assert not difference(stage, [*versions, versions[0]])


def test_function_that_a_reader_calls_reads_settings_too(stage: Stage) -> None:
    program = (
        "import modelkit", "c = {{'model': 'a', 'n': {}}}", "def f(): return c['n']",
        "m = modelkit.LOAD(c['model']) if f() == 1 else None",
    )  # fmt: skip
    versions = [Version(tuple(step.format(n) for step in program)) for n in (1, 2, 1)]
    assert not difference(stage, versions)


def test_settings_below_a_load_do_not_stand_for_those_above_it(stage: Stage) -> None:
    one, other = "c = {'model': 'a', 'n': 1}", "c = {'model': 'a', 'n': 2}"
    load = "m = modelkit.LOAD(c['model'])"
    versions = [Version(("import modelkit", *steps)) for steps in ((one, load), (load, other))]
    assert not difference(stage, versions)


def test_load_that_a_failed_edit_of_its_settings_spared_is_told_from_a_later_value(
    stage: Stage,
) -> None:
    load = "m = modelkit.LOAD(c['model'])"
    texts = [
        "c = {'model': 'a', 'n': 1}",
        "c = {'model': 'a', 'n': missing}",
        "c = {'model': 'b', 'n': missing}",
        "c = {'model': 'a', 'n': 1}",
        "c = {'model': 'b', 'n': 1}",
    ]
    assert not difference(stage, [Version(("import modelkit", text, load)) for text in texts])


def test_setting_that_a_job_changed_loads_again(stage: Stage) -> None:
    program = (
        "import modelkit\nc = {{'model': 'a', 'n': {}}}\nm = modelkit.LOAD(c['model'])\n"
        "def handler(job):\n    c['model'] = 'b'\n    return c['n']\n"
        'import runpod\nrunpod.serverless.start({{"handler": handler}})'
    )
    versions = [Version((program.format(n),), {}, (1,)) for n in (1, 2)]
    assert not difference(stage, versions)
