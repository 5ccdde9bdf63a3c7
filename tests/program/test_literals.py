import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.program.literals import LIMIT, literal

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.just(...)
)
HASHABLE = st.integers() | st.text(max_size=5) | st.booleans()
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
        | st.frozensets(HASHABLE, max_size=4)
    ),
    max_leaves=12,
)


def same(first, second):
    """Equal, of the same types, with the same order and the same signs of zero."""
    if type(first) is not type(second):
        return False
    if type(first) in (list, tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if type(first) is dict:
        return same(list(first.items()), list(second.items()))
    if type(first) is float:
        return first == second and math.copysign(1, first) == math.copysign(1, second)
    if type(first) is complex:
        return same(first.real, second.real) and same(first.imag, second.imag)
    return first == second


@given(VALUES)
def test_literal_evaluates_to_the_very_value(value):
    text = literal(value)
    assert text is None or same(eval(text), value)


@given(VALUES)
def test_small_plain_values_have_a_literal(value):
    assert literal(value) is not None or len(repr(value)) > LIMIT // 2


@given(st.sets(HASHABLE))
def test_literal_of_a_set_does_not_depend_on_its_order(value):
    other: set = set()
    for each in sorted(value, key=repr, reverse=True):
        other.add(each)
    assert literal(value) == literal(other)


class _Int(int):
    pass


_SHARED = [1]
_CYCLE: list = []
_CYCLE.append(_CYCLE)
_NESTED: list = []
for _ in range(200):
    _NESTED = [_NESTED]


@pytest.mark.parametrize(
    "value",
    [float("nan"), [float("nan")], _Int(3), {"a": _Int(3)}, [_SHARED, _SHARED], _CYCLE, _NESTED,
     object(), "x" * 5000, list(range(5000)), 10**9999, complex("inf"), bytearray(b"x"), range(3)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_has_no_exact_text_has_no_literal(value):
    assert literal(value) is None


def test_infinity_has_a_literal():
    assert eval(literal([float("-inf")])) == [float("-inf")]


def test_limit_counts_characters():
    assert (literal("x" * (LIMIT - 2)) is None, literal("x" * (LIMIT - 1)) is None) == (False, True)
