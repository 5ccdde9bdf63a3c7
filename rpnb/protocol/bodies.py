"""What the bodies of events hold, by type: a client takes nothing else from an agent.

Keys that are not named here may be there, and are read by nobody.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable

from ..errors import ProtocolError
from .messages import Event, Message, Need, Welcome

# Sizes, times and numbers of events all stay below; what exceeds it breaks arithmetic.
_MOST = 1 << 63


# A key with a question mark may be absent.
_SHAPES: dict[str, dict[str, str]] = {
    "Gpu": {"name": "str", "used_bytes": "int", "total_bytes": "int"},
    "Info": {
        "python?": "str | None",
        "executable?": "str | None",
        "sdk?": "str | None",
        "hostname?": "str | None",
        "gpus?": "list[Gpu]",
        "pid?": "int",
    },
    "Kept": {
        "name": "str",
        "bytes": "int | None",
        "seconds": "float | None",
        "age": "float | None",
    },
    "Warm": {"kept?": "list[Kept]", "names?": "dict[str, str]", "gpus?": "list[Gpu]"},
    "Program": {
        "text": "str",
        "origins": "list[(int, int, str | None, int)]",
        "cells": "list[RemoteCell]",
        "files": "dict[str, (str, int)]",
        "pieces?": "dict[str, list[(str, int)]]",
        "env": "dict[str, str]",
        "handler?": "str | None",
        "python?": "str | None",
        "requirements?": "list[str]",
        "captures?": "list[Capture]",
        "labels?": "dict[str, str]",
    },
    "RemoteCell": {
        **dict.fromkeys(("id", "kind", "name", "label", "source"), "str"),
        "first_line?": "int",
    },
    "Capture": {
        **dict.fromkeys(("name", "kind", "text"), "str"),
        **dict.fromkeys(("label?", "bytecode?", "use?"), "str"),
        **dict.fromkeys(("now?", "later?", "imports?", "future?", "files?"), "list[str]"),
        "lines?": "list[(int, int)]",
        "asks?": "list[(str, str, str)]",
    },
    "Recent": {"request": "str", "status": "str", "at": "float"},
    "Step": {
        "names": "list[str]",
        "cell": "str | None",
        "line": "int | None",
        "reason?": "str | None",
    },
    "Reload": {
        "names": "list[str]",
        "seconds": "float",
        "reason": "str",
        "line": "int | None",
        "remedies": "bool",
    },
    "Cell": {"state": "str", "seconds?": "float | None", "names?": "list[str]"},
    "Error": {
        "type": "str",
        "message": "str",
        "frames": "list[list[Any]]",
        "traceback": "list[str]",
    },
    "Job": {"id": "str"},
    "Born": {"generation": "int", "info": "Info"},
    "Planned": {
        "run": "list[Step]",
        "keep": "list[Step]",
        "restart": "str | None",
        "reload?": "Reload | None",
    },
    "Shown": {"mimes": "list[str]", "to": "str | None", "encoding": "dict[str, Any] | None"},
    "Synced": {
        "cells": "dict[str, Cell]",
        "kept": "list[Kept]",
        "names": "dict[str, str]",
        "gpus": "list[Gpu]",
        "notes": "list[str]",
    },
    "Started": {"job": "Job"},
    "Piece": {"job": "str"},
    "Finished": {
        "job": "str",
        "status": "str",
        "problem": "str | None",
        "exception": "Error | None",
        "metrics": "dict[str, Any]",
    },
    "Failed": {"phase": "str", "error": "Error", "cell": "str | None"},
    "Exited": {
        "generation": "int",
        "code": "int | None",
        "signal": "int | str | None",
        "reason": "str | None",
    },
}
# The shape of each kind of event that has a body.
_KINDS: dict[str, str] = {
    "born": "Born",
    "planned": "Planned",
    "shown": "Shown",
    "synced": "Synced",
    "job": "Started",
    "progress": "Piece",
    "chunk": "Piece",
    "finished": "Finished",
    "failed": "Failed",
    "exited": "Exited",
}
_Check = Callable[[Any], bool]


def _number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    # Nothing that is not a number is below anything.
    return -_MOST < value < _MOST


_PLAIN: dict[str, _Check] = {
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: _number(value) and isinstance(value, int),
    "float": _number,
    "None": lambda value: value is None,
    "Any": lambda _value: True,
}
_checks: dict[str, _Check] = dict(_PLAIN)


def check(message: Message) -> Message:
    """Return a message from an agent whose every part is of its type.

    Raises:
        ProtocolError: one is not.
    """
    for item in dataclasses.fields(message):
        if item.type in ("int", "float", "float | None"):
            value = getattr(message, item.name)
            if value is not None and not _number(value):
                raise ProtocolError(f"expected a number as {item.name}, got one out of bounds")
    if isinstance(message, Event) and message.kind in _KINDS:
        _require(_KINDS[message.kind], message.body, message.kind)
    elif isinstance(message, Welcome):
        _require("Info", message.info, "info")
        _require("Warm", message.warm, "warm")
        _require("list[Recent]", message.requests, "requests")
        _require("list[str]", message.secrets, "secrets")
        _require("Program | None", message.program, "program")
    elif isinstance(message, Need):
        _require("dict[str, list[int]]", message.missing, "missing")
    return message


def _require(annotation: str, value: Any, name: str) -> None:
    if not _check(annotation)(value):
        raise ProtocolError(f"expected {name} to be what {annotation} says, got another shape")


def _check(annotation: str) -> _Check:
    if annotation not in _checks:
        _checks[annotation] = _made(annotation)
    return _checks[annotation]


def _made(annotation: str) -> _Check:
    if annotation.startswith("("):
        parts = [_check(part) for part in annotation[1:-1].split(", ")]
        return lambda value: (
            isinstance(value, list)
            and len(value) == len(parts)
            and all(one(each) for one, each in zip(parts, value))
        )
    if " | " in annotation and not annotation.endswith("]"):
        either = [_check(part) for part in annotation.split(" | ")]
        return lambda value: any(one(value) for one in either)
    if annotation.startswith("list["):
        item = _check(annotation[5:-1])
        return lambda value: isinstance(value, list) and all(map(item, value))
    if annotation.startswith("dict["):
        item = _check(annotation[10:-1])
        return lambda value: isinstance(value, dict) and all(map(item, value.values()))
    return _object(_SHAPES[annotation])


def _object(shape: dict[str, str]) -> _Check:
    parts = {key.rstrip("?"): _check(kind) for key, kind in shape.items()}
    needed = [key for key in shape if not key.endswith("?")]

    def fits(value: Any) -> bool:
        if not isinstance(value, dict) or not all(key in value for key in needed):
            return False
        return all(one(value[key]) for key, one in parts.items() if key in value)

    return fits
