"""`runpod.serverless.start` registers here instead of starting a loop; an import hook sees to it.

The hook also spares the import 1.2 of its 1.7 seconds: py-cpuinfo asks the CPU
for its name in a subprocess, for a debugger that nobody turned on.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import sys
import types
from pathlib import Path
from typing import Any, Callable, ContextManager, Iterator, Sequence

from . import runner_sdk

_SERVERLESS = "runpod.serverless"
_DEBUGGER = "runpod.serverless.utils.rp_debugger"


class Config(dict[str, Any]):
    """What `start` was given; others refer to it weakly, for its handler may hold a model."""


class Starts:
    """What the program gave to `start`, and during which step."""

    def __init__(self) -> None:
        self.config: Config | None = None
        # The serial number of the step that runs now, and of the one that called start().
        self.running: int | None = None
        self.by: int | None = None

    def start(self, config: dict[str, Any]) -> None:
        """Starts the serverless worker."""
        self.config, self.by = Config(config), self.running

    def keep_only(self, serials: set[int]) -> None:
        """Forget the config unless one of these steps gave it."""
        if self.by not in serials:
            self.config = self.by = None


class Hook(importlib.abc.MetaPathFinder):
    """Wraps the execution of the modules it is asked about."""

    def __init__(self, starts: Starts) -> None:
        self._starts = starts
        self._wraps: dict[str, Callable[[types.ModuleType], ContextManager[None]]] = {
            _SERVERLESS: self._registering,
            _DEBUGGER: _without_cpuinfo,
        }

    def install(self) -> None:
        """Put the hook before every other finder."""
        sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec that the other finders give, its loader wrapped."""
        wrap = self._wraps.get(fullname)
        if wrap is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                _wrap_loader(spec.loader, wrap)
                return spec
        return None

    @contextlib.contextmanager
    def _registering(self, module: types.ModuleType) -> Iterator[None]:
        yield
        module.start = self._starts.start  # type: ignore[attr-defined] # the purpose of the hook
        # An SDK too old for us is still imported: the first job says what is wrong.
        with contextlib.suppress(AttributeError, ImportError):
            runner_sdk.listen()


def _wrap_loader(loader: Any, wrap: Callable[[types.ModuleType], ContextManager[None]]) -> None:
    execute = loader.exec_module

    def exec_module(module: types.ModuleType) -> None:
        with wrap(module):
            execute(module)

    loader.exec_module = exec_module


@contextlib.contextmanager
def _without_cpuinfo(_module: types.ModuleType) -> Iterator[None]:
    if "cpuinfo" in sys.modules:
        yield
        return
    stub = types.ModuleType("cpuinfo")
    stub.get_cpu_info = lambda: {"brand_raw": _cpu_name()}  # type: ignore[attr-defined] # a stub
    sys.modules["cpuinfo"] = stub
    try:
        yield
    finally:
        # The program's own `import cpuinfo` gets the real one.
        sys.modules.pop("cpuinfo", None)


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown"
