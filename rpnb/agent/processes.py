"""What tells one process from another that has its number later, and one boot from the next.

Linux keeps both in `/proc`. Where that is not mounted nothing is known.
"""

from __future__ import annotations

from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def started(pid: int) -> str | None:
    """Return when a process started, in the system's own ticks; None where it is not there."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name before it may hold spaces and brackets: count from the last one.
    return stat.rpartition(b")")[2].split()[19].decode()


def boot() -> str | None:
    """Return what changes when the machine, or the container that this is, is restarted."""
    try:
        return f"{_BOOT.read_text().strip()} {started(1)}"
    except OSError:
        return None
