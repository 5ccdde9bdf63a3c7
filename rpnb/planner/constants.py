"""Settings of which every use takes a constant, so that nobody holds them.

A function that reads `CONFIG["model"]` when it is called shares nothing with `CONFIG` then,
neither does what it returns.
"""

from __future__ import annotations

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
    once = used & ~whole
    taken: dict[str, set[str]] = {name: set() for name in names_in(once)}
    makers: dict[str, list[Fields]] = {name: [] for name in taken}
    for facts, masks in zip(every, names.masks):
        for name in names_in(once & masks.parts):
            taken[name] |= facts.all_parts[name]
        for name in names_in(once & masks.binds):
            makers[name].append(fields(facts.text, names.stand_for))
    return mask(
        name
        for name, parts in taken.items()
        if makers[name] and all(_gives_constants(m, part) for m in makers[name] for part in parts)
    )


def _gives_constants(maker: Fields, part: str) -> bool:
    """An entry that a dictionary does not have is none, an attribute may be any object's."""
    is_dict = maker.kind == "data" and all(each[0] == "[" for each in maker.given)
    is_missing = is_dict and part[:2] in ("['", '["') and part not in maker.given
    return is_missing or part in maker.constants
