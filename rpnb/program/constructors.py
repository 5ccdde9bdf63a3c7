"""Well-known small values as the call that makes them: `re.compile("a+")`, `Color.RED`.

They have no literal form, and a data file for a logger would be a poor export.
"""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import logging
import os
import pathlib
import re
import uuid
from collections.abc import Callable
from typing import Any

from .literals import literal


def constructor(value: Any) -> tuple[str, str] | None:
    """Return (expression, module to import) for a value of a well-known type, or None."""
    kind = type(value)
    if value is os.environ:
        return "os.environ", "os"
    text = _TABLE[kind](value) if kind in _TABLE else _torch(value, kind)
    if text is None:
        return None
    module = text.partition("(")[0].rpartition(".")[0]
    return text, module


def enum_member(value: Any) -> tuple[type, str] | None:
    """Return (class, name) of an enum's member; None for what is none, or has no single name."""
    name = value.name if isinstance(value, enum.Enum) else None
    return (type(value), name) if name and getattr(type(value), name, None) is value else None


def _call(function: str) -> Callable[[Any], str | None]:
    def write(value: Any) -> str | None:
        return f"{function}({str(value)!r})"

    return write


def _pattern(value: re.Pattern[Any]) -> str | None:
    flags = value.flags & ~re.UNICODE if isinstance(value.pattern, str) else value.flags
    return f"re.compile({value.pattern!r}{f', {flags}' if flags else ''})"


def _of_literal(function: str, inside: type) -> Callable[[Any], str | None]:
    def write(value: Any) -> str | None:
        text = literal(inside(value))
        return None if text is None else f"{function}({text})"

    return write


def _defaultdict(value: Any) -> str | None:
    made = value.default_factory
    text = literal(dict(value))
    plain = made is None or made in (list, dict, set, int, float, str, bool, tuple)
    if text is None or not plain:
        return None
    return f"collections.defaultdict({made.__name__ if made else None}, {text})"


def _deque(value: Any) -> str | None:
    text = literal(list(value))
    limit = "" if value.maxlen is None else f", maxlen={value.maxlen}"
    return None if text is None else f"collections.deque({text}{limit})"


def _logger(value: logging.Logger) -> str | None:
    return f"logging.getLogger({value.name!r})"


def _moment(value: Any) -> str | None:
    zone = getattr(value, "tzinfo", None)
    return repr(value) if zone is None or zone is dt.timezone.utc else None


def _torch(value: Any, kind: type) -> str | None:
    if kind.__module__ == "torch" and kind.__name__ == "device":
        return f"torch.device({str(value)!r})"
    if kind.__module__ == "torch" and kind.__name__ == "dtype":
        return str(value)
    return None


_TABLE: dict[type, Callable[[Any], str | None]] = {
    re.Pattern: _pattern,
    logging.Logger: _logger,
    pathlib.PosixPath: _call("pathlib.Path"),
    pathlib.PurePosixPath: _call("pathlib.PurePosixPath"),
    decimal.Decimal: _call("decimal.Decimal"),
    fractions.Fraction: _call("fractions.Fraction"),
    uuid.UUID: _call("uuid.UUID"),
    dt.datetime: _moment,
    dt.date: _moment,
    dt.timedelta: repr,
    object: lambda _: "object()",
    range: repr,
    slice: lambda value: (
        f"slice({value.start!r}, {value.stop!r}, {value.step!r})"
        if literal((value.start, value.stop, value.step)) is not None
        else None
    ),
    bytearray: _of_literal("bytearray", bytes),
    collections.OrderedDict: _of_literal("collections.OrderedDict", dict),
    collections.Counter: _of_literal("collections.Counter", dict),
    collections.defaultdict: _defaultdict,
    collections.deque: _deque,
}
