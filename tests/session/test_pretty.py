import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.session.pretty import shown, size

short_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(), inner, max_size=9),
    max_leaves=30,
)


@given(short_values)
def test_shown_value_that_is_not_cut_means_the_same(value):
    assert json.loads(shown(value)) == value


def test_shown_long_string_cut_to_head_with_size():
    assert shown({"a": "x" * 1000}) == '{"a": "' + "x" * 60 + '… (1 kB)"}'


def test_shown_short_value_is_one_line_of_json():
    assert shown({"lines": ["CAFE NORD", "5.80"]}) == '{"lines": ["CAFE NORD", "5.80"]}'


def test_shown_nested_value_breaks_only_where_it_must():
    value = {"lines": [{"text": "x" * 30, "box": [[1, 2], [3, 4]]}] * 2}
    inner = '    {"text": "' + "x" * 30 + '", "box": [[1, 2], [3, 4]]}'
    assert shown(value) == '{\n  "lines": [\n' + inner + ",\n" + inner + "\n  ]\n}"


def test_shown_many_items_are_counted():
    assert "… 100 more" in shown(list(range(300)))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (512, "512 B"), (38_000, "38 kB"), (6.9e9, "6.9 GB"), (163.4e9, "163 GB")],
)
def test_size_is_said_in_the_unit_that_fits(count, text):
    assert size(count) == text
