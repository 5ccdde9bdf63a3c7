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

# As Python writes them, and pydantic.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+|(?<=__main__\.)\w+:\d+")


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
    loggers = [("", root), *root.manager.loggerDict.items()]
    states = [(n, _logger(x)) for n, x in loggers if isinstance(x, logging.Logger)]
    return [root.manager.disable, sorted(each for each in states if any(each[1]))]


def _logger(logger: logging.Logger) -> list[Any]:
    handlers = [
        (type(each).__name__, each.level, str(getattr(each.formatter, "_fmt", None)))
        for each in logger.handlers
    ]
    filters = [type(each).__name__ for each in logger.filters]
    return [logger.level, handlers, filters, logger.disabled, not logger.propagate]


def cleaned(value: Any, home: str) -> Any:
    """Return `value` without addresses and this process's own folder."""
    if type(value) is str:
        if home in value:
            value = value.replace(home, "HOME")
        return _ADDRESS.sub("", value) if " at 0x" in value or "__main__." in value else value
    if type(value) in (list, tuple):
        return type(value)([cleaned(each, home) for each in value])
    if isinstance(value, dict):
        return {key: cleaned(each, home) for key, each in value.items()}
    return value
