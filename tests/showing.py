"""Where a text is to be seen that nobody should see."""

from __future__ import annotations

import contextlib
from pathlib import Path


def showing(text, folders):
    """Return whatever any user's `ps`, a dump of an environment or a file shows the text in."""
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    for process in Path("/proc").glob("[0-9]*"):
        paths += [process / "cmdline", process / "environ"]
    found = set()
    for path in paths:
        # Gone meanwhile, or of a process that nobody may look into.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if text.encode() in path.read_bytes():
                found.add(str(path))
    return found
