"""The names of the person's own notebook, as far as remote cells may use them."""

from __future__ import annotations

import re
import sys
import types
from collections import ChainMap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from .provenance import Definition, Provenance
from .skew import There

# IPython's own: history, output cache, and what it puts beside a person's names.
_IPYTHON = re.compile(r"_+|_(i+|oh|dh|ih|exit_code|\d+|i\d+)|__\w+__|In|Out|get_ipython|exit|quit")


class Names:
    """A namespace here, with what is known about how its values came to be.

    `folder` is the notebook's, `path` the places where local modules may lie;
    `hidden` maps names to values that are IPython's as long as they hold them.
    `there` is what is known of the target; `send` are names whose values may be large.
    """

    def __init__(
        self,
        namespace: Mapping[str, Any] | None = None,
        provenance: Provenance | None = None,
        folder: Path | None = None,
        path: Sequence[str] | None = None,
        *,
        hidden: Mapping[str, Any] | None = None,
        there: There | None = None,
        send: Collection[str] = (),
    ) -> None:
        self.namespace = {} if namespace is None else namespace
        self.provenance = provenance or Provenance()
        self.folder = folder
        self.path = tuple(sys.path if path is None else path)
        self.there = there or There()
        self.send = frozenset(send)
        # Functions (by id) whose closures are being written: one may hold itself.
        self.rebuilding: set[int] = set()
        self._hidden = hidden or {}

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or name not in self.namespace:
            return False
        if self.definition(name) is not None:
            return True
        if _IPYTHON.fullmatch(name):
            return False
        # By identity: `exit = 3` makes the person's own name of IPython's.
        missing = object()
        return self._hidden.get(name, missing) is not self.namespace[name]

    def __getitem__(self, name: str) -> Any:
        return self.namespace[name]

    def definition(self, name: str) -> Definition | None:
        """Return the statement that made the very object that `name` holds now."""
        return self.provenance.source_of(name, self.namespace[name])

    def holds_globals_of(self, function: types.FunctionType) -> bool:
        """Whether what the function looks up as global is what the names here hold.

        Those of a script that `%run` ran have globals of their own, with copies here.
        """
        if any(function.__globals__ is own for own in spaces(self.namespace)):
            return True
        known, missing = function.__globals__, object()
        used = [name for name in _globals_in(function.__code__) if name in known]
        return all(self.namespace.get(name, missing) is known[name] for name in used)

    def name_of(self, value: Any) -> str | None:
        """Return a name here that holds this very object, its own name first."""
        if isinstance(value, (type, types.FunctionType)):
            own = value.__name__
            if own in self and self.namespace[own] is value:
                return own
        found = (name for name, each in self.namespace.items() if each is value)
        return min((name for name in found if name in self), default=None)


def spaces(namespace: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the dictionaries that a namespace is made of."""
    return list(namespace.maps) if isinstance(namespace, ChainMap) else [namespace]


def _globals_in(code: types.CodeType) -> set[str]:
    inner = (each for each in code.co_consts if isinstance(each, types.CodeType))
    return {*code.co_names, *(name for each in inner for name in _globals_in(each))}
