"""Whether modules are there and have a name: nothing is imported, nothing is run."""

from __future__ import annotations

import re
from importlib.machinery import ModuleSpec, PathFinder
from typing import Sequence

# What binds names that do not stand in the text.
_UNNAMED = re.compile(
    r"\bimport\s*\*|\b__getattr__\b|\b__dict__\b|\bsys\.modules\b"
    r"|\b(eval|exec|globals|locals|setattr|vars)\s*\("
)
# What lets a package have modules that its folder does not.
_ELSEWHERE = re.compile(r"\b__path__\b|\bmeta_path\b|\bsys\.modules\b")


def is_there(module: str, path: Sequence[str]) -> bool:
    """Tell whether a folder or an archive of a search path has a top-level module."""
    return module.isidentifier() and PathFinder.find_spec(module, path) is not None


def defines(module: str, name: str, path: Sequence[str]) -> bool | None:
    """Return whether the module, as a search path finds it, has a top-level name.

    None where the text does not tell: compiled modules, names that are made as it runs,
    packages of many folders, and what no folder of the path has at all.
    """
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    places: Sequence[str] | None = path
    text, is_sure = "", True
    for count in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:count]), places)
        if spec is None:
            return False if count > 1 and is_sure else None
        found = _source(spec)
        if found is None or (count < len(parts) and spec.submodule_search_locations is None):
            return None
        text, places = found, spec.submodule_search_locations
        is_sure = is_sure and (count == len(parts) or not _ELSEWHERE.search(text))
    if re.search(rf"\b{re.escape(name)}\b", text):
        return True
    return None if _UNNAMED.search(text) else False


def _source(spec: ModuleSpec) -> str | None:
    """The text of a module; None for one that is compiled, or cannot be read."""
    get = getattr(spec.loader, "get_source", None)
    try:
        return get(spec.name) if get is not None else None
    except (ImportError, OSError, SyntaxError, UnicodeDecodeError):
        return None
