"""Everyday edits of a serving notebook through a real worker: which load the model again."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

import rpnb
from rpnb.session.updates import Planned
from tests.behaviour.cells import program, run

# A library that counts its loads; `files` of the program would make it a local module.
_LIBRARY = """
import os
LOADS = []


class Model:
    def __init__(self, name, dtype="f32"):
        LOADS.append(name)
        self.name, self.dtype, self.scheduler = name, dtype, "ddim"
        self.seen, self.home = [], os.environ.get("RPNB_TEST_HOME")

    def half(self):
        self.dtype = "f16"
        return self

    def load_adapter(self, name):
        self.seen.append(name)

    def __call__(self, prompt, steps=1):
        return [self.name, self.dtype, self.scheduler, prompt, steps]


def load(name, dtype="f32"):
    return Model(name, dtype)
"""
SETUP = """import os, logging, random
import rpnb_everyday
NAME = "sd"
pipe = rpnb_everyday.load(NAME, dtype="f32")
pipe.half()
random.seed(0)
os.environ["RPNB_TEST_FLAG"] = "1"
logging.getLogger("rpnb.everyday").setLevel(logging.ERROR)
os.makedirs("out", exist_ok=True)
pipe("warm up", steps=2)  # rpnb: pure"""
HELPERS = """SUFFIX = "!"
def norm(text, lower=True):
    return text.strip() + SUFFIX"""
HANDLER = """def handler(job):
    return pipe(norm(job["input"]["prompt"]))"""


@dataclass(frozen=True)
class Edit:
    """The text that goes, the text that comes, and how often the model loads because of it."""

    about: str
    old: str
    new: str
    loads: int = 0


EDITS = [
    Edit("handler body", "return pipe(norm", "return pipe(prompt=norm"),
    Edit("default of a helper", "lower=True", "lower=False"),
    Edit("helper body", "text.strip()", "text.strip().lower()"),
    Edit("constant of a helper", 'SUFFIX = "!"', 'SUFFIX = "?"'),
    Edit("helper added", "def norm", "def trim(s):\n    return s\ndef norm"),
    Edit("import added", "import rpnb_everyday", "import json\nimport rpnb_everyday"),
    Edit("comment", "pipe.half()", "pipe.half()  # saves memory\n# more"),
    Edit("layout", "NAME = ", "\n\nNAME   =   "),
    Edit("steps of the warm-up", "steps=2", "steps=3"),
    Edit("warm-up deleted", '\npipe("warm up", steps=2)  # rpnb: pure', ""),
    Edit("adapter added", "random.seed(0)", 'pipe.load_adapter("x")\nrandom.seed(0)'),
    Edit("seed edited", "random.seed(0)", "random.seed(1)"),
    Edit("seed removed", "random.seed(0)\n", ""),
    Edit("environment edited", '"1"', '"2"'),
    Edit("environment removed", 'os.environ["RPNB_TEST_FLAG"] = "1"\n', ""),
    Edit("log level edited", "logging.ERROR", "logging.INFO"),
    Edit("log level removed", 'logging.getLogger("rpnb.everyday").setLevel(logging.ERROR)\n', ""),
    Edit("directory edited", 'os.makedirs("out"', 'os.makedirs("out2"'),
    Edit("directory removed", 'os.makedirs("out", exist_ok=True)\n', ""),
    Edit("display added", SETUP[-9:], SETUP[-9:] + "\npipe"),
    Edit("print added", "NAME =", 'print("loading")\nNAME ='),
    Edit("load's argument", 'dtype="f32"', 'dtype="f64"', 1),
    Edit("model's name", 'NAME = "sd"', 'NAME = "xl"', 1),
    Edit("half() removed", "pipe.half()\n", "", 1),
    Edit("environment before the load", "NAME =", 'os.environ["RPNB_TEST_HOME"] = "/x"\nNAME =', 1),
]


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """One local session for all edits; the library lies where the worker's Python finds it."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "rpnb_everyday.py").write_text(_LIBRARY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RPNB_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("PYTHONPATH", str(folder))
        session = rpnb.connect("local", name="everyday", python=sys.executable)
        yield session
        session.stop()


def _made(edit=None):
    texts = [SETUP, HELPERS, HANDLER]
    if edit is not None:
        assert sum(text.count(edit.old) for text in texts) == 1, edit.about
        texts = [text.replace(edit.old, edit.new) for text in texts]
    *setups, handler = texts
    return program(*setups, handler=handler)


def _loads(session):
    seen = run(session, None, scratch={"text": "len(rpnb_everyday.LOADS)", "label": "x"})
    return int(seen.shown[0]["text/plain"])


def test_there_are_enough_edits_and_most_are_warm():
    assert sum(edit.loads == 0 for edit in EDITS) > 20


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.about)
def test_edit_loads_the_model_as_often_as_it_must(warm, edit):
    run(warm, _made(), {"prompt": "fox"})
    before = _loads(warm)
    seen = run(warm, _made(edit), {"prompt": "fox"})
    assert seen.restart is None
    assert _loads(warm) - before == edit.loads
    fresh = seen.result.output
    assert fresh[3].lower().startswith("fox")


@pytest.mark.parametrize("edit", EDITS[-4:], ids=lambda edit: edit.about)
def test_reload_says_what_caused_it(warm, edit):
    run(warm, _made(), {"prompt": "fox"})
    seen = run(warm, _made(edit), {"prompt": "fox"})
    reasons = [
        step["reason"] for plan in seen.of(Planned) for step in plan.run if "pipe" in step["names"]
    ]
    assert reasons
    assert "new" not in reasons


_PREDICTOR = """import rpnb_everyday
LABEL = "cat"
class Predictor:
    def setup(self):
        self.model = rpnb_everyday.load("sd")
    def predict(self, prompt):
        return self.model(prompt)
    def label(self, prompt):
        return LABEL
predictor = Predictor()
predictor.setup()"""


def test_method_of_a_predictor_is_edited_in_place_and_said_so(warm):
    handler = 'def handler(job):\n    return predictor.predict("a"), predictor.label("b")'
    run(warm, program(_PREDICTOR, handler=handler), {})
    before = _loads(warm)
    edited = _PREDICTOR.replace("return LABEL", "return LABEL + prompt").replace('"cat"', '"dog"')
    seen = run(warm, program(edited, handler=handler), {})

    assert seen.result.output == [["sd", "f32", "ddim", "a", 1], "dogb"]
    assert _loads(warm) == before
    reasons = {n: s["reason"] for p in seen.of(Planned) for s in p.run for n in s["names"]}
    assert reasons["Predictor"] == "`label` changed, in place"
