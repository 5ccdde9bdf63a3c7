"""Stand-ins for torch, transformers and diffusers: loads are counted, nothing is heavy."""

# Stand-ins take what the real ones take.

from __future__ import annotations

import types
from typing import Any

LOADS: list[str] = []


class _Loads:
    """Whatever has `from_pretrained`."""

    def __init__(self) -> None:
        self.config = types.SimpleNamespace(use_cache=True)
        self.scheduler = types.SimpleNamespace(config={})
        self.pad_token, self.eos_token, self.training = None, "</s>", False

    @classmethod
    def from_pretrained(cls, name: str, **options: Any) -> Any:
        LOADS.append(name)
        return cls()

    @classmethod
    def from_config(cls, config: Any, **options: Any) -> Any:
        return cls()

    def __call__(self, *args: Any, **options: Any) -> Any:
        return types.SimpleNamespace(images=["image"])

    def modules(self) -> list[Any]:
        return [self]

    def generate(self, *args: Any, **options: Any) -> list[str]:
        return ["out"]

    def _same(self, *args: Any, **options: Any) -> Any:
        return self

    eval = to = half = load_lora_weights = decode = apply_chat_template = compile = _same


def _library(name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(members)
    return module


def _class(library: str, name: str, *bases: type) -> type:
    return type(name, bases or (_Loads,), {"__module__": f"{library}.models"})


def _nothing(*args: Any) -> None:
    return None


def libraries() -> dict[str, types.ModuleType]:
    """Return new modules, by the names that programs import them by."""
    LOADS.clear()
    module = type("Module", (_Loads,), {"__module__": "torch.nn.modules.module"})
    pipeline = _class("diffusers", "DiffusionPipeline")
    torch = _library(
        "torch",
        float16="float16",
        float32="float32",
        manual_seed=_nothing,
        cuda=types.SimpleNamespace(
            is_available=lambda: True, is_initialized=lambda: False, empty_cache=_nothing
        ),
        backends=types.SimpleNamespace(cudnn=types.SimpleNamespace(benchmark=False)),
        set_num_threads=_nothing,
    )
    return {
        "torch": torch,
        "transformers": _library(
            "transformers",
            AutoModel=_class("transformers", "AutoModel", module),
            AutoTokenizer=_class("transformers", "AutoTokenizer"),
            pipeline=lambda task, **options: LOADS.append(task),
        ),
        "diffusers": _library(
            "diffusers",
            StableDiffusionPipeline=_class("diffusers", "StableDiffusionPipeline", pipeline),
            Scheduler=_class("diffusers", "Scheduler"),
        ),
    }
