"""Where rpnb keeps what it remembers on this machine."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def folder() -> Path:
    """Return `$XDG_STATE_HOME/rpnb`, else its place below the home.

    Who has neither gets a path where nothing can be written: nothing is remembered.
    """
    state = os.environ.get("XDG_STATE_HOME")
    if not state:
        # Not every user of a container has a home: an image's may have no entry of its own.
        with contextlib.suppress(RuntimeError):
            state = str(Path.home() / ".local" / "state")
    return Path(state or os.devnull) / "rpnb"
