"""Develop RunPod serverless handlers in a notebook, on a real GPU.

In a notebook: `%load_ext rpnb`, then `%runpod`. In a script: `rpnb.connect`.
The names below are imported when they are first used, so that `import rpnb` is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .export.accept import close as close
    from .export.accept import ignoring as ignoring
    from .jupyter.api import run as run
    from .jupyter.api import stream as stream
    from .jupyter.extension import load_ipython_extension as load_ipython_extension
    from .jupyter.extension import unload_ipython_extension as unload_ipython_extension
    from .session.marks import handler as handler
    from .session.marks import setup as setup
    from .session.result import Result as Result
    from .session.session import Session as Session
    from .session.session import connect as connect

_HOMES = {
    "Result": "session.result",
    "Session": "session.session",
    "close": "export.accept",
    "connect": "session.session",
    "handler": "session.marks",
    "ignoring": "export.accept",
    "load_ipython_extension": "jupyter.extension",
    "run": "jupyter.api",
    "setup": "session.marks",
    "stream": "jupyter.api",
    "unload_ipython_extension": "jupyter.extension",
}

__all__ = [
    "Result",
    "Session",
    "close",
    "connect",
    "errors",
    "handler",
    "ignoring",
    "load_ipython_extension",
    "run",
    "setup",
    "stream",
    "unload_ipython_extension",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module(".errors", __name__)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
