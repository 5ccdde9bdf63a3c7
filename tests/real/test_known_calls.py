"""The table of calls that are known to change nothing, asked of the real libraries row by row.

Each value is looked at before and after the call: what it pickles to, or what its
modules hold. Rows whose library is not installed are skipped, and say so.
"""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import Any

import pytest

from rpnb.planner import known
from rpnb.planner.known import PART, SELF, TEXTS, models
from rpnb.planner.loggers import EMITTERS
from rpnb.planner.states import State
from rpnb.planner.torch_modules import is_module
from tests.real.libraries import need, needing

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
_SCALER = """
from sklearn.preprocessing import StandardScaler
value = StandardScaler().fit([[1], [2]])
"""
_LINEAR = "from sklearn.{0} import {1}\nvalue = {1}().fit([[1], [2]], [0, 1])"
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
# Tiny ones with random weights, made here: nothing is downloaded.
_TINY = """
import tempfile, numpy as np, torch, transformers
from tokenizers import Tokenizer, models, pre_tokenizers
words = "[PAD] [UNK] [CLS] [SEP] a red fox user <image>".split()
base = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
base.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=base, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
    sep_token="[SEP]", extra_special_tokens={"image_token": "<image>"},
    chat_template="{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}",
)
chat = [{"role": "user", "content": "a fox"}]
picture = np.zeros((8, 8, 3), np.uint8)
config = transformers.BertConfig(
    vocab_size=9, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
    intermediate_size=16, num_labels=1,
)

def saved(kind):
    folder = tempfile.mkdtemp(dir=home)
    kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
"""
_TOKENIZER = _TINY + "value = tokenizer"
_PIPELINE = (
    _TINY
    + """
model = transformers.BertForSequenceClassification(config)
value = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer)
"""
)
_IMAGES = _TINY + "value = transformers.ViTImageProcessor(size={'height': 8, 'width': 8})"
_SOUNDS = _TINY + "value = transformers.Wav2Vec2FeatureExtractor()"
_PROCESSOR = (
    _TINY
    + """
images = transformers.CLIPImageProcessor(size={"shortest_edge": 8}, crop_size=8)
value = transformers.LlavaProcessor(
    image_processor=images, tokenizer=tokenizer, patch_size=4,
    vision_feature_select_strategy="default", chat_template=tokenizer.chat_template,
)
"""
)
_SENTENCES = (
    _TINY
    + """
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer
parts = [Transformer(saved(transformers.BertModel)), Pooling(16)]
# Else the first call of `similarity` sets the default, as no saved model needs.
value = SentenceTransformer(modules=parts, device="cpu", similarity_fn_name="cosine").eval()
"""
)
_PAIRS = (
    _TINY
    + """
from sentence_transformers import CrossEncoder
value = CrossEncoder(saved(transformers.BertForSequenceClassification), device="cpu").eval()
"""
)
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

_IMAGE_MAKER = """
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel
common = {"block_out_channels": (8,), "norm_num_groups": 4, "layers_per_block": 1}
blocks = ("DownBlock2D",), ("UpBlock2D",)
encoders = ("DownEncoderBlock2D",), ("UpDecoderBlock2D",)
value = StableDiffusionPipeline(
    unet=UNet2DConditionModel(
        sample_size=8, cross_attention_dim=16, attention_head_dim=2, mid_block_type=None,
        down_block_types=blocks[0], up_block_types=blocks[1], **common,
    ),
    vae=AutoencoderKL(down_block_types=encoders[0], up_block_types=encoders[1], **common),
    text_encoder=CLIPTextModel(CLIPTextConfig(
        vocab_size=9, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16,
    )),
    tokenizer=None, scheduler=DDIMScheduler(), safety_checker=None, feature_extractor=None,
    requires_safety_checker=False,
)
given = {"prompt_embeds": torch.zeros(1, 4, 16), "negative_prompt_embeds": torch.zeros(1, 4, 16)}
"""

