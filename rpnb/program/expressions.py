"""Objects written as expressions: literals, importable things, names that hold them."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field
from typing import Any

from .constructors import constructor, enum_member
from .literals import literal
from .names import Names

_CHANGED = (list, dict, set)


@dataclass(frozen=True)
class Expression:
    """Text whose value is the object; `now` are names it reads, `imports` lines it needs."""

    text: str
    now: frozenset[str] = field(default_factory=frozenset)
    imports: frozenset[str] = field(default_factory=frozenset)


def expression(value: Any, names: Names) -> Expression | None:
    """Return an expression for `value`, None where there is none.

    What could be changed goes by its name, if it has one: it is the same object then.
    """
    text = literal(value)
    own = names.name_of(value) if text is None or isinstance(value, _CHANGED) else None
    if own is not None:
        return Expression(own, frozenset({own}))
    if text is not None:
        return Expression(text)
    return importable(value) or made(value, names)


def made(value: Any, names: Names) -> Expression | None:
    """Return the call that makes a value of a well-known type, or an enum's member."""
    member = enum_member(value)
    if member is not None:
        kind, name = member
        own = names.name_of(kind)
        found = Expression(own, frozenset({own})) if own is not None else importable(kind)
        return found and Expression(f"{found.text}.{name}", found.now, found.imports)
    call = constructor(value)
    if call is None:
        return None
    text, module = call
    return Expression(text, imports=frozenset({f"import {module}"} if module else ()))


def importable(value: Any) -> Expression | None:
    """Return an expression for a function, class or module that a module has by its name."""
    if isinstance(value, types.ModuleType):
        return _module(value.__name__)
    if not isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return None
    module, path = value.__module__, value.__qualname__
    if not isinstance(module, str) or not isinstance(path, str) or module == "__main__":
        return None
    if _named(value) is not value and not is_reloaded(value):
        return None
    if module == "builtins":
        return Expression(path)
    root = _module(module)
    return Expression(f"{root.text}.{path}", imports=root.imports)


def is_reloaded(value: Any) -> bool:
    """Tell whether `%autoreload` made an old function the same as its module's new one.

    It gives it the new one's very dictionary; a function that is decorated once more,
    `retry(9)(fetch)`, has the same name and code, and is another one.
    """
    if not isinstance(value, types.FunctionType):
        return False
    found = _named(value)
    if not isinstance(found, types.FunctionType) or found is value:
        return False
    return found.__dict__ is value.__dict__


def _named(value: Any) -> Any:
    """What the module of a function or class has under its name."""
    found: Any = sys.modules.get(value.__module__)
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found


def _module(name: str) -> Expression:
    return Expression(name, imports=frozenset({f"import {name}"}))
