import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rpnb.errors import BadInput
from rpnb.program import inputs
from rpnb.program.inputs import as_job, read, read_argument
from rpnb.program.options import parse

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def evaluate_with(**names):
    return lambda code: eval(code, dict(names))


@given(JSON)
def test_read_json_typed_bare_round_trips(value):
    typed = json.dumps(value)
    # In double quotes a bracketed text is what stands inside: quotes round it are allowed.
    assume(not (isinstance(value, str) and value.strip()[:1] in ("{", "[")))
    assert read(parse("runpod_run", typed).words[0].text) == value


@given(JSON)
def test_read_json_in_single_quotes_round_trips(value):
    typed = "'" + json.dumps(value) + "'"
    assume("'" not in typed[1:-1] or isinstance(value, (dict, list)))
    assert read(parse("runpod_handler", f"--input {typed}").all("input")[0].text) == value


@given(st.dictionaries(st.text(), JSON))
def test_read_object_in_escaped_double_quotes_round_trips(value):
    typed = '"' + json.dumps(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    assume(value)
    assert read(parse("runpod_run", typed).words[0].text) == value


def test_read_test_name_wins_over_variable():
    assert read("fox", tests={"fox": {"a": 1}}, evaluate=evaluate_with(fox=2)) == {"a": 1}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ('{"prompt": prompt, "seed": 3}', {"prompt": "a fox", "seed": 3}),
        ("{'on': true, 'off': false, 'none': null}", {"on": True, "off": False, "none": None}),
        ("'{\"prompt\": prompt}'", {"prompt": "a fox"}),
        ("\"{'prompt': prompt}\"", {"prompt": "a fox"}),
        ("dict(prompt=prompt)", {"prompt": "a fox"}),
        ("prompt", "a fox"),
        ("'a red fox'", "a red fox"),
        ('"a red fox"', "a red fox"),
        ("3", 3),
    ],
)
def test_read_expression_is_evaluated_here(typed, expected):
    assert read(typed, evaluate=evaluate_with(prompt="a fox", dict=dict)) == expected


@pytest.mark.parametrize(
    ("typed", "place"),
    [('{"a": 1 2}', 6), ('{"a": promt}', 6), ("[1, 2", 0)],
)
def test_read_mistake_has_caret_at_its_place(typed, place):
    with pytest.raises(BadInput) as caught:
        read(typed, evaluate=evaluate_with())
    assert caught.value.position == place
    assert str(caught.value).endswith(f"\n    {typed}\n    {' ' * place}^")


def test_read_unknown_name_lists_the_tests():
    with pytest.raises(BadInput, match=r"`foxx` is neither.*Tests here: fox"):
        read("foxx", tests={"fox": 1}, evaluate=evaluate_with())


def test_read_expression_that_raises_says_what():
    with pytest.raises(BadInput, match="ZeroDivisionError"):
        read("1 / 0", evaluate=evaluate_with())


def test_read_without_kernel_takes_literals_only():
    assert read("{'a': True}") == {"a": True}
    with pytest.raises(BadInput, match="no kernel"):
        read("{'a': len([])}")


def test_read_value_json_cannot_carry_names_its_path():
    with pytest.raises(BadInput, match=r"the input\['a'\]\[1\] is a set, which JSON cannot carry"):
        read("{'a': [1, {2}]}", evaluate=evaluate_with())


@pytest.mark.parametrize(
    ("value", "job", "wrapped", "doubtful"),
    [
        ({"prompt": "x"}, {"input": {"prompt": "x"}}, True, False),
        ({"input": {"a": 1}}, {"input": {"a": 1}}, False, False),
        ({"input": 1, "webhook": "w"}, {"input": 1, "webhook": "w"}, False, False),
        ({"input": 1, "seed": 3}, {"input": {"input": 1, "seed": 3}}, True, True),
        ({"id": "a"}, {"input": {"id": "a"}}, True, False),
        ([1], {"input": [1]}, True, False),
    ],
)
def test_as_job_wraps_what_is_no_whole_job(value, job, wrapped, doubtful):
    assert as_job(value) == inputs.Job(job, wrapped, doubtful)


def test_job_note_names_the_key_in_doubt():
    assert "`seed`" in as_job({"input": 1, "seed": 3}).note


def test_argument_reads_json_and_files(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_argument('{"a": 2}') == {"a": 2}
    assert read_argument(f"@{tmp_path / 'a.json'}") == {"a": 1}


def test_argument_malformed_has_caret():
    with pytest.raises(BadInput, match="JSON or @FILE") as caught:
        read_argument('{"a": fox}')
    assert caught.value.position == 6


def test_argument_missing_file_is_named():
    with pytest.raises(BadInput, match=r"nowhere\.json: No such file"):
        read_argument("@nowhere.json")
