import pytest

from rpnb.errors import BadInput
from rpnb.program.tokens import tokens, unquoted


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("model --again", ["model", "--again"]),
        ('--input {"prompt": "a red fox"} name', ["--input", '{"prompt": "a red fox"}', "name"]),
        ("--input '{\"a\": 1}'", ["--input", "'{\"a\": 1}'"]),
        ("""'{"text": "it's"}' x""", ["""'{"text": "it's"}'""", "x"]),
        ("\"{'a': [1, 2]}\"", ["\"{'a': [1, 2]}\""]),
        ('--input={"a": 1}', ['--input={"a": 1}']),
        ("make(3, [1, 2]) more", ["make(3, [1, 2])", "more"]),
        ('{"a": "}"} b', ['{"a": "}"}', "b"]),
        ("'two words' one", ["'two words'", "one"]),
        ("local    # later: my-gpu, or it's {", ["local"]),
        ('{"colour": "#fff"} a#b', ['{"colour": "#fff"}', "a#b"]),
    ],
)
def test_tokens_line_cut_outside_brackets(line, expected):
    assert [piece.text for piece in tokens(line)] == expected


def test_tokens_pasted_command_cut_at_spaces_only():
    line = "ssh root@203.0.113.12 -o 'A=(b' --name x"
    assert [piece.text for piece in tokens(line, brackets=False)] == line.split()


@pytest.mark.parametrize(
    ("line", "place"), [('{"a": [1, 2}', 6), ("--input {", 8), ('x "never closed', 2)]
)
def test_tokens_unclosed_shows_where_it_opened(line, place):
    with pytest.raises(BadInput, match="never closed") as caught:
        tokens(line)
    assert caught.value.position == place


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'fox'", "fox"),
        ('"fox"', "fox"),
        ("fox", "fox"),
        (r'"{\"a\": 1}"', '{"a": 1}'),
        ("""'{"a": "it's"}'""", """{"a": "it's"}"""),
        ("'a' + 'b'", "'a' + 'b'"),
        ("'", "'"),
    ],
)
def test_unquoted_only_outer_quotes_go(text, expected):
    assert unquoted(text) == expected


def test_tokens_comment_ends_the_line():
    assert [each.text for each in tokens("local  # later: [my-gpu")] == ["local"]
