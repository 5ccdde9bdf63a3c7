"""Calls that are known to change nothing: one table, each row shown by a test of its own.

tests/real/test_known_calls.py asks the real libraries, row by row; what is not here
counts as changing what it is called on. A person's own classes are never here: they
run the person's code.
"""

from __future__ import annotations

import logging
import sys
import types
from typing import Any, Collection, Mapping

from . import loggers
from .holdings import attributes, held
from .kinds import PROGRAM
from .loggers import EMITTERS
from .torch_modules import is_module, is_ready, module_of, top

# In place of a method: a lookup on the value itself, or on a part, an element or a result.
SELF, PART = "$self", "$part"
# `n += 1`.
COUNTED = "$counted"

# (package, class) -> methods; "" is the call of the value itself.
_ROWS: dict[tuple[str, str], frozenset[str]] = {
    # In eval state only: in training state a call updates statistics and draws masks.
    ("torch", "Module"): frozenset({"", "generate", "encode", "predict"}),
    ("sentence_transformers", "SentenceTransformer"): frozenset({"encode", "similarity"}),
    ("sentence_transformers", "CrossEncoder"): frozenset({"predict", "rank"}),
    ("transformers", "Pipeline"): frozenset({""}),
    ("transformers", "PreTrainedTokenizerBase"): frozenset({"", "encode", "apply_chat_template"}),
    ("transformers", "ProcessorMixin"): frozenset({"", "apply_chat_template"}),
    ("transformers", "ImageProcessingMixin"): frozenset({"", "preprocess"}),
    ("transformers", "FeatureExtractionMixin"): frozenset({""}),
    # A call sets up its scheduler anew.
    ("diffusers", "DiffusionPipeline"): frozenset({""}),
    # Where it only writes lines: `loggers.is_plain`.
    ("logging", "Logger"): EMITTERS,
    ("onnxruntime", "InferenceSession"): frozenset({"run"}),
    ("sklearn", "BaseEstimator"): frozenset(
        {
            *("predict", "predict_proba", "predict_log_proba", "decision_function"),
            *("transform", "inverse_transform", "score", "kneighbors"),
        }
    ),
}
# Module -> functions that neither keep nor change what they are given.
_FUNCTIONS: dict[str, frozenset[str]] = {
    "torch": frozenset(
        {
            *("no_grad", "inference_mode", "autocast", "amp.autocast", "cuda.amp.autocast"),
            *("zeros", "ones", "empty", "full", "rand", "randn", "randint", "arange", "linspace"),
            *("tensor", "as_tensor", "from_numpy", "stack", "cat", "softmax", "argmax", "topk"),
            *("cuda.is_available", "cuda.device_count", "cuda.get_device_name"),
            *("cuda.memory_allocated", "cuda.memory_reserved", "cuda.max_memory_allocated"),
            *("cuda.mem_get_info", "cuda.memory_summary", "cuda.synchronize"),
        }
    ),
    "numpy": frozenset(
        {
            *("zeros", "ones", "empty", "full", "arange", "linspace", "array", "asarray", "stack"),
            *("concatenate", "expand_dims", "mean", "max", "min", "argmax", "round", "allclose"),
            *("sum", "std", "argsort", "unique", "isnan", "linalg.norm"),
            *("random.rand", "random.randn", "random.random"),
        }
    ),
    "logging": EMITTERS,
    "PIL.Image": frozenset({"new", "open", "fromarray"}),
    "time": frozenset({"time", "perf_counter", "monotonic"}),
    # What they are given is only gone through; `default=f` is code of the call's own.
    "json": frozenset({"dumps", "loads"}),
    "yaml": frozenset({"safe_load", "safe_dump", "dump"}),
    "pprint": frozenset({"pprint", "pformat"}),
    "dataclasses": frozenset({"asdict", "astuple"}),
    "copy": frozenset({"deepcopy"}),
}
# Decorators that run nothing of the function that they wrap before it is called.
WRAPPERS = frozenset(
    {
        *("torch.no_grad", "torch.inference_mode", "torch.enable_grad"),
        *("contextlib.contextmanager", "contextlib.asynccontextmanager"),
    }
)
CONTEXTS = frozenset({"no_grad", "inference_mode", "autocast", "amp.autocast", "cuda.amp.autocast"})
# Methods of whatever these packages make that give a text or a number, no part.
TEXTS = frozenset(
    {
        *("decode", "batch_decode", "numel", "element_size", "to_json_string", "tokenize"),
        *("num_parameters", "get_memory_footprint", "convert_ids_to_tokens"),
        "convert_tokens_to_ids",
    }
)
EVERY = frozenset().union(*_ROWS.values(), *_FUNCTIONS.values(), TEXTS)

