"""Settings of which every use takes a part, so that nobody holds them.

A function that reads `CONFIG["model"]` when it is called shares nothing with `CONFIG` then, if
that part is a constant; neither does what it returns.
"""

from __future__ import annotations

from typing import Collection

from .fields import Fields, fields
from .masks import mask, names_in
from .names import Names
from .parts import beginning


class Constants:
    """The settings among the names of some programs, and which parts of them are constants."""

    def __init__(self, names: Names) -> None:
        every = names.every
        # Settings, as a mask, that functions take parts of, and nobody takes more than that.
        self.unheld = 0
        self._makers: dict[str, list[Fields]] = {}
        self._classes: dict[str, list[Fields]] = {}
        if any(facts.names_any for facts in every):
            return
        used = whole = 0
        for masks in names.masks:
            used |= masks.deferred_reads & masks.parts
            whole |= (masks.reads | masks.deferred_reads) & ~masks.parts | masks.deferred_binds
        taken: dict[str, set[str]] = {name: set() for name in names_in(used & ~whole)}
        self._makers = {name: [] for name in taken}
        for facts, masks in zip(every, names.masks):
            for name in names_in(used & ~whole & masks.parts):
                taken[name] |= facts.all_parts[name]
            for name in names_in(used & ~whole & masks.binds):
                self._makers[name].append(fields(facts.text, names.stand_for))
        of = {maker.of for makers in self._makers.values() for maker in makers} - {""}
        self._classes = _classes(names, of)
        self.unheld = mask(name for name, parts in taken.items() if self._has(name, parts))

    def are(self, name: str, parts: Collection[str]) -> bool:
        """Tell whether these parts of a setting are constants, or not there."""
        makers = self._makers[name]
        return all(self._is(maker, part) for maker in makers for part in parts)

    def _has(self, name: str, parts: Collection[str]) -> bool:
        """Tell whether what makes a setting decides these parts."""
        makers = self._makers[name]
        return bool(makers) and all(
            beginning(part, maker.given)
            or _is_missing(maker, part)
            or any(beginning(part, each.given) for each in self._classes.get(maker.of, ()))
            for maker in makers
            for part in parts
        )

    def _is(self, maker: Fields, part: str) -> bool:
        if not maker.of:
            return bool(beginning(part, maker.constants)) or _is_missing(maker, part)
        classes = self._classes.get(maker.of, [])
        if not beginning(part, maker.given):
            return bool(classes) and all(beginning(part, each.constants) for each in classes)
        is_typed = all(beginning(part, each.typed) for each in classes)
        return bool(beginning(part, maker.constants)) and is_typed


def _is_missing(maker: Fields, part: str) -> bool:
    """An entry that a dictionary does not have is none; an attribute may be any object's."""
    is_dict = maker.kind == "data" and all(each[0] == "[" for each in maker.given)
    return is_dict and part[:2] in ("['", '["') and not beginning(part, maker.given)


def _classes(names: Names, of: Collection[str]) -> dict[str, list[Fields]]:
    """Return what these classes' statements give, where they only make objects."""
    found: dict[str, list[Fields]] = {}
    for name in of:
        every = [facts for facts in names.every if name in facts.binds]
        users = (f for f in names.every if name in f.reads | f.deferred_reads | f.deferred_binds)
        if all(fields(facts.text, names.stand_for).of == name for facts in users):
            found[name] = [fields(facts.text, names.stand_for) for facts in every]
    return found
