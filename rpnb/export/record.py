"""What rpnb itself wrote: the digest of each exported file, by its path.

Only this tells a file edited by hand from one that may be replaced. It is kept
per person, not in the file: the export has no line that a reader would wonder at.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..session import state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def digest(data: bytes) -> str:
    """Return the digest under which a file's bytes are remembered."""
    return hashlib.sha256(data).hexdigest()


def place() -> Path:
    """Return the file that remembers, under `$XDG_STATE_HOME`."""
    return state.folder() / "exports.json"


def remembered() -> dict[str, str]:
    """Return {absolute path: digest of what rpnb last wrote there}."""
    try:
        found = json.loads(place().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Without its memory rpnb only grows careful: it asks for --force.
        return {}
    return found if isinstance(found, dict) else {}


def remember(written: Mapping[Path, bytes]) -> None:
    """Add what was just written; does nothing where no state can be kept."""
    # The files are written already: a read-only home must not turn that into an error.
    with contextlib.suppress(OSError), _locked():
        known = remembered() | {str(path): digest(data) for path, data in written.items()}
        replace(place(), json.dumps(known, indent=1, sort_keys=True).encode())


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    place().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with place().with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader sees the old file or the new, never a part.

    An existing file keeps its permissions.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_bytes(data)
        with contextlib.suppress(FileNotFoundError):
            draft.chmod(path.stat().st_mode & 0o7777)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
