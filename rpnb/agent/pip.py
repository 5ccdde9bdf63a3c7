"""pip, found wherever the target has one, and its failures in our words."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Iterable, Iterator, Sequence

from ..errors import CannotPrepare, NoSpace, TargetError
from .parent import Parent

Report = Callable[[str], None]

# pip's resolver before 25.1 loses itself in what runpod asks for: on Python 3.9,
# 23.0 had found no answer after 3 minutes, and 26.0 had one after 6 s.
GOOD_SINCE = (25, 1)

# Among packages that fit no SDK the resolver may search for many minutes.
RESOLVE_TIMEOUT = 120.0

_QUIET = ("--disable-pip-version-check", "--no-input", "--no-color")
# A pip.conf of the person's may ask for what an overlay cannot be.
_OVERRULED = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_NO_CACHE_DIR": "off"}
_FULL = ("no space left on device", "disk quota exceeded", "read-only file system")
_UNREACHABLE = (
    "failed to establish a new connection",
    "name resolution",
    "network is unreachable",
    "connection refused",
    "no route to host",
    "connecttimeouterror",
    "readtimeouterror",
    "proxyerror",
    "(from versions: none)",
)


class DoesNotFit(CannotPrepare):
    """No version of what is wanted fits beside the parent's packages."""


@dataclass(frozen=True)
class Pip:
    """A command that installs for a parent Python, and the environment it needs."""

    command: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)

    def with_options(self, options: Sequence[str]) -> Pip:
        """Return the same pip, told where packages come from (`--index-url=URL`, `--pre`)."""
        told = {}
        for option in options:
            name, _, value = option[2:].partition("=")
            told[f"PIP_{name.upper().replace('-', '_')}"] = value or "1"
        return replace(self, env={**self.env, **told})

    def resolve(
        self, requirements: Sequence[str], constraint: Path | None
    ) -> list[tuple[str, str]] | None:
        """Return (name, version) of all that is missing for `requirements`.

        What the parent has counts as installed; under `constraint` it is never
        replaced. None where this pip is older than 22.2, which cannot tell.

        Raises:
            DoesNotFit: nothing fits, or pip still searches after RESOLVE_TIMEOUT.
            CannotPrepare: no package index answers.
        """
        with tempfile.NamedTemporaryFile(suffix=".json") as report:
            told = ["--dry-run", "--report", report.name, "--prefer-binary"]
            told += ["--constraint", str(constraint)] if constraint is not None else []
            code, text = self._run([*told, *requirements], limit=RESOLVE_TIMEOUT)
            if "no such option" in text:
                return None
            if code < 0:
                raise DoesNotFit(
                    f"pip found no {' and '.join(requirements)} that fits beside what this "
                    f"Python has within {RESOLVE_TIMEOUT:.0f} s"
                )
            if code != 0:
                raise _failure(text, requirements)
            planned = json.loads(Path(report.name).read_text(encoding="utf-8"))["install"]
        return [(item["metadata"]["name"], item["metadata"]["version"]) for item in planned]

    def install(
        self,
        requirements: Sequence[str],
        site: Path,
        options: Sequence[str],
        on_line: Report | None = None,
    ) -> None:
        """Install into the directory `site`, which belongs to no Python.

        Raises:
            NoSpace: the disk is full or read-only.
            CannotPrepare: pip says no.
        """
        told = ["--target", str(site), "--prefer-binary", *options]
        code, text = self._run([*told, *requirements], on_line)
        if code != 0:
            raise _failure(text, requirements)

    def _run(
        self,
        arguments: Sequence[str],
        on_line: Report | None = None,
        *,
        limit: float | None = None,
    ) -> tuple[int, str]:
        # Few retries: a target without an index should say so within seconds.
        patience = [] if "PIP_RETRIES" in os.environ else ["--retries", "1"]
        patience += [] if "PIP_DEFAULT_TIMEOUT" in os.environ else ["--timeout", "15"]
        process = subprocess.Popen(
            [*self.command, "install", *_QUIET, *patience, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_OVERRULED, **self.env},
            text=True,
            errors="replace",
            cwd="/",
        )
        lines = []
        clock = threading.Timer(limit or 0, process.kill)
        if limit is not None:
            clock.start()
        with process:
            for line in process.stdout or ():
                lines.append(line)
                if on_line is not None:
                    on_line(line)
        clock.cancel()
        return process.returncode, "".join(lines)


