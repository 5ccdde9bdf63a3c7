"""The state of logging: levels, and what hangs on the program's own loggers.

A library's logger is set up once, by the library, in whatever step first uses it: of
those only levels are read and put back. The program's loggers may get their handlers
anew with each step that runs again, and would print each line twice.
"""

from __future__ import annotations

import logging
import os
import sys
import sysconfig
from typing import Any, Iterator

_STANDARD = sysconfig.get_paths()["stdlib"]
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
# Level, propagate, disabled, handlers, filters.
_NEW: tuple[Any, ...] = (logging.NOTSET, True, False, [], [])


def read() -> dict[str, Any]:
    """Return what differs from a new process's logging."""
    loggers = dict(_loggers())
    handlers = {handler for state in loggers.values() for handler in state[3]}
    return {
        "disable": logging.root.manager.disable,
        "loggers": loggers,
        "handlers": {each: (each.level, each.formatter, list(each.filters)) for each in handlers},
    }


def restore(state: dict[str, Any]) -> None:
    """Put logging back to what `read` returned."""
    logging.disable(state["disable"])
    for name in {**dict(_loggers()), **state["loggers"]}:
        logger = logging.getLogger(name)
        level, propagate, disabled, handlers, filters = state["loggers"].get(name, _NEW)
        if logger.level != level:
            logger.setLevel(level)
        if not _is_library(name):
            logger.propagate, logger.disabled = propagate, disabled
            logger.handlers[:], logger.filters[:] = handlers, filters
    for handler, (level, formatter, filters) in state["handlers"].items():
        handler.level, handler.formatter, handler.filters[:] = level, formatter, filters


def _loggers() -> Iterator[tuple[str, tuple[Any, ...]]]:
    root = logging.getLogger()
    yield "", _state(root)
    for name, each in list(root.manager.loggerDict.items()):
        if not isinstance(each, logging.Logger):
            continue
        if each.level or each.handlers or each.filters or each.disabled or not each.propagate:
            state = _state(each)
            yield name, (each.level, *_NEW[1:]) if _is_library(name) else state


def _state(logger: logging.Logger) -> tuple[Any, ...]:
    handlers, filters = list(logger.handlers), list(logger.filters)
    return (logger.level, logger.propagate, logger.disabled, handlers, filters)


def _is_library(name: str) -> bool:
    module = sys.modules.get(name.partition(".")[0])
    if module is None or module.__name__ == "__main__":
        return False
    file = getattr(module, "__file__", None) or _STANDARD
    return file.startswith(_STANDARD) or any(part in file for part in _PACKAGES)
