"""Everyday edits of notebooks that load real models: what loads again, and nothing stale.

One worker serves all edits of a notebook. Whether a model was kept is told by the object
itself: a weak reference that a scratch cell takes before the edit. What the job answers
is compared with a fresh process that has run the edited program only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.agent.driver import Worker, handler_program, posted
from tests.real.libraries import needing

libraries = needing("torch", "onnxruntime", "sklearn", "silero_vad")
pytestmark = [
    pytest.mark.slow,  # torch is imported by the worker and by the fresh process: some 10 s
    pytest.mark.timeout(300),
]

# The weights of Silero's voice detector, for torch and for onnxruntime, come in its package.
TORCH = """
import os, json, logging, warnings
import numpy as np
import pandas as pd
import torch
import silero_vad
SIZE = 64
vad = silero_vad.load_silero_vad()
vad.eval()
layers = [torch.nn.Linear(SIZE, SIZE), torch.nn.Tanh()]
model = torch.nn.Sequential(*layers)
model.load_state_dict({k: torch.full_like(v, 0.01) for k, v in model.state_dict().items()})
model.eval()
with torch.inference_mode():
    model(torch.zeros(1, SIZE))
print(sum(p.numel() for p in model.parameters()), end="")
torch.manual_seed(0)
torch.set_num_threads(1)
os.environ["TOKENIZERS_PARALLELISM"] = "false"
logging.getLogger("rpnb.real").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", category=UserWarning)
torch.backends.cudnn.benchmark = True
np.set_printoptions(precision=3)
pd.set_option("display.max_rows", 10)
os.makedirs("out", exist_ok=True)
def clean(value, digits=4):
    return round(float(value), digits)
def handler(job):
    with torch.inference_mode():
        heard = vad(torch.full((512,), 0.1), 16000).item()
        vad.reset_states()
        total = model(torch.ones(1, SIZE)).sum()
    model.last = clean(total)
    flags = [torch.get_num_threads(), torch.backends.cudnn.benchmark]
    state = [os.environ["TOKENIZERS_PARALLELISM"], logging.getLogger("rpnb.real").level]
    options = [np.get_printoptions()["precision"], pd.get_option("display.max_rows")]
    return [clean(heard), model.last, str(next(model.parameters()).dtype), flags, state, options]
"""
ONNX = """
import os
import numpy as np
import pandas as pd
import onnxruntime
import sklearn
import silero_vad
from pydantic import BaseModel
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
PATH = os.path.join(os.path.dirname(silero_vad.__file__), "data", "silero_vad.onnx")
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(PATH, options, providers=["CPUExecutionProvider"])
INPUTS = [i.name for i in session.get_inputs()]
print(session.get_providers(), end="")
frame = pd.DataFrame({"a": np.arange(20.0), "b": [0, 1] * 10})
frame.head()
classifier = make_pipeline(StandardScaler(), LogisticRegression(C=1.0))
classifier.fit(frame[["a"]], frame["b"])
classifier.predict(frame[["a"]])
print(classifier.score(frame[["a"]], frame["b"]), end="")
sklearn.set_config(assume_finite=True)
np.seterr(all="ignore")
class Job(BaseModel):
    rate: int = 16000
    gain: float = 1.0
DEFAULT = Job()
def hear(job):
    state = np.zeros((2, 1, 128), np.float32)
    sound = np.full((1, 512), 0.1 * job.gain, np.float32)
    return session.run(None, {"input": sound, "state": state, "sr": np.array(job.rate)})[0]
def handler(job):
    heard = float(hear(Job(**job["input"]))[0, 0])
    likely = classifier.predict_proba(pd.DataFrame({"a": [3.0]}))[0, 1]
    config = [sklearn.get_config()["assume_finite"], np.geterr()["over"], DEFAULT.model_dump()]
    return [round(heard, 4), round(float(likely), 4), INPUTS, config]
