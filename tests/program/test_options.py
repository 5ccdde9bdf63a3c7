import pytest

from rpnb.errors import BadInput
from rpnb.program.options import CELL_MAGICS, SYNTAX, parse


def test_options_handler_line_keeps_json_with_spaces():
    options = parse("runpod_handler", 'fox --input {"prompt": "a red fox"} --no-run')
    assert (options.word, options.text("input")) == ("fox", '{"prompt": "a red fox"}')
    assert options.has("no-run")


def test_options_repeated_input_keeps_order():
    options = parse("runpod_handler", "--input a --input b")
    assert [each.word for each in options.all("input")] == ["a", "b"]


def test_options_value_knows_its_place():
    assert parse("runpod_run", "  {1}").words[0].position == 2


def test_options_abbreviated_is_refused_with_full_name():
    with pytest.raises(BadInput, match="did you mean --input") as caught:
        parse("runpod_handler", "--inp {}")
    assert caught.value.position == 0


@pytest.mark.parametrize(
    ("magic", "line", "message"),
    [
        ("runpod_status", "--again", "it takes no options"),
        ("runpod_setup", "a b", "one too many"),
        ("runpod_test", "", "needs NAME"),
        ("runpod_remote", "--to", "needs a value: --to NAME"),
        ("runpod_setup", "--again --again", "there twice"),
        ("runpod_setup", "--again=yes", "takes no value"),
    ],
)
def test_options_mistake_is_explained(magic, line, message):
    with pytest.raises(BadInput, match=message):
        parse(magic, line)


def test_options_pasted_ssh_command_is_one_target():
    line = "ssh root@203.0.113.12 -p 17543 -i ~/.ssh/id_ed25519 --gpu 0,1"
    options = parse("runpod_connect", line)
    assert options.word == "ssh root@203.0.113.12 -p 17543 -i ~/.ssh/id_ed25519"
    assert options.text("gpu") == "0,1"


@pytest.mark.parametrize(
    ("line", "expected"),
    [("t --expect-error", None), ("t --expect-error 'too big'", "too big")],
)
def test_options_expect_error_text_is_optional(line, expected):
    options = parse("runpod_test", line)
    assert options.has("expect-error")
    assert options.text("expect-error") == expected


def test_options_number_that_is_none_is_refused():
    options = parse("runpod_run", "fox --timeout soon")
    with pytest.raises(BadInput, match="number of seconds"):
        options.number("timeout")


def test_options_every_cell_magic_has_a_syntax():
    assert set(CELL_MAGICS) <= set(SYNTAX)
