"""The overlay: runpod and cloudpickle beside the person's own packages, never instead.

What the parent Python has is left alone and comes first on the path; the
overlay holds only what is missing, in versions that fit (`pip --constraint`).
One directory serves every worker of that Python until its packages change in
a way that matters to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Iterable, Iterator, Sequence

from ..errors import CannotPrepare
from . import parent as parents
from . import pip
from .caches import OVERLAY_RECORD, touch
from .directory import write_file, writing
from .parent import Parent, normalised

Report = Callable[[str], None]

# The first SDK with the job function that the runner calls (facts/runpod-sdk.md).
OLDEST_SDK = "1.7.2"
_VERSION = re.compile(r"\d[\w.!+]*")
# So begins a constraint among requirements.
_CONSTRAINT = "--constraint="
# A requirements file may have a hundred lines.
_MOST_LISTED = 5


@dataclass(frozen=True)
class Overlay:
    """What a worker adds to its `sys.path`.

    `path` goes at the end. `shadows` goes to the front: only where `--sdk` asks
    for another SDK than the parent's own. `sdk` is the version that will be imported.
    """

    path: list[str] = field(default_factory=list)
    sdk: str | None = None
    shadows: list[str] = field(default_factory=list)


def prepare(
    python: str, root: Path | str, *, sdk: str | None = None, on_progress: Report = lambda _: None
) -> Overlay:
    """Return the overlay for `python`, made under `root` where it is not there yet.

    Safe to call from two processes at once: one makes it, the other waits.

    Raises:
        CannotPrepare: no pip, no package index, or nothing that fits; says which.
        NoSpace: the disk is full or read-only.
    """
    shelf = Path(root) / "overlay"
    with writing(shelf):
        shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
        parent = parents.read(python, shelf / f"{_digest(python)}.json")
    wanted = _wanted(parent, sdk)
    if not wanted:
        return Overlay(sdk=parent.version_of("runpod"))
    stem = _digest(parent.executable, str(parent.version), *wanted)
    site = _find(shelf, stem, parent)
    if site is None:
        with writing(shelf), _only_one(shelf / f"{stem}.lock", on_progress):
            site = _find(shelf, stem, parent) or _make(shelf, stem, parent, wanted, on_progress)
    return _overlay(site, parent)


def extend(
    python: str,
    root: Path | str,
    requirements: Sequence[str],
    *,
    on_progress: Report = lambda _: None,
) -> Overlay:
    """Return what `python` needs beside its own packages to meet a program's requirements.

    Those may begin with pip's options on where packages come from (`--index-url=URL`)
    and with constraints (`--constraint=numpy<2`). Made once for each set; what the parent
    has is kept unless a requirement names it and asks for another version.

    Raises:
        CannotPrepare: no pip, no package index, or nothing that fits; says which.
        NoSpace: the disk is full or read-only.
    """
    shelf = Path(root) / "overlay"
    with writing(shelf):
        shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
        parent = parents.read(python, shelf / f"{_digest(python)}.json")
    stem = _digest(parent.executable, str(parent.version), *requirements)
    site = _find(shelf, stem, parent)
    if site is None:
        with writing(shelf), _only_one(shelf / f"{stem}.lock", on_progress):
            site = _find(shelf, stem, parent) or _make(
                shelf, stem, parent, list(requirements), on_progress
            )
    packages = json.loads((site / OVERLAY_RECORD).read_text())["packages"]
    shadows = any(parent.version_of(name) is not None for name in packages)
    return Overlay([] if shadows else [str(site)], None, [str(site)] if shadows else [])


def _wanted(parent: Parent, sdk: str | None) -> list[str]:
    """The requirements that the parent does not meet."""
    own = parent.version_of("runpod")
    wanted = []
    if sdk is not None and sdk != own:
        wanted.append(f"runpod=={sdk}")
    elif sdk is None and (own is None or _numbers(own) < _numbers(OLDEST_SDK)):
        wanted.append(f"runpod>={OLDEST_SDK}")
    if parent.version_of("cloudpickle") is None:
        wanted.append("cloudpickle")
    return wanted


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _find(shelf: Path, stem: str, parent: Parent) -> Path | None:
    """An overlay made for these wants, whose surroundings in the parent are unchanged."""
    for record in sorted(shelf.glob(f"{stem}-*/{OVERLAY_RECORD}")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            beside = json.loads(record.read_text())["beside"]
            if all(parent.version_of(name) == version for name, version in beside.items()):
                touch(record.parent)
                return record.parent
    return None


@contextlib.contextmanager
def _only_one(path: Path, on_progress: Report) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_progress("waiting for another client that installs the same packages")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            # Some network file systems have no locks. Two clients then do the work
            # twice, and the rename at the end still leaves one whole overlay.
            pass
        yield


def _make(shelf: Path, stem: str, parent: Parent, wanted: list[str], on_progress: Report) -> Path:
    constraint = _constraint(parent, wanted)
    final = shelf / f"{stem}-{_digest(constraint)}"
    aside = Path(tempfile.mkdtemp(prefix=f".{stem}-", dir=shelf))
    try:
        _install(aside, parent, wanted, constraint, on_progress)
        _check_loadable(aside)
        write_file(aside / OVERLAY_RECORD, json.dumps(_record(aside, parent)).encode())
        aside.chmod(0o755)
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return final


def _check_loadable(site: Path) -> None:
    """Find that the system will load the compiled packages of this folder."""
    if os.statvfs(site).f_flag & os.ST_NOEXEC and next(site.rglob("*.so"), None) is not None:
        raise CannotPrepare(
            f"{site.parent} is mounted noexec: compiled packages there cannot be loaded. "
            "Set RPNB_HOME on the target to a folder that allows it."
        )


def _constraint(parent: Parent, wanted: list[str]) -> str:
    """The constraint file: every package keeps the version that the parent has."""
    own = _own_constraints(wanted)
    free = _named([*wanted, *own])
    pins = [
        f"{name}=={version}\n"
        for name, version in sorted(parent.distributions.items())
        # A version that pip cannot read is not worth refusing everything for.
        if name not in free and _VERSION.fullmatch(version)
    ]
    return "".join([*pins, *(f"{each}\n" for each in own)])


def _own_constraints(wanted: Iterable[str]) -> list[str]:
    """The lines of the person's own constraints files: they overrule what the parent has."""
    return [each[len(_CONSTRAINT) :] for each in wanted if each.startswith(_CONSTRAINT)]


