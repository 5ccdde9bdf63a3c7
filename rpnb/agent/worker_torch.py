"""Torch's process-wide settings: read before a step, put back when it goes.

What stands here is what the planner's `torch.flags` promises to undo. Some of it
is missing in older versions, and some refuses to be read once its newer
counterpart was set: that is left alone.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Iterator

_GONE = object()
_AUTOCAST = ("cuda", "cpu")

# Dotted places below torch that hold a plain value, set by assignment.
_PLACES = (
    *("backends.fp32_precision", "backends.cuda.matmul.fp32_precision"),
    *(f"backends.cudnn.{part}fp32_precision" for part in ("", "conv.", "rnn.")),
    *("backends.cudnn.enabled", "backends.cudnn.benchmark", "backends.cudnn.deterministic"),
    *("backends.cudnn.allow_tf32", "backends.cudnn.benchmark_limit"),
    *("backends.cuda.matmul.allow_tf32", "backends.cuda.matmul.allow_fp16_accumulation"),
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    *("backends.opt_einsum.enabled", "backends.opt_einsum.strategy", "backends.quantized.engine"),
)
# Dotted functions below torch: what reads a setting, and what sets it.
_CALLS = (
    ("get_default_dtype", "set_default_dtype"),
    ("is_grad_enabled", "set_grad_enabled"),
    ("get_num_threads", "set_num_threads"),
    ("get_float32_matmul_precision", "set_float32_matmul_precision"),
    *(
        (f"backends.cuda.{kind}_sdp_enabled", f"backends.cuda.enable_{kind}_sdp")
        for kind in ("flash", "mem_efficient", "math", "cudnn")
    ),
)


def read(torch: Any) -> dict[str, Any]:
    """Return every setting that can be read."""
    found = {name: _attempt(get) for name, get, _ in _settings(torch)}
    return {name: value for name, value in found.items() if value is not _GONE}


def restore(torch: Any, state: dict[str, Any]) -> None:
    """Put back what differs from `state`."""
    # Twice: setting the older name of a setting moves its newer one, too.
    for name, get, put in (*_settings(torch), *_settings(torch)):
        if name in state and _attempt(get) != state[name]:
            _attempt(lambda: put(state[name]))  # noqa: B023 - called before the next turn


def _settings(torch: Any) -> Iterator[tuple[str, Callable[[], Any], Callable[[Any], None]]]:
    for place in _PLACES:
        path, _, name = place.rpartition(".")
        owner = _below(torch, path)
        if owner is not None:
            # What is missing fails when it is read: asking for it is reading it.
            yield place, _getter(owner, name), _setter(owner, name)
    for getter, setter in _CALLS:
        get, put = _below(torch, getter), _below(torch, setter)
        if get is not None and put is not None:
            yield setter, get, put
    if hasattr(torch, "set_default_device"):
        yield "set_default_device", _device, torch.set_default_device
    yield (
        "deterministic",
        lambda: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        lambda both: torch.use_deterministic_algorithms(both[0], warn_only=both[1]),
    )
    yield (
        "anomaly",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda both: torch.autograd.set_detect_anomaly(*both),
    )
    if _below(torch, "set_autocast_enabled") is not None:
        yield "autocast", lambda: _autocast(torch), lambda state: _set_autocast(torch, state)
    printing = _below(torch, "_tensor_str.PRINT_OPTS")
    if printing is not None:
        yield "printing", lambda: dict(vars(printing)), vars(printing).update


def _device() -> Any:
    # Torch's own getter does not tell "none was set" from "cpu".
    return getattr(sys.modules.get("torch.utils._device"), "CURRENT_DEVICE", None)


def _autocast(torch: Any) -> tuple[Any, ...]:
    """Whoever entered `torch.autocast(…)` for good has set these; older torch has no such."""
    each = ((d, torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in _AUTOCAST)
    return torch.is_autocast_cache_enabled(), *each


def _set_autocast(torch: Any, state: tuple[Any, ...]) -> None:
    torch.set_autocast_cache_enabled(state[0])
    for device, is_enabled, dtype in state[1:]:
        torch.set_autocast_enabled(device, is_enabled)
        torch.set_autocast_dtype(device, dtype)


def _getter(owner: Any, name: str) -> Callable[[], Any]:
    return lambda: getattr(owner, name)


def _setter(owner: Any, name: str) -> Callable[[Any], None]:
    return lambda value: setattr(owner, name, value)


def _below(torch: Any, dotted: str) -> Any:
    owner = torch
    for part in dotted.split("."):
        owner = getattr(owner, part, None)
    return owner


def _attempt(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except Exception:  # noqa: BLE001 - torch refuses with several kinds, and none is ours to tell
        return _GONE
