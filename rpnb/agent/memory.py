"""What the system says of memory: the limit here, and how often its killer struck.

A container sees its own control group at the root of `/sys/fs/cgroup`; a plain
process finds its own by `/proc/self/cgroup`. Both versions of control groups
are read; where neither is there, the machine's own figures stand.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

_CGROUPS = Path("/sys/fs/cgroup")
# Version 1 writes this, in pages' bytes, where there is no limit.
_NO_LIMIT = 1 << 60


def oom_kills() -> int | None:
    """Return how many processes the out-of-memory killer has ended here so far.

    Counted by this process's control group, else by the whole machine; None
    where nothing counts them. Only the difference of two readings means anything.
    """
    for file in (*_files("memory.events", "memory.oom_control"), Path("/proc/vmstat")):
        for line in _lines(file):
            key, _, value = line.partition(" ")
            if key == "oom_kill" and value.strip().isdigit():
                return int(value)
    return None


def limit_bytes() -> int | None:
    """Return how much memory the processes here may use, None where it is not known."""
    for file in _files("memory.max", "memory.limit_in_bytes"):
        for line in _lines(file):
            if line.isdigit() and int(line) < _NO_LIMIT:
                return min(int(line), _machine_bytes())
    return _machine_bytes() or None


def _machine_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return 0


def _files(second: str, first: str) -> Iterator[Path]:
    """Yield where a figure stands: in this process's group, then in the container's root."""
    for line in _lines(Path("/proc/self/cgroup")):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield _CGROUPS / path.lstrip("/") / second
        elif "memory" in controllers.split(","):
            yield _CGROUPS / "memory" / path.lstrip("/") / first
    yield _CGROUPS / second
    yield _CGROUPS / "memory" / first


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
