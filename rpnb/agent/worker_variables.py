"""Environment variables that come from outside the program's statements."""

from __future__ import annotations

import os
from typing import Mapping

from . import worker_cuda
from .worker_probe import Prober


class Variables:
    """The program's plain settings, its secrets, and the variables that CUDA has read."""

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        # The program's plain settings, as they were before the first step.
        self._settings: dict[str, str] = {}
        # What CUDA had read when the sync began, if anything.
        self._read: dict[str, str] | None = None

    def begin(self) -> None:
        """Note what CUDA has read, once it has."""
        if self._read is None:
            self._read = worker_cuda.variables()

    def unread(self) -> str | None:
        """Return a variable that is another than when CUDA read it."""
        now, before = worker_cuda.variables(), self._read
        if now is None or before is None:
            return None
        return next((name for name in {**before, **now} if before.get(name) != now.get(name)), None)

    def apply(self, settings: Mapping[str, str]) -> None:
        """Set the program's settings, before its first step runs."""
        for key in self._settings:
            os.environ.pop(key, None)
            self._prober.secrets.pop(key, None)
        self.set(settings)
        self._settings = dict(settings)

    def changed(self, settings: Mapping[str, str]) -> str | None:
        """Return a setting that is not what the running steps saw."""
        keys = {**self._settings, **settings}
        return next((k for k in keys if self._settings.get(k) != settings.get(k)), None)

    def set(self, values: Mapping[str, str]) -> None:
        """Set variables that no step of the program sets; they outlive a restored environment."""
        self._prober.secrets.update(values)
        os.environ.update(values)
