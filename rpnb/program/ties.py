"""What captures have in common: objects that two values share, registries filled anew.

Each name is captured by itself at first. Where that would make two objects of one,
the names are captured once more, now knowing of each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .fingerprint import attributes
from .names import Names
from .registration import filled
from .sources import Captured

# A library's own objects inside others count only where a name holds them: a data
# type that two arrays have in common is nobody's to change.
_CHANGED = (list, dict, set, bytearray)


@dataclass(frozen=True)
class Ties:
    """`alias`: name -> the name of the very object. `held`: name -> (pickle of several, place).

    `holders` are these pickles with their values; `begun` maps names that begin as
    their statement says to the definitions that fill them again.
    """

    alias: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    holders: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    begun: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def names(self) -> set[str]:
        """Return all names that are captured otherwise than alone."""
        return {*self.alias, *self.held, *self.begun}

    def above(self, name: str) -> set[str]:
        """Return the definitions that fill a registry right before this one does."""
        lists = [made for made in self.begun.values() if name in made[1:]]
        return {made[made.index(name) - 1] for made in lists}

    def with_more(self, more: Ties) -> Ties:
        """Return these and what a further look has shown."""
        return Ties(
            {**self.alias, **more.alias},
            {**self.held, **more.held},
            {**self.holders, **more.holders},
            {**self.begun, **more.begun},
        )


def ties(captures: Sequence[Captured], names: Names, refused: Sequence[str]) -> Ties:
    """Return what the captures have in common; `refused` are names that could not be captured."""
    sound = [each for each in captures if each.capture.name not in refused]
    begun = {**filled(names, refused), **_begun(sound, names)}
    apart = [each for each in captures if each.parts and each.capture.name not in begun]
    first: dict[int, str] = {}
    alias = {}
    for each in apart:
        name = first.setdefault(id(each.value), each.capture.name)
        if name != each.capture.name:
            alias[each.capture.name] = name
    groups = _groups([each for each in apart if each.capture.name not in alias])
    holders: dict[str, tuple[Any, ...]] = {}
    held: dict[str, tuple[str, int]] = {}
    for group in groups:
        holder = "_" + "_".join(each.capture.name.strip("_") for each in group[:2])
        holders[holder] = tuple(each.value for each in group)
        held |= {each.capture.name: (holder, at) for at, each in enumerate(group)}
    return Ties(alias, held, holders, begun)


def _begun(captures: Sequence[Captured], names: Names) -> dict[str, tuple[str, ...]]:
    """The registries among the captures, with the definitions that fill each."""
    wanted = {each.capture.name: each for each in captures if each.capture.name in names}
    states = [name for name, each in wanted.items() if each.parts or _has_state(names[name])]
    found = filled(names, states)
    return {name: made for name, made in found.items() if _is_registry(wanted[name], made)}


def _has_state(value: Any) -> bool:
    """Whether a class of the notebook holds something in a container of its own."""
    if not isinstance(value, type) or value.__module__ != "__main__":
        return False
    return any(isinstance(each, _CHANGED) and each for _, each in attributes(value))


def _is_registry(found: Captured, made: Sequence[str]) -> bool:
    """An object is one only if it holds what its definitions gave it: they may just read it."""
    is_plain = not found.parts or isinstance(found.value, _CHANGED)
    return is_plain or bool(set(made) & set(found.capture.now))


def _groups(captures: Sequence[Captured]) -> list[list[Captured]]:
    """Captures that share something which may change, each with its like."""
    named = {id(each.value) for each in captures}
    groups: list[tuple[set[int], list[Captured]]] = []
    for each in captures:
        own = {key for key, part in each.parts.items() if key in named or _may_change(part)}
        joined = [group for group in groups if group[0] & own]
        groups = [group for group in groups if group not in joined]
        held = [member for _, members in joined for member in members]
        groups.append((own.union(*(keys for keys, _ in joined)), [*held, each]))
    return [members for _, members in groups if len(members) > 1]


def _may_change(part: Any) -> bool:
    return isinstance(part, _CHANGED) or type(part).__module__ == "__main__"
