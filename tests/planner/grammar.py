"""Statements at random, from the templates in `statements/`.

A file there is a group: statements that stand at the start of a program with
that group, a line `===`, and templates, all apart by blank lines; `python 3.12`
as its first line says which Pythons know it. In a template `$d` stands for the
name of a container, `$s` a scalar, `$f` a function, `$m` a model, `$k` a class,
`$o` an object, `$i` an iterator, `$r` an array, `$c` a coroutine function, `$n` a
number, `$v` any of them; with a digit (`$d1`) it is the same name each time
within the statement.
"""

from __future__ import annotations

import ast
import random
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "statements"
_NAMES = {
    "d": ["a", "b", "c", "d"],
    "s": ["x", "y"],
    "f": ["f", "g", "h"],
    "m": ["m1", "m2"],
    "k": ["C", "E"],
    "n": ["1", "2", "3"],
    "o": ["o1", "o2"],
    "i": ["i1", "i2"],
    "r": ["r1", "r2"],
    "c": ["ca", "cb"],
}
# What `$v` may be besides, where the group is there.
_OF_GROUP = {"classes": ["o1", "o2"], "iterators": ["i1", "i2"], "arrays": ["r1"]}
_ANY = [*_NAMES["d"], *_NAMES["s"], *_NAMES["m"], *_NAMES["f"], *_NAMES["k"]]
# Now and then a name of another sort stands where it hardly fits.
_CONFUSION = 0.04


@dataclass(frozen=True)
class Group:
    """The statements that a program with this group starts with, and its templates."""

    name: str
    prelude: tuple[str, ...]
    templates: tuple[str, ...]


@cache
def group(name: str) -> Group:
    """Return a group; one that this Python does not know is empty, as are its unknown templates."""
    text = (_FOLDER / f"{name}.txt").read_text()
    if text.startswith("python "):
        first, _, text = text.partition("\n")
        if sys.version_info < tuple(map(int, first.split()[1].split("."))):
            return Group(name, (), ())
    before, _, after = text.partition("===")
    prelude, templates = _blocks(before), _blocks(after)
    return Group(name, tuple(prelude), tuple(t for t in templates if _is_known(t)))


def groups() -> list[str]:
    """Return the names of all groups."""
    return sorted(path.stem for path in _FOLDER.glob("*.txt"))


def sections(name: str) -> dict[str, list[str]]:
    """Return the statements of a file in which they stand under headings, `=== heading`."""
    parts = re.split(r"^=== (.+)$", (_FOLDER / name).read_text(), flags=re.MULTILINE)
    return {parts[i]: _blocks(parts[i + 1]) for i in range(1, len(parts), 2)}


def _blocks(text: str) -> list[str]:
    return [block.strip("\n") for block in text.split("\n\n") if block.strip("\n")]


def _is_known(template: str) -> bool:
    """Tell whether this Python parses it; what none parses is meant so."""
    try:
        ast.parse(filled(template, random.Random(0), _NAMES["d"]))
    except SyntaxError:
        return template.endswith("(")
    return True


def filled(template: str, rng: random.Random, anything: list[str]) -> str:
    """Return the template with names in it."""
    chosen: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        sort, again = found.groups()
        names = anything if sort == "v" else _NAMES[sort]
        if sort not in "nv" and rng.random() < _CONFUSION:
            names = anything
        picked = rng.choice(names)
        return chosen.setdefault(found.group(), picked) if again else picked

    return re.sub(r"\$([dsfmknoirvc])(\d?)", name, template)


class Grammar:
    """The statements that programs of some groups are made of."""

    def __init__(self, names: list[str]) -> None:
        self.groups = [group(name) for name in names]
        self.prelude = [step for each in self.groups for step in each.prelude]
        self._anything = _ANY + [v for each in self.groups for v in _OF_GROUP.get(each.name, ())]

    def statement(self, rng: random.Random) -> str:
        """Return a random statement; each group has the same share."""
        found = rng.choice([each for each in self.groups if each.templates])
        return filled(rng.choice(found.templates), rng, self._anything)