def find(parent: Parent, shelf: Path) -> Pip:
    """Return a pip that can install for `parent`, renewed under `shelf` where it is old.

    Raises:
        CannotPrepare: there is none on this machine.
    """
    own = re.findall(r"\d+", parent.version_of("pip") or "0")
    if tuple(map(int, own[:2])) >= GOOD_SINCE:
        return _here(parent)
    folder = shelf / "pip-{}.{}".format(*parent.version)
    if not folder.exists() and not _renew(_here(parent), folder):
        return _here(parent)
    return Pip((parent.executable, "-m", "pip"), {"PYTHONPATH": str(folder)})


def _renew(old: Pip, folder: Path) -> bool:
    """Let a pip fetch its newest self; False where no index has one."""
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=folder.parent) as aside:
        try:
            old.install(["pip"], Path(aside) / "site", ["--no-deps"])
        except TargetError:
            return False
        # Another client may have been quicker; its pip is as good.
        with contextlib.suppress(OSError):
            (Path(aside) / "site").rename(folder)
    return True


def _here(parent: Parent) -> Pip:
    """The parent's own pip, one bundled with a Python, or another Python's."""
    if parent.has_pip:
        return Pip((parent.executable, "-m", "pip"))
    for wheel in _wheels(parent):
        # A wheel is a zip, and pip runs from one: nothing needs to be installed.
        return Pip((parent.executable, "-m", "pip"), {"PYTHONPATH": str(wheel)})
    for other in _others(parent):
        command = (other, "-m", "pip", "--python", parent.executable)
        if _works(command):
            return Pip(command)
    raise CannotPrepare(
        f"{parent.executable} has no pip, and no other Python here has one (22.3 or newer). "
        "Install it there (`apt-get install python3-pip`), or name another Python with --python."
    )


def _wheels(parent: Parent) -> Iterator[Path]:
    folders = [parent.bundled, "/usr/share/python-wheels"]
    for folder in filter(None, folders):
        yield from sorted(Path(folder).glob("pip-*.whl"))


def _others(parent: Parent) -> Iterable[str]:
    names = ("python3", "python", "/usr/bin/python3", "/opt/conda/bin/python")
    paths = [sys.executable, *filter(None, map(shutil.which, names))]
    return [path for path in dict.fromkeys(paths) if path != parent.executable]


def _works(command: Sequence[str]) -> bool:
    try:
        run = subprocess.run([*command, "--version"], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0


def _failure(text: str, requirements: Sequence[str]) -> TargetError:
    said = text.lower()
    what = " and ".join(requirements[:3])
    lines = [line.strip() for line in text.splitlines() if line.startswith("ERROR:")]
    last = (lines or text.strip().splitlines() or ["it said nothing"])[-1]
    if any(sign in said for sign in _FULL):
        return NoSpace(f"no room on the target for {what}: {last}")
    if "resolutionimpossible" in said or "conflicting dependencies" in said:
        return DoesNotFit(
            f"{what} does not fit beside what this Python has: {_conflict(text) or last}. "
            "Choose another SDK with --sdk, or another Python with --python."
        )
    if any(sign in said for sign in _UNREACHABLE):
        return CannotPrepare(
            f"no package index on the target has {what}: {last} "
            "Set PIP_INDEX_URL (or PIP_FIND_LINKS) there, or `pip install runpod cloudpickle` once."
        )
    return CannotPrepare(f"pip did not install {what}: {last}")


def _conflict(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if " depends on " in line]
    return " · ".join(lines[:3])
