"""Stand-ins for the libraries that people serve with: nothing is heavy."""

from __future__ import annotations

import contextlib
import types
from typing import Any

from tests.planner.standin_models import (
    LOADS,
    DiffusionPipeline,
    InferenceSession,
    Model,
    Module,
    Plain,
    PreTrainedTokenizerBase,
    Scheduler,
    Tensor,
    device,
    dtype,
    estimator,
    loaded,
    pipeline,
)


def _library(name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(members)
    return module


def _class(library: str, name: str, base: type = Module) -> type:
    return type(name, (base,), {"__module__": f"{library}.models"})


def _nothing(*args: Any, **options: Any) -> None:
    return None


def _compiled(model: Any, **options: Any) -> Any:
    """A wrapper that shares all with the model, as torch's is."""
    found = object.__new__(type(model))
    found.__dict__ = dict(vars(model), compiled=sorted(map(str, options.items())), original=model)
    return found


class _Grad(contextlib.ContextDecorator):
    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def _torch() -> dict[str, types.ModuleType]:
    functional = _library("torch.nn.functional", normalize=lambda x, **_: Tensor(x.values))
    nn = _library("torch.nn", Module=Module, functional=functional)
    cuda = _library(
        "torch.cuda",
        is_available=lambda: True,
        is_initialized=lambda: False,
        memory_allocated=lambda *_: 0,
        get_device_name=lambda *_: "GPU",
        device_count=lambda: 1,
        **dict.fromkeys(("empty_cache", "synchronize", "manual_seed_all"), _nothing),
    )
    torch = _library(
        "torch",
        **{name: dtype(name) for name in ("float16", "float32", "bfloat16")},
        **dict.fromkeys(("zeros", "ones", "randn", "tensor"), lambda *a, **_: Tensor(a)),
        **dict.fromkeys(("no_grad", "inference_mode", "autocast"), _Grad),
        **dict.fromkeys(("manual_seed", "set_num_threads", "set_grad_enabled"), _nothing),
        set_float32_matmul_precision=_nothing,
        load=lambda path, **_: (loaded(str(path)), Tensor(str(path)))[1],
        compile=_compiled,
        device=device,
        Tensor=Tensor,
        Generator=lambda *_: types.SimpleNamespace(manual_seed=lambda seed: seed),
        cuda=cuda,
        nn=nn,
        backends=types.SimpleNamespace(
            cudnn=types.SimpleNamespace(benchmark=False),
            cuda=types.SimpleNamespace(matmul=types.SimpleNamespace(allow_tf32=False)),
        ),
        __version__="2.5",
    )
    return {"torch": torch, "torch.nn": nn, "torch.nn.functional": functional, "torch.cuda": cuda}


def _transformers() -> dict[str, types.ModuleType]:
    logging = _library(
        "transformers.utils.logging", set_verbosity_error=_nothing, set_verbosity_warning=_nothing
    )
    utils = _library("transformers.utils", logging=logging)
    autos = ("AutoModel", "AutoModelForCausalLM", "AutoModelForSequenceClassification")
    names = (
        *autos,
        "WhisperForConditionalGeneration",
        "CLIPModel",
        "AutoModelForImageSegmentation",
    )
    readers = ("AutoTokenizer", "AutoProcessor", "WhisperProcessor", "CLIPProcessor")
    settings = ("BitsAndBytesConfig", "GenerationConfig", "TextIteratorStreamer")
    transformers = _library(
        "transformers",
        **{name: _class("transformers", name) for name in names},
        **{name: _class("transformers", name, PreTrainedTokenizerBase) for name in readers},
        **{name: _class("transformers", name, Plain) for name in settings},
        pipeline=pipeline,
        set_seed=_nothing,
        utils=utils,
        logging=logging,
    )
    return {
        "transformers": transformers,
        "transformers.utils": utils,
        "transformers.utils.logging": logging,
    }


def _others() -> dict[str, types.ModuleType]:
    pipelines = (
        "StableDiffusionPipeline",
        "StableDiffusionXLPipeline",
        "AutoPipelineForText2Image",
    )
    schedulers = ("Scheduler", "DPMSolverMultistepScheduler", "EulerAncestralDiscreteScheduler")
    return {
        "diffusers": _library(
            "diffusers",
            **{n: _class("diffusers", n, DiffusionPipeline) for n in pipelines},
            **{n: _class("diffusers", n, Scheduler) for n in schedulers},
            DiffusionPipeline=DiffusionPipeline,
            AutoencoderKL=_class("diffusers", "AutoencoderKL"),
        ),
        "sentence_transformers": _library(
            "sentence_transformers",
            SentenceTransformer=_maker("sentence_transformers", "SentenceTransformer"),
            CrossEncoder=_maker("sentence_transformers", "CrossEncoder"),
        ),
        "faster_whisper": _library(
            "faster_whisper", WhisperModel=_class("faster_whisper", "WhisperModel", Model)
        ),
        "ultralytics": _library("ultralytics", YOLO=_class("ultralytics", "YOLO", Model)),
        "vllm": _library(
            "vllm",
            LLM=_class("vllm", "LLM", Model),
            SamplingParams=_class("vllm", "SamplingParams", Plain),
        ),
        "peft": _library(
            "peft",
            PeftModel=types.SimpleNamespace(
                from_pretrained=lambda model, name, **_: _adapted(model, name)
            ),
        ),
        "onnxruntime": _library(
            "onnxruntime",
            InferenceSession=InferenceSession,
            SessionOptions=_class("onnxruntime", "SessionOptions", Plain),
            GraphOptimizationLevel=types.SimpleNamespace(ORT_ENABLE_ALL=99),
            get_available_providers=lambda: ["CPUExecutionProvider"],
        ),
        "joblib": _library("joblib", load=estimator),
        "huggingface_hub": _library(
            "huggingface_hub",
            snapshot_download=lambda name, **_: f"/models/{name}",
            hf_hub_download=lambda name, file="", **_: f"/models/{name}/{file}",
            login=_nothing,
        ),
        "tqdm": _library("tqdm", tqdm=lambda each, **_: each),
        "requests": _library("requests", get=lambda url, **_: types.SimpleNamespace(content=b"")),
    }


def _maker(library: str, name: str) -> type:
    """A class of torch modules whose constructor loads."""

    def make(self: Any, path: str, **options: Any) -> None:
        looked = loaded(path)
        Module.__init__(self, path, **options)
        self.looked, self.max_seq_length = looked, 512

    return type(name, (Module,), {"__module__": f"{library}.models", "__init__": make})


def _adapted(model: Any, name: str) -> Any:
    loaded(name)
    model.adapters = [*model.adapters, name]
    found = Module(name)
    found.training, found.base = False, model
    return found


def libraries() -> dict[str, types.ModuleType]:
    """Return new modules, by the names that programs import them by."""
    LOADS.clear()
    return {**_torch(), **_transformers(), **_others()}
