"""Loggers: what is only told to one depends on nothing that logging is set to, and changes nothing.

What a logger is set to is the resource `logging`, whatever name it goes by.
"""

from __future__ import annotations

import ast
import io
import logging
import sys
from collections import Counter
from typing import Any

EMITTERS = frozenset(
    {
        *("debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log"),
    }
)
_OWN = vars(logging.Logger("")).keys() | {"manager"}
# Handlers that write a line and keep nothing.
_WRITERS = frozenset(
    {
        *("StreamHandler", "FileHandler", "NullHandler", "_StderrHandler"),
        *("RotatingFileHandler", "TimedRotatingFileHandler", "WatchedFileHandler"),
    }
)


def is_plain(logger: logging.Logger) -> bool:
    """Tell whether a logger holds nothing that the program could see changed by a message."""
    if vars(logger).keys() - _OWN or logger.filters:
        return False
    if logging.getLogRecordFactory() is not logging.LogRecord:
        return False
    above: logging.Logger | None = logger
    while above is not None:
        if not all(map(_only_writes, above.handlers)):
            return False
        above = above.parent if above.propagate else None
    return True


def _only_writes(handler: logging.Handler) -> bool:
    cls, stream = type(handler), getattr(handler, "stream", None)
    if cls.__module__ not in ("logging", "logging.handlers") or cls.__name__ not in _WRITERS:
        return False
    if handler.filters or type(handler.formatter) not in (logging.Formatter, type(None)):
        return False
    streams: tuple[Any, ...] = (None, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return isinstance(stream, io.TextIOWrapper) or any(stream is each for each in streams)


def told(node: ast.stmt) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that the statement asks for no setting: if `logging`, if loggers.

    `log = logging.getLogger(x)` and `logging.INFO` ask for none, and `log.info(x)`; but
    `logging.info(x)` sets up a handler where there is none.
    """
    every = Counter(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
    gets, tells = Counter[str](), Counter[str]()
    for part in ast.walk(node):
        gets.update(_gets(part))
        tells.update(_root(part.func, EMITTERS) if isinstance(part, ast.Call) else ())
    found = frozenset(name for name, count in gets.items() if count == every[name])
    both = gets + tells
    return found, frozenset(name for name, count in both.items() if count == every[name])


def _gets(part: ast.AST) -> list[str]:
    if isinstance(part, ast.Attribute) and part.attr.isupper():
        return _root(part, frozenset({part.attr}))
    if isinstance(part, ast.Assign) and all(isinstance(t, ast.Name) for t in part.targets):
        found = part.value.func if isinstance(part.value, ast.Call) else part.value
        return _root(found, frozenset({"getLogger"}))
    return []


def _root(node: ast.AST, attributes: frozenset[str]) -> list[str]:
    is_path = isinstance(node, ast.Attribute) and node.attr in attributes
    value = node.value if is_path else None  # type: ignore[attr-defined] # an Attribute
    return [value.id] if isinstance(value, ast.Name) else []
