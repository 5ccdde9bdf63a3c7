"""close and ignoring: what `--compare` takes for as good as the reference."""

import math

import pytest

import rpnb


@pytest.mark.parametrize(
    ("output", "reference"),
    [
        ({"scores": [0.5001, 2]}, {"scores": [0.5, 2.0]}),
        (math.nan, math.nan),
        ({"text": "a fox", "n": None}, {"n": None, "text": "a fox"}),
    ],
)
def test_close_accepts_what_differs_by_little(output, reference):
    assert rpnb.close(rtol=1e-3)(output, reference)


@pytest.mark.parametrize(
    ("output", "reference", "said"),
    [
        ({"scores": [0.6]}, {"scores": [0.5]}, r"output.scores\[0\]: 0.5, then 0.6"),
        (True, 1, "output: 1, then true"),
        ("a", "b", 'output: "b", then "a"'),
        ([1], [1, 2], "output: 2 items, then 1"),
    ],
)
def test_close_says_where_more_differs(output, reference, said):
    with pytest.raises(AssertionError, match=said):
        rpnb.close(rtol=1e-3)(output, reference)


def test_close_takes_an_absolute_tolerance_for_what_is_near_zero():
    assert rpnb.close(atol=1e-6)(1e-7, 0)


def test_ignoring_passes_over_the_keys_at_any_depth():
    output = {"images": [{"seed": 1, "size": 8}], "seed": 2}
    reference = {"images": [{"size": 8}], "seed": 3}
    assert rpnb.ignoring("seed")(output, reference)


def test_ignoring_compares_the_rest_exactly():
    with pytest.raises(AssertionError, match="output.size: 8, then 9"):
        rpnb.ignoring("seed")({"seed": 1, "size": 9}, {"seed": 2, "size": 8})
