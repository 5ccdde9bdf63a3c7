"""What memory a worker's process holds, and the most that it held meanwhile."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Callable

from tests.agent.driver import Worker


def can_measure() -> bool:
    """Only Linux tells a process's peak, and lets it begin anew."""
    return os.access("/proc/self/clear_refs", os.W_OK)


def memory(worker: Worker, what: str) -> int:
    """Return the bytes of "VmRSS" (now) or "VmHWM" (at the most)."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def peak_above(worker: Worker, run: Callable[[], Any]) -> int:
    """Return the most memory that `run` took above what there was before it."""
    before = memory(worker, "VmRSS")
    Path(f"/proc/{worker.process.pid}/clear_refs").write_text("5")  # the peak begins anew
    run()
    return memory(worker, "VmHWM") - before
