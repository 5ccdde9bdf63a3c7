"""What values answer without changing: as their looks say now, as runs before have shown."""

from __future__ import annotations

import operator
from typing import Callable, Collection, Mapping, Sequence, TypeVar

from .known import PART
from .names import Names
from .parts import fixed
from .steps import Executed, is_known

_T = TypeVar("_T", bool, "frozenset[str]")


class Answers:
    """What the statements of some programs only ask; statements go by their numbers.

    `models` is `known.models(namespace)`. A name in `unknown` gets a new value: what it
    would answer, only a statement that has run with it tells.
    """

    def __init__(
        self,
        names: Names,
        executed: Sequence[Executed],
        models: Mapping[str, Collection[str]],
    ) -> None:
        self._names, self._models = names, models
        self._looking = [(n, f.whole.looks) for n, f in enumerate(names.every) if f.whole.looks]
        self._taking = [(n, f.whole.parts) for n, f in enumerate(names.every) if f.whole.parts]
        numbered = [(names.number(e.step.facts), e) for e in executed]
        self._pure = _in_each_run(numbered, lambda e: e.pure)
        self._fixed = _in_each_run(numbered, lambda e: e.fixed)
        # What calls of statements that have run were given and left as it was.
        self.unchanged = _in_each_run(
            [(n, e) for n, e in numbered if e.step.facts.calls], lambda e: e.unchanged
        )

    def known(self, unknown: Collection[str]) -> set[int]:
        """Return the statements that do nothing but ask what is answered without a change."""
        now = self._now(unknown)
        return {
            number
            for number, looks in self._looking
            if (self._pure[number] if number in self._pure else is_known(looks, now))
        }

    def fixed(self, unknown: Collection[str]) -> dict[int, frozenset[str]]:
        """Return of which names statements read only what nothing can change."""
        now, found = self._now(unknown), dict[int, frozenset[str]]()
        is_len_own = not self._names.is_builtin("len")
        for number, parts in self._taking:
            ran = self._fixed.get(number)
            names = fixed(parts, now) if ran is None else ran
            if is_len_own:
                names = frozenset(n for n in names if not any("len()" in p for p in parts[n]))
            found[number] = names
        return found

    def plain(self, unknown: Collection[str]) -> frozenset[str]:
        """Return the names of libraries' values that hold no code of the program's."""
        return frozenset(name for name, found in self._now(unknown).items() if PART in found)

    def _now(self, unknown: Collection[str]) -> Mapping[str, Collection[str]]:
        return {name: found for name, found in self._models.items() if name not in unknown}


def _in_each_run(
    numbered: Sequence[tuple[int, Executed]], of: Callable[[Executed], _T]
) -> dict[int, _T]:
    """Return of each statement what holds of all its runs."""
    found: dict[int, _T] = {}
    for number, executed in numbered:
        one = of(executed)
        found[number] = operator.and_(found[number], one) if number in found else one
    return found
