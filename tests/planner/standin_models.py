"""Stand-ins for what the libraries that people serve with make: loads are counted.

What they keep is what the real ones keep as far as an edit may matter: where and how a
model was loaded, its state, its adapters; an answer tells all of it.
"""

# Stand-ins take what the real ones take.

from __future__ import annotations

import os
import types
from collections.abc import Iterator
from typing import Any

LOADS: list[str] = []
# What a library looks at while it loads.
_LOOKED_AT = ("HF_HOME", "HF_TOKEN", "HF_HUB_OFFLINE", "RPNB_TEST_HOME", "OMP_NUM_THREADS")


def loaded(name: str) -> tuple[Any, ...]:
    LOADS.append(name)
    return tuple((key, os.environ[key]) for key in _LOOKED_AT if key in os.environ)


def _told(options: dict[str, Any]) -> list[str]:
    """Options as text, a model by its name."""
    return sorted(f"{key}={getattr(value, 'name', value)}" for key, value in options.items())


def _of(place: str, **members: Any) -> Any:
    """Let a class be of a library's module."""

    def placed(cls: type) -> type:
        cls.__module__, cls.__qualname__ = place, members.get("name", cls.__name__)
        return cls

    return placed


class Plain:
    """Something of a library's that is what it was made from."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.args, self.options = args, dict(options)
        for name, value in options.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.args}{_told(self.options)}"

    @classmethod
    def from_config(cls, config: Any, **options: Any) -> Any:
        return cls(**{**dict(config), **options})


@_of("torch")
class Tensor:
    """Numbers, and where they are."""

    def __init__(self, values: Any = (), place: str = "cpu") -> None:
        self.values, self.device, self.shape = values, place, (1, 3)

    def to(self, place: Any, *args: Any) -> Tensor:
        return Tensor(self.values, str(place))

    def cpu(self) -> Tensor:
        return Tensor(self.values)

    def tolist(self) -> Any:
        return [str(self.values)]

    cuda, detach, numpy, half, float = cpu, cpu, cpu, cpu, cpu

    def __getitem__(self, _key: Any) -> Tensor:
        return self

    def __matmul__(self, other: Any) -> Tensor:
        return Tensor((self.values, getattr(other, "values", other)))

    __mul__ = __rmul__ = __truediv__ = __matmul__
    T = property(lambda self: self)


@_of("torch")
class device:  # noqa: N801 (torch's own name)
    def __init__(self, place: str, index: int | None = None) -> None:
        self.type, self.index = place.partition(":")[0], index

    def __repr__(self) -> str:
        return self.type


@_of("torch")
class dtype:  # noqa: N801 (torch's own name)
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


@_of("torch.nn.modules.module")
class Module:
    """A model: what it was loaded from, and what was done to it."""

    def __init__(self, name: str = "", **options: Any) -> None:
        self.name, self.options, self.looked = name, _told(options), ()
        self.training, self.dtype, self.device = not name, "", ""
        self.adapters: list[Any] = []
        self.config = types.SimpleNamespace(use_cache=True, max_length=20, pad_token_id=None)
        self.generation_config = types.SimpleNamespace(pad_token_id=None, max_length=20)

    @classmethod
    def from_pretrained(cls, name: str, *args: Any, **options: Any) -> Any:
        looked = loaded(str(name))
        found = cls(str(name), **options)
        found.looked = looked
        return found

    def modules(self) -> list[Any]:
        return [self]

    def parameters(self) -> Iterator[Any]:
        return iter([Tensor((1,))])

    def load_state_dict(self, state: Any, **_: Any) -> None:
        self.options = [*self.options, str(getattr(state, "values", state))]

    def eval(self) -> Any:
        self.training = False
        return self

    def train(self, mode: bool = True) -> Any:
        self.training = mode
        return self

    def to(self, *args: Any, **options: Any) -> Any:
        self.device = f"{self.device}{args}{options}"
        return self

    def half(self) -> Any:
        self.dtype = "half"
        return self

    def cuda(self) -> Any:
        return self.to("cuda")

    def requires_grad_(self, on: bool = True) -> Any:
        self.options = [*self.options, on]
        return self

    def resize_token_embeddings(self, size: int) -> None:
        self.options = [*self.options, size]

    def __call__(self, *args: Any, **options: Any) -> Any:
        return Answer(self.told(args, options))

    def told(self, args: Any, options: Any) -> str:
        mine = (self.name, self.options, self.training, self.dtype, self.device, self.adapters)
        given = [getattr(each, "values", each) for each in args]
        return repr((*mine, given, sorted(options))).replace(" ", "")

    def generate(self, *args: Any, **options: Any) -> Any:
        return Tensor(self.told(args, options))

    def encode(self, *args: Any, **options: Any) -> Any:
        return Tensor(self.told(args, options))

    predict = encode


@_of("transformers.modeling_outputs")
class Answer:
    """What a model or a pipeline answers."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.images = [Image(text)]
        self.logits = self.last_hidden_state = self.scores = Tensor(text)

    def __getitem__(self, _key: Any) -> Any:
        return {"generated_text": self.text, "text": self.text, "label": self.text, "score": 0.5}


@_of("PIL.Image")
class Image:
    def __init__(self, text: str = "", size: Any = (1, 1)) -> None:
        self.text, self.size = text, size

    def save(self, file: Any, *args: Any, **options: Any) -> None:
        file.write(self.text.encode())

    def resize(self, size: Any) -> Image:
        return Image(self.text, size)

    convert = lambda self, mode: Image(self.text)  # noqa: E731


