"""Everyday edits of two serving notebooks: what is loaded again, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.planner.stage import Stage
from tests.planner.version import Version

TEXT = """
import os
import torch
from transformers import AutoModel, AutoTokenizer, pipeline
MODEL = "org/llm"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
tok = AutoTokenizer.from_pretrained("org/tok")
tok.pad_token = tok.eos_token
model = AutoModel.from_pretrained(MODEL, torch_dtype=torch.float16, device_map=DEVICE)
model.eval()
embedder = AutoModel.from_pretrained("org/embed")
GEN = dict(max_new_tokens=64, temperature=0.7)
SYSTEM = "You are helpful"
CACHE = {}
print(end="")
def fmt(messages):
    return tok.apply_chat_template([{"role": "system", "content": SYSTEM}] + messages)
def clean(s):
    return s.strip()
def handler(job):
    out = model.generate(tok(fmt(job["input"]["messages"])), **GEN)
    return {"text": clean(tok.decode(out))}
"""

IMAGES = """
import os, io, base64, logging
import torch
from diffusers import StableDiffusionPipeline, Scheduler
MODEL = "org/sd"
STEPS = 4
pipe = StableDiffusionPipeline.from_pretrained(MODEL, torch_dtype=torch.float16).to("cuda")
pipe.scheduler = Scheduler.from_config(pipe.scheduler.config, karras=True)
pipe("warm up", num_inference_steps=2)
torch.manual_seed(0)
os.environ["TOKENIZERS_PARALLELISM"] = "false"
logging.getLogger("rpnb.tests").setLevel(logging.ERROR)
torch.backends.cudnn.benchmark = True
os.makedirs("/tmp", exist_ok=True)
def to_b64(image, quality=90):
    return str(image)
def handler(job):
    out = pipe(job["input"]["prompt"], num_inference_steps=STEPS)
    return {"image": to_b64(out.images[0])}
if __name__ == "__main__":
    import runpod
    runpod.serverless.start({"handler": handler})
"""


@dataclass(frozen=True)
class Edit:
    """One edit: the text that goes, the text that comes, what is loaded because of it."""

    about: str
    old: str
    new: str
    loads: str = ""
    restarts: int = 0
    # What the person is told about the load, before it goes.
    cause: str = ""


TEXT_EDITS = [
    Edit("handler body", '"text": clean', '"answer": clean'),
    Edit("helper", "s.strip()", "s.strip().lower()"),
    Edit("constant of a helper", "You are helpful", "You are terse"),
    Edit("dictionary of the handler", "tokens=64", "tokens=128"),
    Edit("import at the top", "\nimport os", "\nimport json\nimport os"),
    Edit("import in the middle", "MODEL =", "import math\nMODEL ="),
    Edit("comment", "model.eval()", "model.eval()  # no dropout\n# more"),
    Edit("layout", "CACHE = {}", "CACHE = {\n}\n\n"),
    Edit("new helper", "def handler", "def trim(s):\n    return s\ndef handler"),
    Edit("another model at the end", "GEN =", 'rank = AutoModel.from_pretrained("r")\nGEN =', "r"),
    Edit("the other model", '"org/embed"', '"org/embed2"', "org/embed2",
         cause="`embedder` changed"),
    Edit("print", 'print(end="")', 'print("", end="")'),
    Edit("print of the model", 'print(end="")', 'print(end=str(model)[:0])'),
    Edit("eval() removed", "model.eval()\n", "", "org/llm", cause='`model.eval()` was removed'),
    Edit("the model's name", "org/llm", "org/llm2", "org/llm2", cause='uses `MODEL`'),
    Edit("the load's arguments", "torch.float16", "torch.float32", "org/llm",
         cause="`model` changed"),
    Edit("the tokenizer's attribute", "= tok.eos_token", '= "x"', "org/tok",
         cause="`tok.pad_token = tok.eos_token` changed"),
    Edit("warm-up added", "print(", 'warm = model.generate(["hi"], **GEN)\nprint('),
    Edit("environment before loads", "MODEL =", 'os.environ["RPNB_TEST_HOME"] = "/x"\nMODEL =',
         "org/tok org/llm org/embed", cause="uses the environment, which `os.environ["),
    Edit("environment before imports", "import torch\n",
         'os.environ["RPNB_TEST_HOME"] = "/x"\nimport torch\n',
         "org/tok org/llm org/embed", 1, "stands before an import that has run"),
    Edit("seed added after loads", "print(", "torch.manual_seed(0)\nprint("),
    Edit("pipeline of the model", "print(", 'p = pipeline("t", model=model)\nprint(', "t"),
    Edit("half() added", "model.eval()", "model.eval()\nmodel.half()"),
    Edit("display added", "CACHE = {}", "CACHE = {}\nmodel"),
    Edit("cache cleared", "CACHE = {}", "CACHE = {'a': 1}"),
    Edit("handler renamed", "def handler", "def handle"),
]  # fmt: skip
IMAGE_EDITS = [
    Edit("default", "quality=90", "quality=80"),
    Edit("steps", "STEPS = 4", "STEPS = 8"),
    Edit("helper", "str(image)", "repr(image)"),
    Edit("new helper", "def handler", "def trim(s):\n    return s\ndef handler"),
    Edit("warm-up's steps", "steps=2", "steps=3"),
    Edit("warm-up deleted", 'pipe("warm up", num_inference_steps=2)\n', ""),
    Edit("adapter added", "torch.manual_seed", 'pipe.load_lora_weights("x")\ntorch.manual_seed'),
    Edit("import", "import torch\n", "import torch\nimport json\n"),
    Edit("seed edited", "manual_seed(0)", "manual_seed(1)"),
    Edit("seed removed", "torch.manual_seed(0)\n", ""),
    Edit("environment edited", '"false"', '"true"'),
    Edit("environment removed", 'os.environ["TOKENIZERS_PARALLELISM"] = "false"\n', ""),
    Edit("log level edited", "logging.ERROR", "logging.INFO"),
    Edit("log level removed", 'logging.getLogger("rpnb.tests").setLevel(logging.ERROR)\n', ""),
    Edit("flag edited", "benchmark = True", "benchmark = False"),
    Edit("flag removed", "torch.backends.cudnn.benchmark = True\n", ""),
    Edit("directory edited", '"/tmp"', '"/tmp/"'),
    Edit("directory removed", 'os.makedirs("/tmp", exist_ok=True)\n', ""),
    Edit(
        "scheduler's arguments",
        "karras=True",
        "karras=False",
        "org/sd",
        cause="`pipe.scheduler = Scheduler.from_config(pipe.scheduler.confi…` changed",
    ),
    Edit("load's arguments", "float16", "float32", "org/sd", cause="`pipe` changed"),
    Edit("to() removed", '.to("cuda")', "", "org/sd", cause="`pipe` changed"),
    Edit(
        "environment before the load",
        "MODEL =",
        'os.environ["A"] = "1"\nMODEL =',
        "org/sd",
        cause='uses the environment, which `os.environ["A"] = "1"` sets',
    ),
    Edit("display added", "if __name__", "pipe\nif __name__"),
]


_SETS = """
import os
os.environ["RPNB_TEST_HOME"] = "/models"
def clean(text):
    return text
