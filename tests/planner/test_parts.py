"""Which named parts a statement reads, and which parts nothing can change."""

from __future__ import annotations

import ast

import pytest

from rpnb.planner.parts import fixed, parts, unchanging

PARTS = {
    "m = load(cfg.path, cfg.dtype)": {"cfg": {".path", ".dtype"}},
    "m = load(CONFIG['model'])": {"CONFIG": {"['model']"}},
    "print(len(rows), cfg.name)": {"rows": {"len()"}, "cfg": {".name"}},
    "m = load(cfg.path, cfg)": {},
    "cfg.path = 'x'": {},
    "CONFIG['model'] += 'x'": {},
    "m = load(CONFIG[key])": {},
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), PARTS.items())
def test_parts_are_those_of_names_of_which_nothing_else_is_read(
    text: str, expected: dict[str, set[str]]
) -> None:
    assert parts(ast.parse(text).body[0]) == expected


class Settings:
    """As the program's own: with data, and with code."""

    def __init__(self) -> None:
        self.path, self.words = "a", ["b"]

    @property
    def size(self) -> int:
        return 1


class Hidden(Settings):
    def __getattribute__(self, name: str) -> object:
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("value", "part", "is_fixed"),
    [
        (Settings(), ".path", True),
        (Settings(), ".words", False),
        (Settings(), ".size", False),
        (Settings(), ".nothing", False),
        (Hidden(), ".path", False),
        ({"a": 1}, "['a']", True),
        ({"a": []}, "['a']", False),
        ({}, "['a']", False),
        ([1], "len()", True),
        (Settings(), "len()", False),
    ],
)
def test_part_is_fixed_where_it_is_held_as_it_is_and_nothing_changes_it(
    value: object, part: str, is_fixed: bool
) -> None:
    wanted = {"x": frozenset({part})}
    assert fixed(wanted, unchanging({"x": value}, wanted)) == ({"x"} if is_fixed else set())
