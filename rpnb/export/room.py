"""Whether a second process finds the GPU memory that the warm one took, beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .state import look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ..session.session import Session

# What torch has held at most: a load's peak is higher than what stays.
_PEAK = """\
def _peak():
    import sys
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return 0
    return sum(cuda.max_memory_reserved(each) for each in range(cuda.device_count()))

_peak()
"""


def fits_beside(session: Session) -> bool:
    """Whether the program can be loaded once more while the session's worker stays.

    True where there is no GPU. A GPU with less room than all that the worker holds is
    taken for too small: one load more is cheaper than one that fails.
    """
    if not session.info.get("gpus"):
        return True
    found = session.census()
    gpus = found.get("gpus") or []
    if not gpus:
        return True
    workers = [each for each in found["workers"] if each.get("worker") == session.worker]
    held = sum(int(each.get("gpu_bytes") or 0) for each in workers)
    # In a container the driver often tells nothing of processes.
    grown = _used(gpus) - _used(session.info["gpus"])
    peak = look(session, _PEAK)
    needed = max(held, grown, peak if isinstance(peak, int) else 0)
    return needed <= min(int(each["total_bytes"]) - int(each["used_bytes"]) for each in gpus)


def _used(gpus: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(each["used_bytes"]) for each in gpus)