@_of("transformers.tokenization_utils_base", name="PreTrainedTokenizerBase")
class PreTrainedTokenizerBase:
    """A tokenizer or processor."""

    def __init__(self, name: str = "", **options: Any) -> None:
        self.name, self.options = name, _told(options)
        self.pad_token, self.eos_token, self.eos_token_id = None, "</s>", 2
        self.padding_side, self.chat_template, self.added = "right", None, []

    @classmethod
    def from_pretrained(cls, name: str, *args: Any, **options: Any) -> Any:
        loaded(str(name))
        return cls(str(name), **options)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return Inputs(repr((self.name, self.options, self.pad_token, args, sorted(options))))

    def apply_chat_template(self, messages: Any, **options: Any) -> Any:
        return f"{messages}{self.chat_template}"

    def add_tokens(self, tokens: Any) -> int:
        self.added = [*self.added, *tokens]
        return len(tokens)

    def decode(self, ids: Any, **options: Any) -> str:
        return str(getattr(ids, "values", ids))

    def batch_decode(self, ids: Any, **options: Any) -> list[str]:
        return [self.decode(ids)]

    def __len__(self) -> int:
        return 100 + len(self.added)


class Inputs(dict):  # type: ignore[type-arg] # as the real one, of whatever
    __module__ = "transformers.tokenization_utils_base"

    def __init__(self, text: str) -> None:
        super().__init__(input_ids=Tensor(text))
        self.values_ = text

    def to(self, *_: Any) -> Inputs:
        return self

    input_ids = property(lambda self: self["input_ids"])


@_of("transformers.pipelines.base", name="Pipeline")
class Pipeline:
    def __init__(self, task: str, **options: Any) -> None:
        self.task, self.model = task, options.get("model")
        self.options = sorted(f"{key}={getattr(v, 'name', v)}" for key, v in options.items())
        self.tokenizer = PreTrainedTokenizerBase("of " + task)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return Answer(repr((self.task, self.options, args, sorted(options))))


def pipeline(task: str, **options: Any) -> Any:
    given = options.get("model")
    loaded(given if isinstance(given, str) else task)
    return Pipeline(task, **options)


@_of("diffusers.pipelines.pipeline_utils", name="DiffusionPipeline")
class DiffusionPipeline:
    """A pipeline of parts."""

    def __init__(self, name: str = "", **options: Any) -> None:
        self.name, self.options, self.device = name, _told(options), ""
        self.scheduler = options.get("scheduler") or Scheduler()
        self.vae = options.get("vae") or Module("vae")
        self.unet, self.text_encoder_2 = Module("unet"), Module("text")
        self.adapters: list[Any] = []
        self.safety_checker: Any = "checker"

    @classmethod
    def from_pretrained(cls, name: str, *args: Any, **options: Any) -> Any:
        loaded(str(name))
        return cls(str(name), **{**options, f"given {_told(options)}": 1})

    def to(self, *args: Any, **options: Any) -> Any:
        self.device = f"{self.device}{args}"
        return self

    def _noted(self, *args: Any, **options: Any) -> Any:
        self.adapters = [*self.adapters, (args, _told(options))]

    load_lora_weights = fuse_lora = set_adapters = _noted
    enable_model_cpu_offload = enable_attention_slicing = _noted
    enable_xformers_memory_efficient_attention = set_progress_bar_config = _noted

    def __call__(self, *args: Any, **options: Any) -> Any:
        mine = (self.name, self.options, self.device, self.adapters, self.scheduler.options)
        return Answer(repr((*mine, self.unet.dtype, args, sorted(options))))


@_of("diffusers.schedulers")
class Scheduler(Plain):
    config = property(lambda self: dict(self.options))


@_of("onnxruntime.capi.onnxruntime_inference_collection", name="InferenceSession")
class InferenceSession:
    def __init__(self, path: str, options: Any = None, **others: Any) -> None:
        loaded(str(path))
        given = {k: v for k, v in vars(options or Plain()).items() if k != "args"}
        self.path, self.given, self.others = str(path), _told(given), _told(others)

    def run(self, names: Any, feed: Any) -> list[Any]:
        return [Tensor((self.path, str(self.given), str(self.others), str(sorted(feed))))]

    def get_inputs(self) -> list[Any]:
        return [types.SimpleNamespace(name="input", shape=[1, 3])]

    get_outputs = get_inputs
    get_providers = lambda self: ["CPUExecutionProvider"]  # noqa: E731


class Model:
    """A model of a library that the table of known calls does not list."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.options = repr((args, _told(options)))
        self.changed: list[Any] = []
        loaded(str(args[0] if args else options.get("model", "model")))

    def transcribe(self, audio: Any, **options: Any) -> Any:
        told = f"{self.options}{self.changed}{audio}{sorted(options)}"
        part = types.SimpleNamespace(text=told, start=0.0, end=1.0)
        return iter([part]), types.SimpleNamespace(language="en", duration=1.0)

    def to(self, *args: Any) -> Any:
        self.changed = [*self.changed, args]
        return self

    def fuse(self) -> Any:
        return self.to("fused")

    def __call__(self, *args: Any, **options: Any) -> Any:
        return [types.SimpleNamespace(boxes=[], text=f"{self.options}{self.changed}{args}")]

    def generate(self, prompts: Any, *args: Any) -> Any:
        given = [vars(each).get("options", each) for each in args]
        text = f"{self.options}{prompts}{given}"
        return [types.SimpleNamespace(outputs=[types.SimpleNamespace(text=text)])]

    predict = __call__


@_of("sklearn.pipeline")
class BaseEstimator:
    def __init__(self, name: str) -> None:
        self.name, self.classes_ = name, ["a", "b"]

    def predict(self, rows: Any) -> Tensor:
        return Tensor((self.name, str(rows)))

    predict_proba = transform = predict


def estimator(path: Any) -> Any:
    loaded(str(path))
    return BaseEstimator(str(path))
