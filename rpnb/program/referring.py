"""Functions and classes inside a value, by the names under which the program has them.

A pickle that refers to them holds no code of theirs, so any Python can load it,
and what the program defines is the same object in the value.
"""

from __future__ import annotations

import types
from functools import reduce
from typing import Any

from .functions import shared_variables
from .names import Names
from .rebuilt import CaptureValue, closure
from .sources import Captured, is_code, is_plain_display


class Referring:
    """Finds the dotted name of an object inside the value called `name`.

    A function without a name gets one, and its own source, if it `makes` them:
    `before` holds these.
    """

    def __init__(
        self, name: str, names: Names, capture_value: CaptureValue, *, makes: bool = True
    ) -> None:
        self.before: list[Captured] = []
        self._name, self._names, self._capture_value = name, names, capture_value
        # With the object: its id alone could be another's by now.
        self._known: dict[int, tuple[Any, str | None]] = {}
        self._made: dict[str, types.FunctionType] = {}
        self._makes = makes

    @property
    def is_sharing(self) -> bool:
        """Whether functions that got a source each would no longer share a variable."""
        return bool(shared_variables(self._made))

    def __call__(self, obj: Any) -> str | None:
        """Return the name that the program gives a function or class, None if it has none."""
        if id(obj) not in self._known:
            self._known[id(obj)] = (obj, None)
            self._known[id(obj)] = (obj, self._found(obj))
        return self._known[id(obj)][1]

    def _found(self, obj: Any) -> str | None:
        if getattr(obj, "__module__", None) != "__main__":
            return None
        named = self._names.name_of(obj)
        if named is not None and self._has_source(named):
            return named
        root, _, inside = getattr(obj, "__qualname__", "").partition(".")
        if inside and self._has_source(root):
            kind = self._names[root]
            found = reduce(lambda at, part: getattr(at, part, None), inside.split("."), kind)
            if isinstance(kind, type) and found is obj:
                return f"{root}.{inside}"
        if not self._makes or not isinstance(obj, types.FunctionType):
            return None
        return self._function(obj)

    def _has_source(self, name: str) -> bool:
        if name == self._name or name not in self._names:
            return False
        definition = self._names.definition(name)
        if definition is None:
            return False
        # A class that a call made, such as a named tuple's, is its statement.
        made = isinstance(definition.value, type) and is_plain_display(definition, self._names)
        return made or is_code(definition, self._names)

    def _function(self, function: types.FunctionType) -> str | None:
        name = f"_{self._name.strip('_')}_{len(self._made) + 1}"
        if name in self._names or id(function) in self._names.rebuilding:
            return None
        self._names.rebuilding.add(id(function))
        try:
            found = closure(name, function, self._names, self._capture_value)
        finally:
            self._names.rebuilding.discard(id(function))
        if found is None:
            return None
        self._made[name] = function
        self.before.append(found)
        return name
