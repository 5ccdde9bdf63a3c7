"""Settings of which every use takes a constant, so that nobody holds them.

A function that reads `CONFIG["model"]` when it is called shares nothing with `CONFIG` then,
neither does what it returns.
"""

from __future__ import annotations

from typing import Mapping, Sequence

from .facts import Facts
from .fields import Fields, fields
from .names import Names, mask, names_in


def constants(names: Names) -> int:
    """Return the settings, as a mask, of which functions take constants and nobody takes more."""
    every = names.every
    if any(facts.is_opaque or facts.is_opaque_later or facts.has_star for facts in every):
        return 0
    used = whole = 0
    for masks in names.masks:
        used |= masks.deferred_reads & masks.parts
        whole |= (masks.reads | masks.deferred_reads) & ~masks.parts | masks.deferred_binds
    once = names_in(used & ~whole)
    return mask(name for name in once if _is_held_by_none(name, every, names.imports))


def _is_held_by_none(name: str, every: Sequence[Facts], imports: Mapping[str, str]) -> bool:
    makers = [fields(facts.text, imports) for facts in every if name in facts.binds]
    taken = frozenset[str]().union(*(facts.all_parts.get(name, ()) for facts in every))
    return bool(makers) and all(_gives_constants(maker, part) for maker in makers for part in taken)


def _gives_constants(maker: Fields, part: str) -> bool:
    """An entry that a dictionary does not have is none, an attribute may be any object's."""
    is_dict = maker.kind == "data" and all(each[0] == "[" for each in maker.given)
    is_missing = is_dict and part[:2] in ("['", '["') and part not in maker.given
    return is_missing or part in maker.constants
