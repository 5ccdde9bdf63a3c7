"""GPU readings, by asking nvidia-smi: no library, no CUDA context of our own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

_QUERY = "--query-gpu=index,uuid,name,memory.used,memory.total"
_PROCESSES = "--query-compute-apps=pid,used_memory"
# A healthy one answers in 50 ms; one whose driver hangs never does.
_TIMEOUT = 5.0
# After a failure it is left alone for so long: a reading is made at every sync.
_PATIENCE = 60.0
_MIB = 1 << 20
_SETTLING, _PAUSE = 10.0, 0.25

_asked_again_at = 0.0
# What a process that computes on a GPU has open: NVIDIA's, AMD's.
_DEVICE = re.compile(r"/dev/(nvidia\d+|kfd)$")


def readings() -> list[dict[str, Any]]:
    """Return {"index", "name", "used_bytes", "total_bytes"} of each GPU this process may use.

    [] without a GPU, without nvidia-smi, and where it does not answer in time.
    `index` is nvidia-smi's own, whatever CUDA_VISIBLE_DEVICES makes of it.
    """
    global _asked_again_at
    if time.monotonic() < _asked_again_at:
        return []
    rows = _ask(_QUERY)
    if rows is None:
        _asked_again_at = time.monotonic() + _PATIENCE
        return []
    # A card split by MIG says "[N/A]" for its memory.
    whole = [row for row in rows if len(row) == 5 and row[3].isdigit() and row[4].isdigit()]
    return [_reading(row) for row in whole if _is_visible(row[0], row[1])]


def settled() -> list[dict[str, Any]]:
    """Return the readings once the memory of a process that has died is free again.

    The driver takes it back a moment after the process is gone; until it falls no
    further, and for 10 s at most, this waits.
    """
    before, deadline = readings(), time.monotonic() + _SETTLING
    while before and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        now = readings()
        if _used(now) >= _used(before):
            return now
        before = now
    return before


def _used(found: list[dict[str, Any]]) -> int:
    return sum(reading["used_bytes"] for reading in found)


def by_process() -> dict[int, int]:
    """Return the bytes of GPU memory that each process holds, as far as the driver tells.

    In a container it often tells nothing, or numbers of processes outside.
    """
    held: dict[int, int] = {}
    for row in _ask(_PROCESSES) or []:
        if len(row) == 2 and row[0].isdigit() and row[1].isdigit():
            held[int(row[0])] = held.get(int(row[0]), 0) + int(row[1]) * _MIB
    return held


def is_held_by(group: int) -> bool:
    """Tell whether a process of this group has a GPU open, and so some of its memory.

    The system says so, also in a container where the driver tells nothing.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(process.name)) == group and any(map(_is_gpu, process.glob("fd/*"))):
                return True
    return False


def _is_gpu(descriptor: Path) -> bool:
    try:
        return _DEVICE.match(str(descriptor.readlink())) is not None
    except OSError:
        return False


def _ask(query: str) -> list[list[str]] | None:
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        run = subprocess.run(
            [command, query, "--format=csv,noheader,nounits"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if run.returncode != 0:
        return None
    return [[cell.strip() for cell in line.split(",")] for line in run.stdout.splitlines()]


def _reading(row: list[str]) -> dict[str, Any]:
    index, _uuid, name, used, total = row
    return {
        "index": int(index),
        "name": name,
        "used_bytes": int(used) * _MIB,
        "total_bytes": int(total) * _MIB,
    }


def _is_visible(index: str, uuid: str) -> bool:
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return True
    names = [name.strip() for name in allowed.split(",")]
    # As CUDA reads it: numbers or beginnings of UUIDs.
    return any(name and (name == index or uuid.startswith(name)) for name in names)
