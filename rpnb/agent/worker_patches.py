"""Imports that replace functions or classes of modules which are loaded already."""

from __future__ import annotations

import sys
import types
from typing import Any, Iterable

_CODE = (types.FunctionType, types.BuiltinFunctionType, type)


class Loaded:
    """The modules loaded before a step ran: some ten milliseconds with torch among them."""

    def __init__(self) -> None:
        self._before = {
            name: dict(vars(module))
            for name, module in list(sys.modules.items())
            if type(module) is types.ModuleType and name != "__main__"
        }

    def is_patched(self, loads: Iterable[str]) -> bool:
        """Tell whether loading these packages changed others, loaded before or by them."""
        named, known = set(map(_top, loads)), {_top(name) for name in self._before}
        if named <= known:
            return False
        for name, module in list(sys.modules.items()):
            if not isinstance(module, types.ModuleType) or _top(name) in named:
                continue
            before = self._before.get(name)
            if before is None:
                # What a package imports holds nothing that the package itself defines;
                # but for its own parts beside it (`_pytest`, `pydantic_core`).
                if not _is_companion(name, named) and _holds(module, named):
                    return True
            elif _top(name) in known and _is_changed(before, vars(module)):
                return True
        return False


def is_to_watch(loads: Iterable[str]) -> bool:
    """Tell whether an import statement loads a package that is not loaded yet."""
    return any(_top(name) not in sys.modules for name in loads)


def _is_changed(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return any(
        # `typing_extensions` replaces private helpers of typing: nobody calls these by name.
        isinstance(value, _CODE) and name[:1] != "_" and after.get(name, value) is not value
        for name, value in before.items()
    )


def _is_companion(name: str, packages: set[str]) -> bool:
    top = _top(name).strip("_")
    return any(top.startswith(each.strip("_")) for each in packages) or name == "__main__"


def _holds(module: types.ModuleType, packages: set[str]) -> bool:
    return any(_is_of(value, packages) for value in list(vars(module).values()))


def _is_of(value: Any, packages: set[str]) -> bool:
    made_in = value.__module__ if isinstance(value, _CODE) else None
    return isinstance(made_in, str) and _top(made_in) in packages


def _top(name: str) -> str:
    return name.partition(".")[0]
