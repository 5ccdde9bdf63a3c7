"""Secrets in ordinary cells: none becomes text of a program."""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace

import pytest

from rpnb.errors import CannotCapture
from rpnb.program.credentials import is_secret_name, refuse

# Put together, so that no scanner takes them for real ones.
BODY = "Ab1Cd2Ef3Gh4Ij5Kl6Mn7"


class Service:
    def __init__(self, key):
        self.api_key = key


class Slotted:
    __slots__ = ("api_key",)

    def __init__(self, key):
        self.api_key = key


class Raising:
    @property
    def __class__(self):
        raise RuntimeError("outside a request")


looped = SimpleNamespace(api_key=None)
looped.itself = looped
SECRETS = {
    "HF_TOKEN": "hf_" + BODY,
    "client": "sk-" + BODY,
    "url": "https://x.example/?key=AIza" + BODY,
    "api_key": BODY,
    "OPENAI_APIKEY": BODY,
    "DB_PASSWORD": "correct horse",
    "cfg": {"service": {"api_key": BODY}},
    "listed": ["a", {"b": ["rpa_" + BODY]}],
    "raw": b"-----BEGIN RSA PRIVATE KEY-----",
    "settings": SimpleNamespace(service=Service(BODY)),
    "slotted": Slotted(BODY),
    "environ": {**{f"PLAIN_{n}": "x" * 100 for n in range(60)}, "HF_TOKEN": "hf_" + BODY},
    "ordered": OrderedDict(api_key=BODY),
    "bare": {"token": BODY},
    "logged": [{"text": f"{n}"} for n in range(200)] + [{"text": "Bearer hf_" + BODY}],
}
PLAIN = {
    "SORT_KEY": "date",
    "PAD_TOKEN": "<|pad_0|>",
    "MAX_TOKENS": 512,
    "TOKENIZER": "bert-base-uncased-2",
    "KEYS": ["a1b2c3", "d4e5f6"],
    "prompt": "a key-shaped cloud, sk-ating",
    "model": "hf_small",
    "KEY": "",
    "cfg": {"keyboard": "qwerty-102", "tokens": "12 a"},
    "ids": ["x" * n + "hf_" + BODY for n in range(1, 50)],
    "raising": [Raising()],
    "rows": [{"key": "images/cat001.png", "token": "covid19"}],
    "records": [{"cache_key": f"abc{n}def"} for n in range(200)],
    "holding": looped,
}


@pytest.mark.parametrize("name", SECRETS)
def test_value_that_looks_like_a_secret_is_refused(name):
    with pytest.raises(CannotCapture, match=r"looks like a secret.*%runpod_env .*--send"):
        refuse(name, SECRETS[name])


@pytest.mark.parametrize("name", PLAIN)
def test_plain_value_is_no_secret(name):
    refuse(name, PLAIN[name])


@pytest.mark.parametrize(
    ("name", "is_secret"),
    {
        **dict.fromkeys(("HF_TOKEN", "aws_secret", "MyKey", "KEY_ID", "SECRETS"), True),
        **dict.fromkeys(("TOKENIZERS_PARALLELISM", "MAX_TOKENS", "KEYBOARD", "MODEL"), False),
    }.items(),
)
def test_name_tells_a_secret_by_whole_words(name, is_secret):
    assert is_secret_name(name) == is_secret


def test_captured_secret_is_an_error_with_cell_and_remedy_and_can_be_overruled(notebook):
    notebook.cell(f"HF_TOKEN = 'hf_{BODY}'\ndef load(name):\n    return name, HF_TOKEN")
    notebook.setup("model = load('m')")
    with pytest.raises(CannotCapture) as raised:
        notebook.build()
    text = str(raised.value)
    assert "`HF_TOKEN` looks like a secret" in text
    assert "cell 2, line 2 (through `load`)" in text
    assert BODY not in text
    assert BODY in notebook.build(send=["HF_TOKEN"]).text