_LOGGER = """
import logging
value = logging.getLogger("rpnb.tests.known")
value.propagate = False
# pytest listens at each such logger.
value.handlers.clear()
"""

# The row of the table; what must be there, how the value is made, the look, and the call.
MODULE = "torch.Module"
SENTENCES, PAIRS = (f"sentence_transformers.{k}" for k in ("SentenceTransformer", "CrossEncoder"))
TOKENIZER = "transformers.PreTrainedTokenizerBase"
ROWS = [
    (MODULE, "torch", _NET, "", "value(torch.ones(2, 4))"),
    (MODULE, "transformers", _GPT, "generate",
     "value.generate(torch.tensor([[3]]), max_new_tokens=2)"),
    (MODULE, "sentence_transformers", _SENTENCES, "encode", "value.encode(['a', 'red fox'])"),
    (MODULE, "sentence_transformers", _PAIRS, "predict", "value.predict([('a', 'fox')])"),
    ("", "torch", _NET, SELF, "sum(p.numel() for p in value.parameters())"),
    ("", "torch", _NET, SELF, "{k: v.sum() for k, v in value.state_dict().items()}"),
    ("", "torch", "import torch\nvalue = torch.ones(3)", SELF,
     "value.mean().item(), value.tolist()"),
    ("onnxruntime.InferenceSession", "onnxruntime", _SESSION, "run", "value.run(None, feed)"),
    ("", "onnxruntime", _SESSION, SELF,
     "[i.shape for i in value.get_inputs()], value.get_providers()"),
    *(
        ("sklearn.BaseEstimator", "sklearn", _CLASSIFIER, call, f"value.{call}(x)")
        for call in ("predict", "predict_proba", "kneighbors")
    ),
    ("sklearn.BaseEstimator", "sklearn", _CLASSIFIER, "score", "value.score(x, [0, 1] * 4)"),
    *(
        ("sklearn.BaseEstimator", "sklearn", _SCALER, call, f"value.{call}([[3]])")
        for call in ("transform", "inverse_transform")
    ),
    ("sklearn.BaseEstimator", "sklearn", _LINEAR.format("svm", "LinearSVC"), "decision_function",
     "value.decision_function([[3]])"),
    ("sklearn.BaseEstimator", "sklearn", _LINEAR.format("linear_model", "LogisticRegression"),
     "predict_log_proba", "value.predict_log_proba([[3]])"),
    ("", "pandas", _FRAME, SELF,
     "value.head(), value.describe(), value.info(), value.memory_usage()"),
    ("", "pandas", _FRAME, PART,
     "value['a'].mean(), value['b'].value_counts(), value['a'].tolist()"),
    (SENTENCES, "sentence_transformers", _SENTENCES, "encode", "value.encode(['a', 'red fox'])"),
    (SENTENCES, "sentence_transformers", _SENTENCES, "similarity",
     "value.similarity(torch.ones(2, 16), torch.ones(2, 16))"),
    (PAIRS, "sentence_transformers", _PAIRS, "predict", "value.predict([('a', 'fox')])"),
    (PAIRS, "sentence_transformers", _PAIRS, "rank", "value.rank('a', ['fox', 'red'])"),
    ("transformers.Pipeline", "transformers", _PIPELINE, "", "value(['a fox', 'a'], batch_size=2)"),
    (TOKENIZER, "transformers", _TOKENIZER, "", "value('a fox', padding=True, truncation=True)"),
    (TOKENIZER, "transformers", _TOKENIZER, "encode", "value.decode(value.encode('a fox'))"),
    (TOKENIZER, "transformers", _TOKENIZER, "apply_chat_template",
     "value.apply_chat_template(chat), value.apply_chat_template(chat, tokenize=False)"),
    ("transformers.ProcessorMixin", "transformers", _PROCESSOR, "",
     "value(images=picture, text='a <image> fox')"),
    ("transformers.ProcessorMixin", "transformers", _PROCESSOR, "apply_chat_template",
     "value.apply_chat_template(chat)"),
    ("transformers.ImageProcessingMixin", "transformers", _IMAGES, "", "value(picture)"),
    ("transformers.ImageProcessingMixin", "transformers", _IMAGES, "preprocess",
     "value.preprocess(picture)"),
    ("transformers.FeatureExtractionMixin", "transformers", _SOUNDS, "",
     "value(np.ones(100, np.float32), sampling_rate=16000)"),
    ("diffusers.DiffusionPipeline", "diffusers", _DIFFUSION, "",
     "value(num_inference_steps=2, output_type='np')"),
    ("diffusers.DiffusionPipeline", "diffusers", _IMAGE_MAKER, "",
     "value(**given, num_inference_steps=2, height=8, width=8, output_type='np')"),
    *(
        ("logging.Logger", "logging", _LOGGER, call, f"value.{call}(*{level}, 'said')")
        for call in sorted(EMITTERS) for level in [(10,) if call == "log" else ()]
    ),
]  # fmt: skip


