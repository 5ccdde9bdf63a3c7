"""`@rpnb.setup` and `@rpnb.handler`: what a script says of its own functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
_MARK = "__rpnb__"


def setup(function: Function) -> Function:
    """Mark a function without parameters as set-up: it runs on the target, once."""
    return _marked(function, "setup")


def handler(function: Function) -> Function:
    """Mark a function as the handler that `Session.run` calls where none is named."""
    return _marked(function, "handler")


def marked(namespace: Mapping[str, Any], mark: str) -> list[Callable[..., Any]]:
    """Return the functions of a module that carry `mark`, in the order of their lines."""
    found = {
        id(value): value for value in namespace.values() if getattr(value, _MARK, None) == mark
    }
    return sorted(found.values(), key=_line)


def _marked(function: Function, mark: str) -> Function:
    setattr(function, _MARK, mark)
    return function


def _line(function: Any) -> int:
    code = getattr(function, "__code__", None)
    return code.co_firstlineno if code is not None else 0
