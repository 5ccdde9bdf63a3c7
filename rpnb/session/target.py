"""Which target is meant where none is named."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import BadTarget

_FORMS = (
    "local · HOST (an alias from ~/.ssh/config) · [user@]host[:port] · ssh://… · "
    "a pasted `ssh …` command · runpod:POD"
)


def default_target(folder: str | Path = ".") -> str:
    """Return RPNB_TARGET, else `[tool.rpnb] target` of the nearest pyproject.toml.

    Raises:
        BadTarget: neither is there; the message lists the forms of a target.
    """
    named = os.environ.get("RPNB_TARGET") or configured_target(folder)
    if named:
        return named
    raise BadTarget(
        f"no target is named. Name one: {_FORMS}. "
        'Or set RPNB_TARGET, or target = "…" under [tool.rpnb] in pyproject.toml.'
    )


def configured_target(folder: str | Path = ".") -> str | None:
    """Return `[tool.rpnb] target` of the nearest pyproject.toml at or above `folder`."""
    place = Path(folder).resolve()
    for parent in (place, *place.parents):
        file = parent / "pyproject.toml"
        if file.is_file():
            return _read(file)
    return None


def _read(file: Path) -> str | None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadTarget(f"{file} cannot be read: {error}. Name the target instead.") from error
    target = tables.get("tool", {}).get("rpnb", {}).get("target")
    return target if isinstance(target, str) else None