def _named(requirements: Iterable[str]) -> set[str]:
    """The distributions that requirements name; an address names none."""
    found = (re.match(r"[A-Za-z0-9][\w.-]*", each) for each in requirements if "://" not in each)
    return {normalised(each.group()) for each in found if each}


def _install(
    site: Path, parent: Parent, wanted: list[str], constraint: str, on_progress: Report
) -> None:
    own = _own_constraints(wanted)
    options = [e for e in wanted if e.startswith("--") and not e.startswith(_CONSTRAINT)]
    wanted = [each for each in wanted if not each.startswith("--")]
    if not wanted:
        return
    on_progress(f"looking for {_listed(wanted)} to fit what {parent.executable} has")
    tool = pip.find(parent, site.parent).with_options(options)
    # /tmp may be tiny: what pip unpacks lies where it is installed.
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=site.parent) as aside:
        tool = replace(tool, env={**tool.env, "TMPDIR": aside})
        _fill(site, tool, parent, wanted, (constraint, own), on_progress)


def _fill(
    site: Path,
    tool: pip.Pip,
    parent: Parent,
    wanted: list[str],
    constraints: tuple[str, list[str]],
    on_progress: Report,
) -> None:
    constraint, own = constraints
    own_file = site / "own.txt"
    own_file.write_text("".join(f"{each}\n" for each in own))
    pins_file = site / "constraint.txt"
    pins_file.write_text(constraint)
    missing = _missing(tool, parent, wanted, [pins_file, own_file], on_progress)
    if missing is None or any("://" in each for each in wanted):
        on_progress(f"installing {_listed(wanted)}: this may take a minute")
        tool.install(wanted, site, ["--constraint", str(pins_file)])
    elif missing:
        told = _Told(missing, on_progress)
        pins = [f"{name}=={version}" for name, version in missing]
        tool.install(pins, site, ["--no-deps"], told.line)
    pins_file.unlink()
    own_file.unlink()


def _listed(wanted: Sequence[str]) -> str:
    more = len(wanted) - _MOST_LISTED
    return " and ".join([*wanted[:_MOST_LISTED], *([f"{more} more"] if more > 0 else [])])


def _missing(
    tool: pip.Pip, parent: Parent, wanted: list[str], files: list[Path], on_progress: Report
) -> list[tuple[str, str]] | None:
    """What to install; where no SDK fits, the newest, behind what the parent has."""
    try:
        return tool.resolve(wanted, files[0])
    except pip.DoesNotFit as problem:
        free = _named([*wanted, *files[1].read_text().splitlines()])
        on_progress(f"{problem}; trying the newest beside it")
        found = tool.resolve(wanted, files[1])
    return found and [
        (name, version)
        for name, version in found
        if normalised(name) in free or parent.version_of(normalised(name)) is None
    ]


class _Told:
    """Turns pip's lines into a few that a person wants."""

    EVERY = 20

    def __init__(self, missing: list[tuple[str, str]], on_progress: Report) -> None:
        self._count, self._total, self._say = 0, len(missing), on_progress
        first = [f"{name} {version}" for name, version in missing if normalised(name) in _OURS]
        first = first or [" ".join(missing[0])]
        rest = self._total - len(first)
        more = f" and {rest} more" if rest else ""
        on_progress(f"installing {' and '.join(first)}{more}")

    def line(self, text: str) -> None:
        if text.startswith("Collecting "):
            self._count += 1
            if self._count % self.EVERY == 0:
                self._say(f"installing: {self._count} of {self._total}")


_OURS = ("runpod", "cloudpickle")


def _record(site: Path, parent: Parent) -> dict[str, object]:
    """What the overlay holds, and the parent's versions of all it holds or asks for."""
    names, packages = set(), {}
    for metadata in sorted(site.glob("*.dist-info/METADATA")):
        name, version = metadata.parent.name[: -len(".dist-info")].split("-")[:2]
        packages[normalised(name)] = version
        text = metadata.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
        names.update(re.findall(r"^Requires-Dist:\s*([\w.-]+)", text, re.MULTILINE))
    beside = {normalised(name) for name in names} | set(packages)
    return {
        "python": parent.executable,
        "packages": packages,
        "beside": {name: parent.version_of(name) for name in sorted(beside)},
    }


def _overlay(site: Path, parent: Parent) -> Overlay:
    packages = json.loads((site / OVERLAY_RECORD).read_text())["packages"]
    own = parent.version_of("runpod")
    shadows = own is not None and "runpod" in packages
    return Overlay(
        path=[] if shadows else [str(site)],
        sdk=packages.get("runpod", own),
        shadows=[str(site)] if shadows else [],
    )
