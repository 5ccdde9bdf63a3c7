"""Statements: exact text, lines, pragmas; and which edits count."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.planner.facts import identity, split


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x  =  1   # note"),
        ("f(a,\n  b)", "f(a, b)"),
        ("f(\n    # why\n    a,\n\n    b)", "f(a, b)"),
        ("def f():\n    return 1", "def f():\n  # why\n\n  return 1"),
        ("if x:\n\ty = 1", "if x:\n        y = 1"),
        ("x = 1 + \\\n 2", "x = 1 + 2"),
    ],
)
def test_identity_of_comments_and_layout_is_equal(one: str, other: str) -> None:
    assert identity(one) == identity(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1.0"),
        ("x = (1)", "x = (1,)"),
        ("x = 'a'", "x = 'a '"),
        ("x = '# a'", "x = '# b'"),
        ("if x:\n  a\n  b", "if x:\n  a\nb"),
        ("x = f'{a}'", "x = f'{b}'"),
        ("ab = 1", "a = b = 1"),
    ],
)
def test_identity_of_other_tokens_differs(one: str, other: str) -> None:
    assert identity(one) != identity(other)


def test_split_gives_exact_text_and_lines() -> None:
    text = "# top\nx = 1; y = 'é'; z = [\n 1]  # end\n\n@d\n@e\ndef f():\n    # in\n    pass\n"
    found = [(s.text, s.first_line, s.last_line) for s in split(text)]
    assert found == [
        ("x = 1", 2, 2),
        ("y = 'é'", 2, 2),
        ("z = [\n 1]", 2, 3),
        ("@d\n@e\ndef f():\n    # in\n    pass", 5, 9),
    ]


@pytest.mark.parametrize(
    ("text", "pragmas"),
    [
        ("x = f()  # rpnb: pure", {"pure"}),
        ("x = f()  # warm up; # rpnb: keep", {"keep"}),
        ("x = f(\n 1,\n)  #rpnb:keep", {"keep"}),
        ("x = '# rpnb: pure'", set()),
        ("# rpnb: pure\nx = f()", set()),
        ("x = f()  # rpnb: purely", set()),
        ("with a:\n    b()  # rpnb: pure", {"pure"}),
    ],
)
def test_pragma_at_the_end_is_read(text: str, pragmas: set[str]) -> None:
    assert split(text)[-1].pragmas == pragmas


def test_pragma_belongs_to_the_last_statement_of_a_line() -> None:
    assert [s.pragmas for s in split("a = f(); b = g()  # rpnb: keep")] == [set(), {"keep"}]


def test_split_of_what_python_cannot_parse_raises() -> None:
    with pytest.raises(SyntaxError):
        split("x = = 1")


_PIECES = [
    "x = 1",
    "def f():\n    return '''a\n\nb'''",
    "if x:\n    y = 2",
    "@d\nclass C:\n    é = 3",
]


@given(st.lists(st.tuples(st.sampled_from(_PIECES), st.sampled_from(["\n", "\n\n# c\n", "\r\n"]))))
def test_split_text_parses_to_the_same_tree(pieces: list[tuple[str, str]]) -> None:
    text = "".join(piece + end for piece, end in pieces)
    again = [ast.dump(ast.parse(s.text).body[0]) for s in split(text)]
    assert again == [ast.dump(node) for node in ast.parse(text).body]
