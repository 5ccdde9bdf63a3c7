"""What the program's `%pip install` lines ask for, installed beside this Python's own packages."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Sequence

from ..errors import TargetError
from . import overlay
from .directory import RunDirectory
from .worker_failure import refusal


class Requirements:
    """Meets each set of requirements once; the packages stay importable until the process ends."""

    def __init__(self, directory: RunDirectory) -> None:
        self._root = directory.values.parent
        self._met: list[str] = []
        self._before: list[str] = []
        self._after: list[str] = []

    def meet(self, wanted: Sequence[str]) -> str | None:
        """Install what is missing; return what only a new process would see, if anything.

        A requirement that the program no longer has stays until then.

        Raises:
            RequestFailed: pip found no way; nothing was changed.
        """
        if not wanted or list(wanted) == self._met:
            return None
        try:
            found = overlay.extend(sys.executable, self._root, wanted, on_progress=_say)
        except TargetError as error:
            raise refusal(error) from error
        self._met = list(wanted)
        self._before, self._after = found.shadows + self._before, self._after + found.path
        self.keep_on_path()
        replaced = _loaded(found.shadows)
        return f"%pip install {replaced}" if replaced else None

    def keep_on_path(self) -> None:
        """Put the packages on `sys.path`, where an undone step may have taken them away."""
        sys.path[1:1] = [path for path in self._before if path not in sys.path]
        sys.path += [path for path in self._after if path not in sys.path]
        importlib.invalidate_caches()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _loaded(sites: Sequence[str]) -> str | None:
    """Return a module of these directories that was imported from somewhere else."""
    for site in sites:
        for entry in sorted(Path(site).iterdir()):
            module = sys.modules.get(entry.name.partition(".")[0])
            file = getattr(module, "__file__", None)
            if file and not os.fspath(file).startswith(site):
                return entry.name.partition(".")[0]
    return None
