"""Packages whose objects do not survive a change of their major version."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from importlib import metadata

from ..errors import CannotCapture

# Module -> distribution; the worker says which versions of these it has.
DISTRIBUTIONS = {
    **{name: name for name in ("numpy", "pandas", "polars", "pyarrow", "pydantic", "scipy")},
    **{name: name for name in ("torch", "xarray")},
    "PIL": "pillow",
    "sklearn": "scikit-learn",
}


def check(
    name: str, modules: Iterable[str], there: Mapping[str, str], requested: Collection[str] = ()
) -> None:
    """Refuse a value whose classes the target has in another major version.

    `there` maps distributions to the target's versions; those in `requested` are
    installed by the program itself.

    Raises:
        CannotCapture: names the package, both versions and the remedy.
    """
    for module in sorted(modules):
        package = DISTRIBUTIONS.get(module, "")
        if not there.get(package) or package in requested:
            continue
        here = _version(package)
        if here and _major(here) != _major(there[package]):
            raise CannotCapture(
                f"`{name}` holds objects of {package} {here}; the target has {package} "
                f"{there[package]}, which may read them wrongly. Remedy: make `{name}` in a remote "
                f"cell, send plain data (lists, dictionaries, CSV), or put `%pip install "
                f"{package}=={_major(here)}.*` into a set-up cell",
                name=name,
                path=name,
            )


def requested(requirements: Iterable[str]) -> frozenset[str]:
    """Return the distributions that `%pip install` lines name."""
    found = (re.match(r"[A-Za-z0-9][\w.-]*", each) for each in requirements)
    return frozenset(re.sub(r"[-_.]+", "-", each.group()).lower() for each in found if each)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _major(version: str) -> str:
    return version.split(".", 1)[0]