def _held(value: Any) -> Any:
    kind = type(value)
    if is_module(value):
        # State compares its tensors and modules; these are its own plain attributes.
        return {k: repr(v) for k, v in vars(value).items() if k != "_modules"}
    if kind.__name__ == "Logger":
        return [value.level, value.handlers, value.filters, value.disabled]
    if hasattr(value, "components"):
        return [repr(part.config) for part in value.components.values() if part is not None]
    if hasattr(value, "vocab_size"):
        # Its backend remembers how it padded last, and each call says anew how to.
        return [value("a fox"), value.encode("a fox"), value.get_vocab()]
    if kind.__name__ == "InferenceSession":
        return [i.name for i in value.get_inputs()]
    if hasattr(value, "call_count"):
        # It counts its calls, for a warning alone.
        return {k: repr(v) for k, v in vars(value).items() if k != "call_count"}
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return pickle.dumps(value)


def _modules(value: Any) -> list[Any]:
    parts = [value, getattr(value, "model", None), *getattr(value, "components", {}).values()]
    return [part for part in parts if is_module(part)]


@pytest.mark.parametrize(
    ("row", "library", "make", "look", "call"),
    ROWS,
    ids=[f"{row or library} {look} {n}" for n, (row, library, _, look, _) in enumerate(ROWS)],
)
def test_known_call_changes_nothing(
    row: str,
    library: str,
    make: str,
    look: str,
    call: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    need(library)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    names: dict[str, Any] = {"home": tmp_path}
    exec(make, names)
    value = names["value"]
    assert look in models(names)["value"]
    assert not row or look in known._ROWS[_key(row)]
    assert not row or _key(row) in _places(type(value))
    modules = _modules(value)
    state, before = State(modules, []), _held(value)
    eval(call, names)
    assert state.is_same()
    assert _held(value) == before


def _key(row: str) -> tuple[str, str]:
    package, _, name = row.partition(".")
    return package, name


def _places(kind: type) -> set[tuple[str, str]]:
    return {(each.__module__.partition(".")[0], each.__name__) for each in kind.__mro__}


def test_every_row_of_the_table_is_tried() -> None:
    tried = {(_key(row), look) for row, _, _, look, _ in ROWS if row}
    assert tried == {(key, look) for key, looks in known._ROWS.items() for look in looks}


def test_voice_detector_that_keeps_what_it_heard_is_not_known() -> None:
    """TorchScript that stores into its module, in eval state, too."""
    vad = importlib.import_module("silero_vad").load_silero_vad().eval()
    assert "" not in models({"vad": vad})["vad"]


def test_module_in_training_state_is_not_known() -> None:
    torch = importlib.import_module("torch")
    assert models({"net": torch.nn.Linear(2, 2).train()})["net"] == {SELF, PART, *TEXTS}