"""
_USES = """
from transformers import AutoModel
import helper
model = AutoModel.from_pretrained("org/llm")
def handler(job):
    return helper.clean(job["input"])
"""
MODULE_EDITS = [
    ("a function", "return text", "return text.strip()", ""),
    ("what it sets", "/models", "/other", "org/llm"),
]


@pytest.fixture(scope="module")
def libraries() -> Iterator[Stage]:
    """Processes in which torch, transformers and diffusers are stand-ins."""
    with Stage(standins=True) as found:
        yield found


@pytest.mark.parametrize(
    ("text", "edit"),
    [*((TEXT, edit) for edit in TEXT_EDITS), *((IMAGES, edit) for edit in IMAGE_EDITS)],
    ids=lambda value: value.about if isinstance(value, Edit) else "",
)
def test_everyday_edit_loads_only_what_it_must(text: str, edit: Edit, libraries: Stage) -> None:
    assert edit.old in text
    with libraries.warm() as warm:
        assert warm.sync(Version((text,))).error == ""
        found = warm.sync(Version((text.replace(edit.old, edit.new),)))
    assert found.error == ""
    assert found.loads == edit.loads.split()
    assert found.restarts == edit.restarts
    loading = [reason for reason in found.reasons if "from_pretrained" in reason]
    told = found.reasons[:1] if edit.restarts else loading
    assert not edit.cause or any(edit.cause in reason for reason in told)


def test_reload_names_the_edit_that_caused_it(libraries: Stage) -> None:
    with libraries.warm() as warm:
        warm.sync(Version((TEXT,)))
        found = warm.sync(Version((TEXT.replace("model.eval()\n", ""),)))
    assert [reason.partition(": ")[2] for reason in found.reasons] == ["`model.eval()` was removed"]


@pytest.mark.parametrize(
    ("old", "new", "loads"), [e[1:] for e in MODULE_EDITS], ids=[e[0] for e in MODULE_EDITS]
)
def test_edit_of_a_module_that_sets_the_environment_loads_only_what_looks_at_another(
    old: str, new: str, loads: str, libraries: Stage
) -> None:
    with libraries.warm() as warm:
        assert warm.sync(Version((_USES,), {"helper.py": _SETS.encode()})).error == ""
        found = warm.sync(Version((_USES,), {"helper.py": _SETS.replace(old, new).encode()}))
    assert (found.error, found.loads, found.restarts) == ("", loads.split(), 0)
