"""What workers share or have left behind: removed when it has not been used for long.

Under one root lie values by digest, agents, overlays, and a folder for each worker. Each
use touches what is used; what a worker that lives, or its program, names is never
removed, whatever its age. The root may be a folder of a person's own (`RPNB_HOME`):
only what bears rpnb's marks counts as rpnb's.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from pathlib import Path
from typing import Iterator

from .directory import RunDirectory, read_json

_DAY = 86_400.0
# A worker's folder goes with its last result (keeping.py); a value can be sent again, an
# overlay takes minutes to make again.
_VALUES_DAYS, _WORKERS_DAYS, _TOOLS_DAYS = 7.0, 7.0, 30.0
_VALUES_BYTES = 20_000_000_000
# A value may have come for a request that waits, and is not named by a program yet.
_FRESH = 3600.0
_DIGEST = re.compile(rb"[0-9a-f]{64}")
# A value, whole or on its way in.
_VALUE = re.compile(r"[0-9a-f]{64}(\.\d+\.part)?")
# What each overlay has in it.
OVERLAY_RECORD = "rpnb.json"


def touch(path: Path) -> None:
    """Take note that it is used now."""
    with contextlib.suppress(OSError):
        os.utime(path)


def collect(root: Path) -> None:
    """Remove what nobody has used for long."""
    workers = [RunDirectory(path) for path in _entries(root / "run")]
    workers = [worker for worker in workers if worker.version.exists()]
    living = [worker for worker in workers if worker.is_alive()]
    for worker in workers:
        if worker not in living and _age(_last_use(worker)) > _WORKERS_DAYS * _DAY:
            shutil.rmtree(worker.path, ignore_errors=True)
    _collect_values(root / "values", _named_values(workers))
    named = "\n".join(_named_tools(living, workers))
    shelf = [path for path in _entries(root / "overlay") if (path / OVERLAY_RECORD).exists()]
    for path in (*root.glob("agent-*.pyz*"), *shelf):
        # Beside a worker that lives, one that it was born with may not be named anywhere.
        since = min((_since(worker) for worker in living), default=time.time())
        is_old = _age(path) > _TOOLS_DAYS * _DAY and _mtime(path) < since
        if is_old and str(path) not in named:
            _remove(path)


def _collect_values(folder: Path, named: set[str]) -> None:
    ours = [path for path in _entries(folder) if _VALUE.fullmatch(path.name)]
    spare = [path for path in ours if path.name not in named and _age(path) > _FRESH]
    spare.sort(key=_mtime)
    total = sum(map(_size, ours))
    for path in spare:
        if _age(path) > _VALUES_DAYS * _DAY or total > _VALUES_BYTES:
            total -= _size(path)
            _remove(path)


def _named_values(workers: list[RunDirectory]) -> set[str]:
    """The digests that any worker's program names: it is rebuilt from them."""
    named: set[str] = set()
    for worker in workers:
        with contextlib.suppress(OSError):
            named.update(found.decode() for found in _DIGEST.findall(worker.program.read_bytes()))
    return named


def _named_tools(living: list[RunDirectory], workers: list[RunDirectory]) -> Iterator[str]:
    """What names agents and overlays: settings, and the command lines of what runs."""
    for worker in workers:
        with contextlib.suppress(OSError):
            yield worker.settings.read_text("utf-8", "surrogateescape")
    for worker in living:
        pids = read_json(worker.pids) or {}
        relay = _text(worker.relay_lock)
        for pid in (pids.get("keeper"), pids.get("worker"), relay):
            yield _text(Path(f"/proc/{pid}/cmdline"))


def _since(worker: RunDirectory) -> float:
    return float((read_json(worker.pids) or {}).get("since") or 0.0)


def _last_use(worker: RunDirectory) -> Path:
    """The file of a worker's that was written last."""
    files = [worker.path, worker.index, worker.out, worker.err, worker.exit, worker.journal]
    return max(files, key=_mtime)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _age(path: Path) -> float:
    return time.time() - _mtime(path)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
