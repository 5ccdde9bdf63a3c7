"""Warm against fresh: one series of edits, and what of it shows a difference."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.planner import programs
from tests.planner.stage import Outcome, Stage
from tests.planner.version import Version


@dataclass
class Tally:
    """What was tried and what it cost, warm against fresh."""

    edits: int = 0
    raising: int = 0
    with_jobs: int = 0
    with_files: int = 0
    stale: int = 0
    steps: int = 0
    steps_fresh: int = 0
    loads: int = 0
    loads_fresh: int = 0
    restarts: int = 0
    seeds: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        """The figures, for people."""
        return (
            f"{self.edits} edits ({self.with_jobs} with jobs, {self.with_files} with files, "
            f"{self.raising} raising), {self.stale} stale; steps re-run "
            f"{self.steps / max(1, self.steps_fresh):.1%}, loads "
            f"{self.loads / max(1, self.loads_fresh):.1%}, restarts "
            f"{self.restarts / max(1, self.edits):.1%}"
            + (f"; stale seeds {self.seeds}" if self.seeds else "")
        )

    def add(self, version: Version, fresh: Outcome, warm: Outcome) -> None:
        """Count one edit."""
        self.edits += 1
        self.with_jobs += bool(version.jobs)
        self.with_files += bool(version.files)
        self.restarts += warm.restarts
        if fresh.error:
            # How much a fresh run would have run is not known.
            self.raising += 1
            return
        self.steps += len(warm.ran)
        self.steps_fresh += len(fresh.ran)
        self.loads += len(warm.loads)
        self.loads_fresh += len(fresh.loads)


def difference(stage: Stage, versions: Iterable[Version], tally: Tally | None = None) -> str:
    """Return how a worker that saw all versions in turn differs from fresh runs, if at all."""
    return _difference(stage, ((v, stage.fresh(v)) for v in versions), tally or Tally())


def there_and_back(stage: Stage, *versions: Version) -> str:
    """Return the difference that these versions, and the first one once more, show."""
    return difference(stage, [*versions, versions[0]])


def _difference(stage: Stage, versions: Iterable[tuple[Version, Outcome]], tally: Tally) -> str:
    moved = frozenset[str]()
    with stage.warm() as warm:
        for number, (version, expected) in enumerate(versions):
            seen = warm.sync(version)
            if number:
                tally.add(version, expected, seen)
            found = differing(expected, seen, moved)
            # What jobs moved stays so until something asks for it.
            moved |= expected.moved | seen.moved
            if found and not differing(expected, stage.fresh(version), moved):
                return f"edit {number}: {found}"
    return ""


def differing(fresh: Outcome, warm: Outcome, moved: Collection[str] = ()) -> str:
    """Return what of two outcomes differs, in a line; what jobs `moved` may."""
    if fresh.error != warm.error:
        return f"raised {warm.error or 'nothing'}, fresh {fresh.error or 'nothing'}"
    if fresh.answers != warm.answers:
        return f"answered {warm.answers}, fresh {fresh.answers}"
    if not fresh.state or not warm.state:
        # Too deep to be described.
        return ""
    # A library that nothing imports any more stays loaded, which nothing sees.
    ignored = {name for name in warm.state if name.startswith("$")} - set(fresh.state)
    ignored |= set(moved)
    names = [
        name
        for name in {**fresh.state, **warm.state}
        if fresh.state.get(name) != warm.state.get(name) and name not in ignored
    ]
    return "; ".join(
        f"{name}: {_parting(warm.state.get(name), fresh.state.get(name))}" for name in names[:3]
    )


def _parting(warm: Any, fresh: Any) -> str:
    """The innermost parts in which two descriptions differ."""
    if isinstance(warm, (list, tuple)) and type(warm) is type(fresh) and len(warm) == len(fresh):
        for one, other in zip(warm, fresh, strict=True):
            if one != other:
                return _parting(one, other)
    return f"warm {str(warm)[:300]}, fresh {str(fresh)[:300]}"


def try_seed(stage: Stage, seed: int, tally: Tally) -> str:
    """Try one series; return what differs, if anything."""
    judge = lambda version, skip: stage.fresh(version, skip=skip)  # noqa: E731
    found = _difference(stage, programs.series(seed, judge), tally)
    if found:
        tally.stale += 1
        tally.seeds.append(seed)
    return found


def versions(stage: Stage, seed: int) -> list[Version]:
    """Return a seed's versions up to the one that is stale."""
    found: list[Version] = []

    def noted() -> Iterable[tuple[Version, Outcome]]:
        for version, outcome in programs.series(seed, lambda v, skip: stage.fresh(v, skip=skip)):
            found.append(version)
            yield version, outcome

    _difference(stage, noted(), Tally())
    return found