@pytest.mark.parametrize(
    "made", ["make({0!r})", "functools.partial(print, api_key={0!r})"], ids=["closure", "partial"]
)
def test_secret_that_a_function_holds_is_refused(notebook, made):
    notebook.cell("import functools\ndef make(api_key):\n    return lambda x: (x, api_key)")
    notebook.cell(f"f = {made.format(BODY)}")
    notebook.setup("s = f(1)")
    with pytest.raises(CannotCapture, match="`f.api_key` looks like a secret"):
        notebook.build()


HOLDERS = {
    "object": ("class Service:\n    def __init__(self, key): self.api_key = key\nv = Service({!r})",
               "v.api_key"),
    "pydantic": ("import pydantic\nclass Settings(pydantic.BaseModel):\n    api_key: str\n"
                 "v = Settings(api_key={!r})", "v.api_key"),
    "secret text": ("import pydantic\nclass Settings(pydantic.BaseModel):\n"
                    "    key: pydantic.SecretStr\nv = Settings(key={!r})", "v.key._secret_value"),
    "large": ("v = dict.fromkeys(range(900), 'plain')\nv['hf_token'] = {!r}", "v['hf_token']"),
    "beside code": ("v = {{'load': lambda x: x, 'hf_token': {!r}}}", "v['hf_token']"),
}  # fmt: skip


@pytest.mark.parametrize("holder", HOLDERS)
def test_secret_in_what_travels_as_a_file_is_refused_and_can_be_overruled(notebook, holder):
    text, path = HOLDERS[holder]
    notebook.cell(text.format(BODY))
    notebook.setup("s = v")
    with pytest.raises(CannotCapture) as raised:
        notebook.build()
    assert f"`{path}` looks like a secret" in str(raised.value)
    assert BODY not in str(raised.value)
    program = notebook.build(send=["v"])
    assert BODY.encode() in program.text.encode() + b"".join(map(program.content, program.files))


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("class Settings:\n    key = {!r}", "Settings.key"),
        ("def f():\n    return {!r}", "f()"),
        ("def f(\n    key={!r}): return key", "f()"),
    ],
)
def test_secret_in_captured_source_is_noted_with_its_line(notebook, text, use):
    notebook.cell(text.format(f"hf_{BODY}"))
    notebook.setup(f"s = {use}")
    [note] = notebook.build().notes
    assert note.startswith("cell 1, line 2: what looks like a secret stands in the program's text")
    assert BODY not in note


def test_secret_that_a_class_was_given_later_is_refused(notebook):
    notebook.cell("class Settings: pass")
    notebook.cell(f"setattr(Settings, 'api_key', {BODY!r})")
    notebook.setup("s = Settings.api_key")
    with pytest.raises(CannotCapture, match="`Settings.api_key` looks like a secret"):
        notebook.build()


def test_variable_that_a_refusal_offers_is_one():
    with pytest.raises(CannotCapture, match="%runpod_env LISTED` .*LISTED"):
        refuse("listed", ["hf_" + BODY])


def test_environment_of_this_machine_is_the_targets_there(notebook, monkeypatch):
    monkeypatch.setenv("RPNB_TEST_TOKEN", BODY)
    notebook.cell("import os\nenv = os.environ\ncfg = {'of': os.environ}")
    notebook.setup("s = env['HOME']")
    program = notebook.build()
    assert (list(program.files), "env = os.environ\n" in program.text) == ([], True)
    notebook.setup("t = cfg")
    told = r"`cfg\['of'\]` is this machine's environment. Remedy: read os.environ in a remote cell"
    with pytest.raises(CannotCapture, match=told):
        notebook.build()


def test_secret_in_a_remote_cell_is_noted_with_its_line(notebook):
    notebook.setup(f"x = 1\nimport os\nos.environ['HF_TOKEN'] = 'hf_{BODY}'\ny = 2")
    [note] = notebook.build().notes
    assert note.startswith("cell 1, line 4: what looks like a secret stands in the program's text")
    assert BODY not in note
