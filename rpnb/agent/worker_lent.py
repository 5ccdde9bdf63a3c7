"""Containers of libraries that a program names: `lib.CONF`, `rc = lib.CONF`.

A change of one is a change of the library, whatever way it took: through another name, a
list that holds it, what a function returned.
"""

from __future__ import annotations

import sys
import types
from typing import Any, Callable, Iterable, Sequence

from ..planner.effects import WORLD, resources
from ..planner.facts import Facts, imported
from ..planner.holdings import CONTAINERS, contents

# A namespace at a module's top is a module in all but its type: its settings may be probed.
_CONTAINERS = CONTAINERS - {types.SimpleNamespace}


class Lent:
    """The containers at the top of libraries' modules that some statements name."""

    def __init__(self, every: Sequence[Facts], is_local: Callable[[str], bool]) -> None:
        """Modules that are local belong to the program: their state is followed by its text."""
        imports = imported(every)
        touched = (t for facts in every for t in facts.touches if t.root in imports)
        paths = {*imports.values(), *(f"{imports[t.root]}.{t.path}" for t in touched)}
        self._paths = {
            (".".join(parts[:end]), parts[end])
            for parts in (path.split(".") for path in paths)
            if not is_local(parts[0])
            for end in range(1, len(parts))
            if WORLD in resources(".".join(parts[: end + 1]), "store")
        }
        self._known, self._containers = 0, list[Any]()

    def contents(self, *, anew: bool = True) -> list[Any]:
        """Return all that they hold, and what the containers in them hold, in order.

        Of modules that were loaded since the last time only if it is to look `anew`.
        """
        if anew and len(sys.modules) != self._known:
            self._known, self._containers = len(sys.modules), list(self._found())
        return [part for each in self._containers for part in contents(each)]

    def _found(self) -> Iterable[Any]:
        for module, name in self._paths:
            # Not getattr: a lazy module would load what it is asked for.
            value = getattr(sys.modules.get(module), "__dict__", {}).get(name)
            if type(value) in _CONTAINERS and value is not sys.modules:
                yield value
