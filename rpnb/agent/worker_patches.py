"""Imports that replace functions or classes of modules which are loaded already."""

from __future__ import annotations

import ast
import sys
import types
from pathlib import Path
from typing import Any, Iterable

# What changes nothing for whoever calls it: torch lets `getfile` look into its archives.
_HARMLESS = frozenset({("inspect", "getfile")})


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
        known = {_top(name) for name in self._before}
        # What was loaded before this statement did nothing in it.
        named = set(map(_top, loads)) - known
        if not named:
            return False
        for name, module in list(sys.modules.items()):
            if not isinstance(module, types.ModuleType) or _top(name) in named:
                continue
            before = self._before.get(name)
            if before is None:
                if _is_filled_by(name, module, named):
                    return True
            elif _top(name) in known and _is_changed(name, before, vars(module)):
                return True
        return False


def is_to_watch(loads: Iterable[str]) -> bool:
    """Tell whether an import statement loads a package that is not loaded yet."""
    return any(_top(name) not in sys.modules for name in loads)


def _is_changed(name: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Tell whether another package put code of its own in the place of this module's."""
    if [*map(id, before.values())] == [*map(id, after.values())]:
        return False  # nearly every module, in a tenth of the time
    return any(
        # `typing_extensions` replaces private helpers of typing: nobody calls these by name.
        key[:1] != "_"
        and after.get(key, value) is not value
        and _home(value)
        and _home(after[key]) != _top(name)
        and (name, key) not in _HARMLESS
        for key, value in before.items()
    )


def _is_filled_by(name: str, module: types.ModuleType, packages: set[str]) -> bool:
    """Tell whether a module that came along holds what one of the packages put into it.

    What it imports from them itself does not count (`mpl_toolkits` from matplotlib),
    nor do a package's own parts beside it (`_pytest`, `pydantic_core`).
    """
    held = any(_home(value) in packages for value in list(vars(module).values()))
    return held and not _is_companion(name, packages) and not packages & _imports(module)


def _is_companion(name: str, packages: set[str]) -> bool:
    top = _top(name).strip("_")
    return any(top.startswith(each.strip("_")) for each in packages) or name == "__main__"


def _imports(module: types.ModuleType) -> set[str]:
    """Return the packages that the module's source imports; nothing where it has none."""
    try:
        tree = ast.parse(Path(str(getattr(module, "__file__", None))).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    found = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(_top(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(_top(node.module))
    return found


def _home(value: Any) -> str:
    """Return the package that a function or class was written in, "" for any other value.

    A wrapper bears the module name of what it wraps; its globals are its own.
    """
    if type(value) is types.FunctionType:
        home = value.__globals__.get("__name__")
    # Not isinstance: a lazy object would be made to load what it stands for.
    elif type(value) is types.BuiltinFunctionType or issubclass(type(value), type):
        home = value.__module__
    else:
        return ""
    return _top(home) if isinstance(home, str) else ""


def _top(name: str) -> str:
    return name.partition(".")[0]
