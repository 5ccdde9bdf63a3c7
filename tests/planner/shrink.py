"""The smallest series of versions that still shows a difference, as far as leaving out goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from tests.planner.differential import differing
from tests.planner.stage import Outcome, Stage
from tests.planner.version import Version

Series = list[Version]
Reduction = Callable[[Series], Series]


def shrunk(stage: Stage, found: Series) -> Series:
    """Return fewer and shorter versions whose last one is still stale, in the same way."""
    trial = _Trial(stage)
    sort = trial.sort(found)
    size = -1
    while size != _size(found):
        size = _size(found)
        for reductions in (_fewer_versions, _fewer_steps, _fewer_files, _fewer_lines, _plainer):
            for reduce in list(reductions(found)):
                candidate = reduce(found)
                if candidate and candidate != found and trial.sort(candidate) == sort:
                    found = candidate
    return found


def _size(found: Series) -> int:
    return sum(len(version.shown()) for version in found)


class _Trial:
    """Tries candidates; what a fresh run of a version gives is worked out once."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._fresh: dict[str, Outcome] = {}

    def sort(self, found: Series) -> str:
        """Return in which way the first stale version differs, and how fresh runs ended."""
        moved = frozenset[str]()
        with self._stage.warm() as warm:
            for version in found:
                key = version.shown()
                if key not in self._fresh:
                    self._fresh[key] = self._stage.fresh(version)
                expected = self._fresh[key]
                outcome = warm.sync(version)
                seen = differing(expected, outcome, moved)
                moved |= expected.moved | outcome.moved
                if seen:
                    return f"{seen.split()[0]} {expected.error.split(':')[0]}"
        return ""


def _fewer_versions(found: Series) -> Iterator[Reduction]:
    for gone in found[:-1]:
        yield lambda series, gone=gone: [v for v in series if v is not gone]


def _fewer_steps(found: Series) -> Iterator[Reduction]:
    """Leave statements out of every version, in halves first; then one out of one version."""
    every = list(dict.fromkeys(step for version in found for step in version.steps))
    size = max(1, len(every) // 2)
    while size:
        for start in range(0, len(every), size):
            yield partial(_without, gone=set(every[start : start + size]), only=None)
        size //= 2
    for number, version in enumerate(found):
        for step in version.steps:
            yield partial(_without, gone={step}, only=number)


def _without(series: Series, gone: set[str], only: int | None) -> Series:
    return [
        version
        if only is not None and number != only
        else replace(version, steps=tuple(s for s in version.steps if s not in gone))
        for number, version in enumerate(series)
    ]


def _fewer_files(found: Series) -> Iterator[Reduction]:
    paths = list(dict.fromkeys(path for version in found for path in version.files))
    for path in paths:
        yield partial(_without_file, path=path)
    for path in paths:
        contents = (version.files.get(path, b"") for version in found)
        for line in dict.fromkeys(line for content in contents for line in content.split(b"\n")):
            yield partial(_without_file_line, path=path, gone=line)


def _without_file(series: Series, path: str) -> Series:
    return [replace(v, files={p: c for p, c in v.files.items() if p != path}) for v in series]


def _without_file_line(series: Series, path: str, gone: bytes) -> Series:
    def shorter(files: dict[str, bytes]) -> dict[str, bytes]:
        lines = files[path].split(b"\n") if path in files else []
        return {**files, path: b"\n".join(ln for ln in lines if ln != gone)} if lines else files

    return [replace(v, files=shorter(dict(v.files))) for v in series]


def _fewer_lines(found: Series) -> Iterator[Reduction]:
    """Leave a line out of a statement of several, wherever it stands."""
    for step in dict.fromkeys(step for version in found for step in version.steps):
        lines = step.split("\n")
        for index in range(len(lines) if len(lines) > 1 else 0):
            shorter = "\n".join(lines[:index] + lines[index + 1 :])
            yield partial(_rewritten, old=step, new=shorter)


def _rewritten(series: Series, old: str, new: str) -> Series:
    return [
        replace(v, steps=tuple(new if step == old else step for step in v.steps)) for v in series
    ]


def _plainer(found: Series) -> Iterator[Reduction]:
    yield lambda series: [replace(version, jobs=()) for version in series]
    yield lambda series: [replace(version, jobs=version.jobs[:1]) for version in series]
    yield lambda series: [replace(version, again=None) for version in series]
