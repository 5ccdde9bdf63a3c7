import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.session.media import decode, find_files

PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
WAV = b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(60)


def b64(data):
    return base64.b64encode(data).decode()


def test_files_are_found_wherever_they_stand():
    output = {"images": [b64(PNG), {"deep": b64(PNG)}], "sound": b64(WAV), "text": "plain words"}
    assert [(file.path, file.mime) for file in find_files(output)] == [
        ("images[0]", "image/png"),
        ("images[1].deep", "image/png"),
        ("sound", "audio/wav"),
    ]


def test_file_is_named_after_its_place():
    assert find_files({"images": [b64(PNG)]})[0].name == "images-0.png"


def test_output_that_is_itself_a_file():
    assert find_files(b64(PNG))[0].data == PNG


def test_data_url_of_unknown_bytes_keeps_its_mime_type():
    url = "data:application/x-thing;base64," + b64(b"thing" * 20)
    assert decode(url) == ("application/x-thing", "bin", b"thing" * 20)


@pytest.mark.parametrize(
    "text",
    ["", "hello", "a" * 500, b64(PNG)[:-5] + "*****", "data:image/png;base64,@@@" + "x" * 80],
)
def test_other_text_is_no_file(text):
    assert decode(text) is None


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=10))
def test_any_output_can_be_searched(output):
    assert find_files(output) == []
