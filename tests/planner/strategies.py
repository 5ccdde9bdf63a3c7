"""The known ways to choose what runs again, beside the planner, on the same programs and edits.

`python -m tests.planner.strategies [--seeds N]` prints the table of docs/never-stale.md.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import Callable, ClassVar, Sequence

from rpnb.planner.facts import Facts
from rpnb.planner.plan import Step, steps
from tests.planner import differential, library
from tests.planner.warm import Probes, Warm, execute, new_module


class Strategy:
    """Keeps a namespace and runs the steps that `chosen` names."""

    restarts = 0

    def __init__(self, probes: Probes) -> None:
        probes.reset()
        probes.purge(None)
        self.module = new_module()
        self.namespace = vars(self.module)
        # The texts that stand executed, in the order of the program.
        self.before: list[Step] = []
        self.ran: list[str] = []

    def chosen(self, new: Sequence[Step]) -> list[int]:
        """Return the positions that run again."""
        raise NotImplementedError

    def sync(self, text: str) -> str | None:
        """Bring the namespace up to `text` as far as this strategy goes."""
        sys.modules[self.module.__name__] = self.module
        new = steps(text)
        todo = self.chosen(new)
        self.ran = []
        for place, index in enumerate(todo):
            self.ran.append(new[index].statement.text)
            try:
                execute(new[index], self.namespace)
            except Exception as error:  # noqa: BLE001 (what a program raises is what is compared)
                left = set(todo[place:])
                self.before = [step for i, step in enumerate(new) if i not in left]
                return repr(error)
        self.before = list(new)
        return None


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

    def __init__(self, probes: Probes) -> None:
        super().__init__(probes)
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


STRATEGIES: dict[str, Callable[[Probes], Strategy | Warm]] = {
    "everything from the first changed statement down": FromFirstChange,
    "everything from the first changed cell down": FromFirstChangedCell,
    "definitions and uses (marimo-like)": Definitions,
    "the same, mutation counted as a write": DefinitionsAndChanges,
    "memo by content": Memo,
    "the planner": Warm,
}


def measured(name: str, seeds: Sequence[int]) -> differential.Tally:
    """Return the figures of one strategy; a series ends at its first stale edit."""
    tally, state = differential.Tally(), library.save()
    for seed in seeds:
        found = differential.difference(differential.series(seed), tally, STRATEGIES[name])
        if found:
            tally.stale += 1
    library.load(state)
    return tally


def main() -> int:
    """Print a row for each strategy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300)
    seeds = range(parser.parse_args().seeds)
    for name in STRATEGIES:
        tally = measured(name, seeds)
        share = tally.stale / max(1, tally.edits)
        sys.stdout.write(
            f"{name:50} {share:6.1%} of {tally.edits} edits stale, "
            f"{tally.stale / len(seeds):.0%} of series; "
            f"steps re-run {tally.steps / max(1, tally.steps_fresh):.0%}, "
            f"loads {tally.loads / max(1, tally.loads_fresh):.0%}\n"
        )
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
