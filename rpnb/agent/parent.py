"""What the person's own Python has: the environment that the overlay must not disturb."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CannotPrepare
from .directory import write_file

# Reads the names of the metadata folders only: 10 ms where importlib.metadata
# would open 300 files. Nothing of the environment is imported.
_QUESTION = r"""
import importlib.util, json, os, sys
found = {}
sites = [p for p in sys.path if p and os.path.isdir(p)]
for site in reversed(sites):
    for entry in os.listdir(site):
        stem, dot, end = entry.rpartition(".")
        if end in ("dist-info", "egg-info") and "-" in stem:
            name, version = stem.split("-")[:2]
            found[name] = version
spec = importlib.util.find_spec("ensurepip")
bundled = os.path.join(os.path.dirname(spec.origin), "_bundled") if spec else ""
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "executable": sys.executable,
    "sites": sites,
    "distributions": found,
    "has_pip": importlib.util.find_spec("pip") is not None,
    "bundled": bundled,
}))
"""


@dataclass(frozen=True)
class Parent:
    """A Python and its distributions (normalised name to version)."""

    executable: str
    version: tuple[int, int, int]
    distributions: dict[str, str]
    has_pip: bool
    # The folder of the pip wheel that ensurepip carries; "" without ensurepip.
    bundled: str

    def version_of(self, name: str) -> str | None:
        """The version of a distribution, None where it is missing."""
        return self.distributions.get(normalised(name))


def normalised(name: str) -> str:
    """Return a distribution's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(python: str, cache: Path) -> Parent:
    """Return what `python` has; asks it only where its site directories changed.

    `cache` is a file of this Python's own, in a directory that exists.

    Raises:
        CannotPrepare: it does not run.
    """
    answer = _cached(cache, python)
    if answer is None:
        answer = _ask(python)
        stamped = {"python": python, "stamps": _stamps(answer), "answer": answer}
        write_file(cache, json.dumps(stamped).encode())
    found = {normalised(name): version for name, version in answer["distributions"].items()}
    return Parent(
        executable=answer["executable"],
        version=tuple(answer["version"]),
        distributions=found,
        has_pip=answer["has_pip"],
        bundled=answer["bundled"],
    )


def _cached(cache: Path, python: str) -> dict[str, Any] | None:
    try:
        kept = json.loads(cache.read_text())
        answer: dict[str, Any] = kept["answer"]
        is_same = kept["python"] == python and kept["stamps"] == _stamps(answer)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return answer if is_same else None


def _stamps(answer: dict[str, Any]) -> dict[str, int]:
    """When each place was last written: installing or removing anything changes one."""
    places = [answer["executable"], *answer["sites"]]
    return {place: Path(place).stat().st_mtime_ns for place in places}


def _ask(python: str) -> dict[str, Any]:
    command = [python, "-c", _QUESTION]
    try:
        # Outside the current directory, which -c puts first on the path.
        run = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60)
        answer: dict[str, Any] = json.loads(run.stdout)
        return answer
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotPrepare(
            f"{python} does not run: {error}. Name another with --python."
        ) from error
    except ValueError as error:
        said = run.stderr.strip().splitlines()[-1:] or ["no answer"]
        raise CannotPrepare(
            f"{python} does not run: {said[0]}. Name another with --python."
        ) from error
