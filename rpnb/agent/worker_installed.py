"""What this Python has: where its modules are, and versions that values depend on."""

from __future__ import annotations

import contextlib
import sys
from importlib import metadata
from typing import Any

# As in the client's `program/skew.py`.
_WITH_VALUES = (
    *("numpy", "pandas", "pillow", "polars", "pyarrow", "pydantic", "scikit-learn", "scipy"),
    *("torch", "xarray"),
)
# Finders that bring no names of their own: Python's, those of six, of setuptools, of
# virtualenv and uv, and of importlib_metadata.
_FINDERS = frozenset(
    {
        *("BuiltinImporter", "FrozenImporter", "PathFinder"),
        *("_SixMetaPathImporter", "DistutilsMetaFinder", "_Finder", "MetadataPathFinder"),
    }
)


def packages() -> dict[str, str]:
    """Return the versions of packages whose values travel from notebooks; read, not imported."""
    found = {}
    for name in _WITH_VALUES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def search() -> dict[str, Any] | None:
    """Return where modules are found: folders, and names that are in none of them.

    None where an import hook knows more than shows.
    """
    specs = {name: getattr(each, "__spec__", None) for name, each in [*sys.modules.items()]}
    built = [name for name, spec in specs.items() if not getattr(spec, "has_location", False)]
    names = {name.partition(".")[0] for name in (*sys.builtin_module_names, *built)}
    for finder in sys.meta_path:
        kind = finder if isinstance(finder, type) else type(finder)
        # The worker's own hook brings nothing, either.
        is_ours = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
        if is_ours or kind.__name__ in _FINDERS:
            continue
        mapping = getattr(sys.modules.get(kind.__module__), "MAPPING", None)
        if not isinstance(mapping, dict):
            return None
        # What setuptools writes for an editable install.
        names.update(name.partition(".")[0] for name in mapping)
    return {"path": list(sys.path), "names": sorted(names)}
