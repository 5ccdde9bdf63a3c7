"""CUDA in the worker's process, where the program uses it by torch; never imported from here."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

# What CUDA, and torch's allocator on it, read when they are first used and never again.
_READ_ONCE = re.compile(r"(CUDA|CUDNN|CUBLAS|NVIDIA|NCCL|PYTORCH)_|TORCH_(CUDA|CUDNN|NCCL)")


def reset_peak() -> None:
    """Begin to measure the peak of the memory that torch has allocated."""
    cuda = _used()
    if cuda is not None:
        cuda.reset_peak_memory_stats()


def peak() -> dict[str, Any]:
    """Return {"peak_gpu_bytes"} since `reset_peak`, {} where CUDA is not used."""
    cuda = _used()
    return {"peak_gpu_bytes": cuda.max_memory_allocated()} if cuda is not None else {}


def reserved_bytes() -> int:
    """Return what torch has taken from the devices, used or kept for later."""
    cuda = _used()
    if cuda is None:
        return 0
    return sum(cuda.memory_reserved(index) for index in range(cuda.device_count()))


def release() -> None:
    """Give the devices back what torch keeps for later."""
    cuda = _used()
    if cuda is not None:
        cuda.empty_cache()


def variables() -> dict[str, str] | None:
    """Return the environment that CUDA has read and will not read again, None if it is unused."""
    if _used() is None:
        return None
    return {name: value for name, value in os.environ.items() if _READ_ONCE.match(name)}


def is_broken() -> bool:
    """Tell whether an error sticks to the process: each later call would raise it again.

    After a failed assertion or an illegal access on the device (not after running
    out of its memory) only a new process can use it (CUDA's cudaErrorAssert,
    cudaErrorIllegalAddress). Waits for what the device still does.
    """
    cuda = _used()
    if cuda is None:
        return False
    try:
        cuda.synchronize()
    except Exception:  # noqa: BLE001 - torch has had several classes for it
        return True
    return False


def _used() -> Any:
    """Return torch.cuda where the program has used it, else None."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return cuda if cuda is not None and cuda.is_initialized() else None
