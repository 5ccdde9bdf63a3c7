"""The name of a worker: the same notebook on the same machine finds the same worker again."""

from __future__ import annotations

import hashlib
import platform
import re
import uuid
from pathlib import Path


def worker_name(path: str | Path) -> str:
    """Return the worker's name for a notebook or a script: its stem and a hash.

    The hash is of this machine's id and the absolute path, so that a copy or
    another person's file of the same name gets a worker of its own.
    """
    place = Path(path).resolve()
    digest = hashlib.sha256(f"{_machine_id()}\0{place}".encode()).hexdigest()
    return f"{_plain(place.stem)}-{digest[:8]}"


def new_name(stem: str) -> str:
    """Return a worker's name that nobody has yet, for where no path is known."""
    return f"{_plain(stem)}-{uuid.uuid4().hex[:8]}"


def _plain(stem: str) -> str:
    return re.sub(r"[^\w-]+", "-", stem, flags=re.ASCII).strip("-")[:32] or "notebook"


def _machine_id() -> str:
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return f"{platform.node()}-{uuid.getnode():x}"
