"""The path to what JSON cannot carry is found exactly where json.dumps gives up."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rpnb.agent.runner_lost import first_not_finite, first_unsendable

_KEYS = st.one_of(st.text(max_size=3), st.integers(), st.none(), st.tuples(st.integers()))
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=2),
    st.sampled_from(["\ud800", {1}, 1j, ...]),
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(_KEYS, inner, max_size=3),
    ),
    max_leaves=12,
)


@given(_VALUES)
def test_place_is_found_exactly_where_sending_fails(value: Any) -> None:
    result = {"output": value}
    try:
        json.dumps(result, ensure_ascii=False).encode()
        is_sent = True
    except (TypeError, ValueError):
        is_sent = False

    assert (first_unsendable(result) is None) == is_sent


@given(_VALUES)
def test_nan_is_found_exactly_where_json_would_not_be_json(value: Any) -> None:
    result = {"output": value}
    try:
        json.dumps(result, ensure_ascii=False, allow_nan=False).encode()
        is_finite = True
    except TypeError:
        return
    except ValueError as error:
        is_finite = isinstance(error, UnicodeEncodeError)

    assert (first_not_finite(result) is None) == is_finite


def test_shared_parts_are_no_circle() -> None:
    shared = [1]

    assert first_unsendable({"output": [shared, shared]}) is None


def test_path_is_what_a_person_would_type() -> None:
    found = first_unsendable({"output": {"a": [0, {3: (math.pi, {1})}]}})

    assert found is not None
    assert found.path == 'output["a"][1][3][1]'
