"""difference and results_differ: exact equality, and the place of the first difference."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.export.compare import difference, results_differ
from rpnb.session.result import Result

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
CASES = [
    ({"lines": ["a", "b"]}, {"lines": ["a", "c"]}, 'output.lines[1]: "b", then "c"'),
    ({"a": 1}, {}, "output.a: 1, then nothing"),
    ({}, {"my key": 1}, 'output["my key"]: nothing, then 1'),
    ([1, 2], [1], "output: 2 items, then 1"),
    (1, 1.0, "output: 1, then 1.0"),
    (True, 1, "output: true, then 1"),
    (None, {}, "output: null, then {}"),
    ("a" * 99, "b", f'output: "{"a" * 56}…, then "b"'),
]


@pytest.mark.parametrize(("one", "other", "said"), CASES)
def test_difference_names_the_first_place(one, other, said):
    assert difference(one, other) == said


@given(VALUES)
def test_difference_of_a_value_and_its_copy_is_none(value):
    assert difference(value, json.loads(json.dumps(value))) is None


@given(VALUES, VALUES)
def test_difference_agrees_with_the_texts(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    # Two floats may differ in text alone: -0.0 is 0.0.
    assert (difference(one, other) is None) == same or "-0.0" in json.dumps([one, other])


def test_difference_of_nan_and_itself_is_none():
    assert difference(math.nan, math.nan) is None


def raised(message, host):
    error = {
        "error_type": "<class 'KeyError'>",
        "error_message": message,
        "error_traceback": f"Traceback … /run/{host}/app/handler.py",
        "hostname": host,
    }
    return Result("j", "FAILED", json.dumps({"error": json.dumps(error)}))


def test_results_of_one_exception_in_two_workers_are_equal():
    assert results_differ(raised("'a'", "one"), raised("'a'", "two")) is None


def test_results_of_two_exceptions_differ_in_the_message():
    found = results_differ(raised("'a'", "one"), raised("'b'", "one"))
    assert found == "error.error_message: \"'a'\", then \"'b'\""


def test_results_of_a_generator_that_raised_are_compared_without_traceback():
    posts = [json.dumps({"error": f"handler: no \ntraceback: {where}"}) for where in ("a", "b")]
    assert results_differ(*(Result("j", "FAILED", post) for post in posts)) is None


def test_results_with_other_status_differ_there_first():
    done, failed = Result("j", "COMPLETED", "{}"), Result("j", "FAILED", "{}")
    assert results_differ(done, failed) == 'status: "COMPLETED", then "FAILED"'


def test_results_with_other_chunks_differ():
    found = results_differ(
        Result("j", "COMPLETED", '{"output": []}', stream=[1, 2]),
        Result("j", "COMPLETED", '{"output": []}', stream=[1, 3]),
    )
    assert found == "stream[1]: 2, then 3"