"""


@dataclass(frozen=True)
class Edit:
    """The text that goes, the text that comes, and which models load again because of it."""

    about: str
    old: str
    new: str
    loads: str = ""


_BLOCK = "with torch.inference_mode():\n    model(torch.zeros(1, SIZE))\n"
_COUNT = 'print(sum(p.numel() for p in model.parameters()), end="")\n'
TORCH_EDITS = [
    Edit("a default", "digits=4", "digits=3"),
    Edit("a helper", "round(float(value), digits)", "round(float(value) * 2, digits)"),
    Edit("a helper more", "def handler", "def double(v):\n    return 2 * v\ndef handler"),
    Edit("the handler", "[clean(heard)", "[1 + clean(heard)"),
    Edit("an import", "import torch\n", "import torch\nimport math\n"),
    Edit("a comment", "SIZE = 64", "SIZE = 64  # wide\n# and more"),
    Edit("the warm-up", "torch.zeros(1", "torch.ones(2"),
    Edit("the warm-up gone", _BLOCK, ""),
    Edit("a warm-up more", _BLOCK, _BLOCK + "for _ in range(2):\n    model(torch.ones(1, SIZE))\n"),
    Edit("a look at the size", _COUNT, "print(next(model.parameters()).dtype, end='')\n"),
    Edit("a look gone", _COUNT, ""),
    Edit(
        "an optional call more",
        "torch.manual_seed",
        "model.requires_grad_(False)\ntorch.manual_seed",
    ),
    Edit("the seed", "manual_seed(0)", "manual_seed(1)"),
    Edit("the seed gone", "torch.manual_seed(0)\n", ""),
    Edit("threads", "set_num_threads(1)", "set_num_threads(2)"),
    Edit("an environment line", '"false"', '"true"'),
    Edit("a log level", "logging.ERROR", "logging.INFO"),
    Edit("a log level gone", 'logging.getLogger("rpnb.real").setLevel(logging.ERROR)\n', ""),
    Edit("a warnings filter", "category=UserWarning", "category=FutureWarning"),
    Edit("a backend flag", "benchmark = True", "benchmark = False"),
    Edit("a backend flag gone", "torch.backends.cudnn.benchmark = True\n", ""),
    Edit("numpy's printing", "precision=3", "precision=5"),
    Edit("pandas' option", '"display.max_rows", 10', '"display.max_rows", 20'),
    Edit("pandas' option gone", 'pd.set_option("display.max_rows", 10)\n', ""),
    Edit("a directory", '"out"', '"out2"'),
    Edit("the load's arguments", "SIZE = 64", "SIZE = 32", "model"),
    Edit("the weights", "0.01", "0.02", "model"),
    Edit("a change more", "model.eval()\n", "model.eval()\nmodel[0].bias.data.zero_()\n"),
    Edit("eval() gone", "vad.eval()\n", "", "vad"),
    Edit("a voice heard before", "vad.eval()\n", "vad.eval()\nvad(torch.ones(512), 16000)\n"),
    Edit("the environment before the load", "SIZE =", 'os.environ["A"] = "1"\nSIZE =', "model vad"),
]
# `fit` counts as changing the frame that it is given, so what stands before it loads again, too.
ONNX_EDITS = [
    Edit("a default", "gain: float = 1.0", "gain: float = 2.0"),
    Edit("a field", "rate: int = 16000\n", "rate: int = 16000\n    name: str = 'x'\n"),
    Edit("a helper", "np.full((1, 512), 0.1", "np.full((1, 512), 0.2"),
    Edit("the handler", "round(heard, 4)", "round(heard, 2)"),
    Edit("a look at the session gone", 'print(session.get_providers(), end="")\n', ""),
    Edit("names of inputs", "[i.name for", "[i.name.upper() for"),
    Edit("a look at the frame", "frame.head()", "frame.describe()", "classifier frame"),
    Edit("a look at the frame gone", "frame.head()\n", ""),
    Edit("a prediction gone", 'classifier.predict(frame[["a"]])\n', ""),
    Edit("a score", 'print(classifier.score(frame[["a"]], frame["b"]), end="")\n', ""),
    Edit("scikit-learn's option", "assume_finite=True", "assume_finite=False"),
    Edit("scikit-learn's option gone", "sklearn.set_config(assume_finite=True)\n", ""),
    Edit("numpy's errors", 'np.seterr(all="ignore")\n', ""),
    Edit(
        "the session's threads", "intra_op_num_threads = 1", "intra_op_num_threads = 2", "session"
    ),
    Edit("the classifier's argument", "C=1.0", "C=0.1", "classifier frame"),
    Edit("the data", "[0, 1] * 10", "[1, 0] * 10", "classifier frame"),
]
MODELS = {"torch": ("model", "vad"), "onnx": ("session", "classifier", "frame")}
CASES = {"torch": (TORCH, TORCH_EDITS), "onnx": (ONNX, ONNX_EDITS)}

# A process that has imported the libraries, and forks for each program: `python handler.py`.
_FRESH = """
import sys, os, json
import numpy, pandas, sklearn.linear_model, sklearn.pipeline, onnxruntime, torch, silero_vad
for line in sys.stdin:
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        names = {"__name__": "__main__"}
        sys.stdout = open(os.devnull, "w")
        exec(json.loads(line), names)
        os.write(write, json.dumps(names["handler"]({"id": "j", "input": {}})).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        print(answer.read(), flush=True)
    os.waitpid(pid, 0)
"""


class Fresh:
    """Answers as a fresh process of a program would."""

    def __init__(self, folder: str) -> None:
        command = [sys.executable, "-W", "ignore", "-c", _FRESH]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
        )

    def answer(self, text: str) -> object:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def worker(tmp_path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    worker.patient()
    yield worker
    worker.close()


@pytest.fixture
def fresh(tmp_path) -> Iterator[Fresh]:
    fresh = Fresh(os.fspath(tmp_path))
    yield fresh
    fresh.close()


def _scratch(worker: Worker, text: str) -> str:
    events = worker.run(scratch={"text": text, "label": "c", "first_line": 1})
    shown = [event for event in events if event.kind == "shown"]
    return shown[0].buffers[shown[0].body["mimes"].index("text/plain")].decode() if shown else ""


@pytest.mark.parametrize("notebook", CASES)
def test_everyday_edits_load_only_what_they_must(
    notebook: str, worker: Worker, fresh: Fresh
) -> None:
    text, edits = CASES[notebook]
    names = MODELS[notebook]
    found: dict[str, tuple[str, bool]] = {}
    expected = {edit.about: (edit.loads, True) for edit in edits}
    for edit in edits:
        assert text.count(edit.old) == 1, edit.about
        edited = text.replace(edit.old, edit.new)
        worker.job(handler_program(text), {})
        refs = "; ".join(f"ref_{name} = weakref.ref({name})" for name in names)
        _scratch(worker, f"import weakref; {refs}")
        answer = posted(worker.job(handler_program(edited), {})).get("output")
        kept = (
            f"' '.join(sorted(n for n in {names!r} if globals()['ref_' + n]() is not globals()[n]))"
        )
        found[edit.about] = (_scratch(worker, kept).strip("'"), answer == fresh.answer(edited))
    assert found == expected