# Methods that change nothing on whatever value of a library's, or part of one.
LOOKUPS = frozenset(
    {
        # containers and texts
        *("get", "keys", "values", "items", "index", "count", "copy", "strip", "split", "join"),
        *("lower", "upper", "format", "startswith", "endswith", "splitlines"),
        # models and sessions
        *("parameters", "named_parameters", "state_dict", "num_parameters"),
        *("get_memory_footprint", "get_inputs", "get_outputs", "get_providers", "get_params"),
        *("to_dict", "to_json_string", "decode", "batch_decode", "tokenize", "get_vocab"),
        *("convert_tokens_to_ids", "convert_ids_to_tokens"),
        # tensors, arrays and frames
        *("item", "tolist", "numpy", "detach", "numel", "element_size", "size", "dim", "mean"),
        *("sum", "max", "min", "std", "argmax", "argmin", "softmax", "round", "reshape", "view"),
        *("squeeze", "unsqueeze", "flatten", "transpose", "permute", "astype", "any", "all"),
        *("head", "tail", "describe", "info", "value_counts", "nunique", "unique", "to_string"),
        *("to_list", "to_numpy", "isna", "isnull", "corr", "memory_usage"),
    }
)
# The same on what a call has just returned: on a model they would move it.
OF_RESULTS = frozenset({"to", "cpu", "cuda", "half", "float", "save"})
# What these packages make has the methods above, if any, with their usual meaning.
_PACKAGES = frozenset(
    {
        *("torch", "transformers", "tokenizers", "sentence_transformers", "diffusers", "PIL"),
        *("onnxruntime", "sklearn", "pandas", "numpy", "scipy"),
    }
)
_NOTHING: frozenset[str] = frozenset()
# A person's own code: the program, and as multiprocessing's children call it.
_OWN = frozenset({PROGRAM, "__mp_main__"})


def models(
    namespace: Mapping[str, Any],
    names: Collection[str] | None = None,
    local: Collection[str] = (),
) -> dict[str, frozenset[str]]:
    """Return what the values of `names` (default: all) answer now without changing.

    `local` names the modules that are the person's own, as the program is.
    """
    own = _OWN.union(local)
    wanted = namespace if names is None else names
    found = {name: _answers(namespace[name], own) for name in wanted if name in namespace}
    return {name: answers for name, answers in found.items() if answers}


def _answers(value: Any, own: frozenset[str]) -> frozenset[str]:
    if isinstance(value, types.ModuleType):
        is_own = top(value.__name__) in own
        if value is logging and not loggers.is_plain(logging.getLogger()):
            return _NOTHING
        return _NOTHING if is_own else _FUNCTIONS.get(value.__name__, _NOTHING) | {PART}
    cls = type(value)
    if cls is types.FunctionType:
        is_known = value.__name__ in _FUNCTIONS.get(value.__module__, ()) and _is_at_top(value)
        return frozenset({""}) if is_known else _NOTHING
    if cls in (int, float):
        return frozenset({COUNTED})
    if cls in (list, dict, tuple, set, str):
        return frozenset({SELF})
    if cls is logging.Logger and not loggers.is_plain(value):
        return _NOTHING
    rows = _rows(cls)
    if top(cls.__module__) in own or not (rows or top(cls.__module__) in _PACKAGES):
        return _NOTHING
    if cls.__module__.startswith("torch.utils.data") or _runs_own(value, rows, own):
        # To go through a loader moves its generator, and runs a dataset of the person's.
        return _NOTHING
    found = frozenset().union({SELF, PART}, TEXTS, *rows)
    if not is_module(value) or is_ready(value, own):
        return found
    return found - _ROWS["torch", "Module"]


def _is_at_top(function: types.FunctionType) -> bool:
    """Tell whether its module has a function under its name: no one else's bears it."""
    home = sys.modules.get(function.__module__)
    return getattr(home, "__dict__", {}).get(function.__name__) is function


def _runs_own(value: Any, rows: Collection[frozenset[str]], own: frozenset[str]) -> bool:
    """Tell whether a library's object holds code of the person's, which its methods may call."""
    if not rows or is_module(value):
        return False
    return any(
        top(module_of(each if callable(each) else type(each))) in own
        for each in held(value, attributes)
    )


def _rows(cls: type) -> list[frozenset[str]]:
    places = ((top(parent.__module__), parent.__name__) for parent in cls.__mro__)
    return [_ROWS[place] for place in places if place in _ROWS]
