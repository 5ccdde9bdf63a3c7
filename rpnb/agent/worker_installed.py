"""What this Python has: the modules that can be imported, and versions that values depend on."""

from __future__ import annotations

import contextlib
import os
import sys
import zipimport
from importlib import metadata
from typing import Any, Iterator

# As in the client's `program/skew.py`.
_WITH_VALUES = (
    *("numpy", "pandas", "pillow", "polars", "pyarrow", "pydantic", "scikit-learn", "scipy"),
    *("torch", "xarray"),
)
# Finders that bring no names of their own: Python's, those of six, and of setuptools.
_FINDERS = frozenset(
    {
        *("BuiltinImporter", "FrozenImporter", "PathFinder"),
        *("_SixMetaPathImporter", "DistutilsMetaFinder"),
    }
)


def packages() -> dict[str, str]:
    """Return the versions of packages whose values travel from notebooks; read, not imported."""
    found = {}
    for name in _WITH_VALUES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def modules() -> list[str] | None:
    """Return the top-level modules there are, None where an import hook knows more than shows."""
    found = set(sys.builtin_module_names) | {name.partition(".")[0] for name in sys.modules}
    for finder in sys.meta_path:
        kind = finder if isinstance(finder, type) else type(finder)
        is_ours = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
        if not is_ours and kind.__name__ not in _FINDERS:
            mapping = getattr(sys.modules.get(kind.__module__), "MAPPING", None)
            if not isinstance(mapping, dict):
                return None
            # What setuptools writes for an editable install.
            found.update(name.partition(".")[0] for name in mapping)
    for place in sys.path:
        found.update(_in(place))
    return sorted(name for name in found if name.isidentifier() and not name.startswith("_rpnb"))


def _in(place: str) -> Iterator[str]:
    """The names in a folder or an archive of the search path; a bare folder may be a package."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(place or "."):
            name, _, suffix = entry.name.partition(".")
            if not suffix or suffix.endswith(("py", "pyc", "so", "pyd")):
                yield name
    with contextlib.suppress(zipimport.ZipImportError, OSError):
        archive: Any = zipimport.zipimporter(place)
        yield from (name.split("/")[0].partition(".")[0] for name in archive._files)
