"""The state of a process outside the program's namespace, as plain data."""

from __future__ import annotations

import logging
import os
import random
import re
import sys
import warnings
from typing import Any

from tests.planner.portrait import Portrait, _digest

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def seen(portrait: Portrait) -> dict[str, Any]:
    """Return resource -> description."""
    found = {
        "$environ": sorted(os.environ.items()),
        "$cwd": os.getcwd(),
        "$path": list(sys.path),
        "$logging": _logging(),
        "$warnings": [repr(each) for each in warnings.filters],
        "$random": _digest(random.getstate()),
    }
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        kind, keys, *rest = numpy.random.get_state()
        found["$numpy.random"] = _digest((kind, keys.tobytes(), rest))
    for name in ("modelkit", "patchkit"):
        module = sys.modules.get(name)
        if module is not None:
            state = {k: v for k, v in vars(module).items() if k in module.STATE}
            found[f"${name}"] = portrait.value(state)
    return found


def _logging() -> list[Any]:
    root = logging.getLogger()
    loggers = [(n, x) for n, x in root.manager.loggerDict.items() if isinstance(x, logging.Logger)]
    levels = sorted((name, logger.level) for name, logger in loggers if logger.level)
    handlers = [type(handler).__name__ for handler in root.handlers]
    return [root.level, root.manager.disable, handlers, levels]


def cleaned(value: Any, home: str) -> Any:
    """Return `value` without addresses and this process's own folder."""
    if type(value) is str:
        if home in value:
            value = value.replace(home, "HOME")
        return _ADDRESS.sub("", value) if " at 0x" in value else value
    if type(value) in (list, tuple):
        return type(value)([cleaned(each, home) for each in value])
    if isinstance(value, dict):
        return {key: cleaned(each, home) for key, each in value.items()}
    return value
