"""Where a text is to be seen that nobody should see."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def showing(text, folders):
    """Return whatever any user's `ps`, a dump of an environment or a file shows the text in."""
    found = files_showing(text, folders)
    for process in Path("/proc").glob("[0-9]*"):
        found |= _showing(text, [process / "cmdline", process / "environ"])
    return found


def files_showing(text, folders):
    """Return the files in these folders, however deep, that have the text in them."""
    paths = (Path(at, name) for each in folders for at, _, names in os.walk(each) for name in names)
    return _showing(text, (path for path in paths if path.is_file()))


def _showing(text, paths):
    found = set()
    for path in paths:
        # Gone meanwhile, or of a process that nobody may look into.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if text.encode() in path.read_bytes():
                found.add(str(path))
    return found
