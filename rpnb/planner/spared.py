"""Readers of settings that an edit of other fields spares.

`model = load(CONFIG["model"])` need not run again because `CONFIG["top_k"]` is another.
Only what was seen to read named fields with unchanging values is spared, and only where
one statement makes the settings, before and now, and nothing changes them: then the
field's text decides its value, with what the making statement reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Collection, Mapping, Sequence

from .fields import Fields, fields
from .footprints import Footprint
from .masks import bit, mask, names_in
from .parts import beginning
from .steps import Step


@dataclass(frozen=True)
class _Maker:
    """The one statement that makes a name: its place in the old and in the new program."""

    name: str
    old: int
    new: int
    before: Fields
    now: Fields


class Spared:
    """Two programs, as readers of settings see them."""

    def __init__(
        self,
        steps: tuple[Sequence[Step], Sequence[Step]],
        prints: tuple[Sequence[Footprint], Sequence[Footprint]],
        match: Mapping[int, int],
        imports: Mapping[str, str],
    ) -> None:
        """`steps` and `prints` are of the old and the new program; more prints are of jobs."""
        self._steps, self._prints = steps, prints
        self._match, self._imports = match, imports
        self._chains = dict[str, list[_Maker]]()

    def without(
        self, name: str, j: int, taken: Collection[str]
    ) -> tuple[Footprint, Footprint] | None:
        """Return what a kept step does, before and now, if the fields of `name` are the same.

        These are the ones that it takes, itself or in functions that it calls.
        None where they may be others, or where nothing that makes them was edited.
        """
        if name not in self._chains:
            self._chains[name] = self._chain(name)
        chain, i = self._chains[name], self._match[j]
        is_below, classes = all(maker.new < j for maker in chain), self._classes_read(chain, taken)
        if not is_below or not any(self._is_anew(maker, i) for maker in (*chain, *classes)):
            return None
        if not all(_is_same(part, chain) for part in taken):
            return None
        gone = mask(maker.name for maker in (*chain, *classes))
        if not all(self._is_made_alike(maker, gone) for maker in chain):
            return None
        before, now = self._prints
        return (
            _reading(before[i], [before[maker.old] for maker in chain], gone),
            _reading(now[j], [now[maker.new] for maker in chain], gone),
        )

    def _classes_read(self, chain: Sequence[_Maker], taken: Collection[str]) -> list[_Maker]:
        """Return the classes of settings that a chain's makers read, but for these parts."""
        before, now = self._prints
        reads = 0
        for maker in chain:
            reads |= before[maker.old].reads & now[maker.new].reads
        sides = [m.before for m in chain], [m.now for m in chain]
        texts = "\n".join(text for side in sides for p in taken for text in _deciding(p, side))
        named = set(re.findall(r"\w+", texts))
        every = (self._maker(n) for n in names_in(reads) if n[:1] != "$" and n not in named)
        return [each for each in every if each is not None and _is_class(each)]

    def _is_made_alike(self, maker: _Maker, gone: int) -> bool:
        """Tell whether the same kept steps above a maker make what it reads, but for its class."""
        before, now = self._prints
        reads = (before[maker.old].reads | now[maker.new].reads) & ~gone
        then = {k for k in range(maker.old) if (before[k].binds | before[k].changes) & reads}
        above = (k for k in range(maker.new) if (now[k].binds | now[k].changes) & reads)
        return then == {self._match.get(k) for k in above}

    def _is_anew(self, maker: _Maker, reader: int) -> bool:
        """Tell whether a maker was edited, or has run since the reader did."""
        return self._match.get(maker.new) != maker.old or maker.old > reader

    def _chain(self, name: str) -> list[_Maker]:
        """Return what makes `name`, and the class that it is made of, if any.

        Nothing where another statement makes or changes one of them, too.
        """
        found = list[_Maker]()
        while name and len(found) < 2:
            maker = self._maker(name)
            if maker is None or maker.before.of != maker.now.of:
                return []
            if found and (maker.old > found[0].old or maker.new > found[0].new):
                return []
            found.append(maker)
            name = maker.now.of
        return [] if self._is_changed(found) else found

    def _maker(self, name: str) -> _Maker | None:
        places = list[int]()
        for prints, steps in zip(self._prints, self._steps):
            makers = [k for k, each in enumerate(prints) if each.binds & bit(name)]
            if len(makers) != 1 or makers[0] >= len(steps):
                return None
            places += makers
        old, new = places
        before, now = self._steps[0][old].statement.text, self._steps[1][new].statement.text
        return _Maker(name, old, new, fields(before, self._imports), fields(now, self._imports))

    def _is_changed(self, chain: Sequence[_Maker]) -> bool:
        every = mask(maker.name for maker in chain)
        apart = {maker.old for maker in chain}, {maker.new for maker in chain}
        return any(
            each.changes & every and k not in own
            for prints, own in zip(self._prints, apart)
            for k, each in enumerate(prints)
        )


def _is_class(maker: _Maker) -> bool:
    """Tell whether both are classes that give fields, and run no code of the program's for it."""
    return all(each.given and not each.of and each.is_class for each in (maker.before, maker.now))


def _is_same(part: str, chain: Sequence[_Maker]) -> bool:
    before = _deciding(part, [maker.before for maker in chain])
    return bool(before) and before == _deciding(part, [maker.now for maker in chain])


def _deciding(part: str, chain: Sequence[Fields]) -> tuple[str, ...]:
    """Return the texts that decide a part of what is made, and of what its class gives."""
    texts = [each.given.get(beginning(part, each.given)) for each in chain]
    has_own = [text for text in texts if text is not None]
    if not all(has_own) or not texts or texts[-1] is None:
        return ()
    return (*has_own, *(each.rest for each in chain))


def _reading(one: Footprint, makers: Sequence[Footprint], gone: int) -> Footprint:
    """Return a footprint that reads what the makers read instead of what they made."""
    reads, data = one.reads, one.data
    for maker in makers:
        reads, data = reads | maker.reads, data | maker.data
    return one._replace(reads=reads & ~gone, data=data & ~gone)


def kind_kept(name: str, steps: Sequence[Step], imports: Mapping[str, str]) -> str | None:
    """Return the kind of settings that `name` is, '' for the one that it had, None for neither."""
    made = _fields_of(name, steps, imports)
    if len(made) == 0:
        return None
    of = {each.of for each in made}
    if of == {""}:
        kinds = {each.kind for each in made}
        return kinds.pop() or None if len(kinds) == 1 else None
    classes = _fields_of(of.pop(), steps, imports) if len(of) == 1 else []
    is_same = len({each.rest for each in classes}) == 1 and all(each.kind for each in classes)
    return "" if is_same else None


def _fields_of(name: str, steps: Sequence[Step], imports: Mapping[str, str]) -> list[Fields]:
    return [fields(s.statement.text, imports) for s in steps if name in s.facts.binds]
