"""The known ways to choose what runs again, beside the planner, on the same programs and edits.

`python -m tests.planner.strategies [--seeds N]` prints the table of docs/never-stale.md.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from rpnb.planner.facts import Facts
from rpnb.planner.plan import Step


class Strategy:
    """Tells which steps of a program run again, and keeps their namespace."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        # The steps that stand executed, in the order of the program.
        self.before: list[Step] = []

    def chosen(self, new: Sequence[Step]) -> list[int]:
        """Return the positions that run again."""
        raise NotImplementedError


class FromFirstChange(Strategy):
    """Everything from the first changed statement down."""

    size: ClassVar[int] = 1

    def chosen(self, new: Sequence[Step]) -> list[int]:
        same = 0
        for old, now in zip(self.before, new, strict=False):
            if old.identity != now.identity:
                break
            same += 1
        return list(range(same - same % self.size, len(new)))


class FromFirstChangedCell(FromFirstChange):
    """The same, with cells of four statements."""

    size = 4


class Definitions(Strategy):
    """As marimo: what is new or changed, then whatever reads a name that it binds."""

    def writes(self, found: Facts) -> frozenset[str]:
        return found.binds | found.deferred_binds

    def chosen(self, new: Sequence[Step]) -> list[int]:
        left = Counter(step.identity for step in self.before)
        dirty = set()
        for index, step in enumerate(new):
            if left[step.identity]:
                left[step.identity] -= 1
            else:
                dirty.add(index)
        names = self._undone(left)
        grown = True
        while grown:
            for index in dirty:
                names |= self.writes(new[index].facts)
            more = {i for i, s in enumerate(new) if names & (_reads(s.facts) | s.facts.binds)}
            grown = not more <= dirty
            dirty |= more
        return sorted(dirty)

    def _undone(self, gone: Counter[str]) -> set[str]:
        names: set[str] = set()
        for step in self.before:
            if gone[step.identity]:
                names |= self.writes(step.facts)
                for name in step.facts.binds:
                    self.namespace.pop(name, None)
        return names


class DefinitionsAndChanges(Definitions):
    """The same, a change in place counted as a write of its name."""

    def writes(self, found: Facts) -> frozenset[str]:
        return super().writes(found) | found.changes | found.calls


class Memo(Strategy):
    """What was not run yet with the same text and the same last writers of what it reads."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        super().__init__(namespace)
        self.known: set[str] = set()

    def chosen(self, new: Sequence[Step]) -> list[int]:
        last: dict[str, str] = {}
        keys = []
        for step in new:
            read = sorted((name, last.get(name)) for name in _reads(step.facts))
            key = f"{step.identity} {hash(str(read))}"
            keys.append(key)
            last.update(dict.fromkeys(step.facts.binds | step.facts.changes, key))
        todo = [index for index, key in enumerate(keys) if key not in self.known]
        self.known = set(keys)
        return todo


def _reads(found: Facts) -> frozenset[str]:
    return found.reads | found.deferred_reads


STRATEGIES: dict[str, type[Strategy]] = {
    "everything from the first changed statement down": FromFirstChange,
    "everything from the first changed cell down": FromFirstChangedCell,
    "definitions and uses (marimo-like)": Definitions,
    "the same, mutation counted as a write": DefinitionsAndChanges,
    "memo by content": Memo,
}
PLANNER = "the planner"


def main() -> int:
    """Print a row for each strategy; a series ends at its first stale edit."""
    from tests.planner.differential import Tally, try_seed
    from tests.planner.stage import Stage

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300)
    seeds = range(parser.parse_args().seeds)
    for name in (*STRATEGIES, PLANNER):
        tally = Tally()
        with Stage(strategy=name) as stage:
            for seed in seeds:
                try_seed(stage, seed, tally)
        tally.seeds = []
        sys.stdout.write(f"{name:50} {tally.stale / len(seeds):.0%} of series stale; {tally}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
