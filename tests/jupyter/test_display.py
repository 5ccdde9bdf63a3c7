import base64
import json

import pytest

from rpnb.jupyter import display
from rpnb.jupyter.values import FRAME_MIME
from rpnb.session.result import Result

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def result(**post):
    return Result("1", "COMPLETED", posted=json.dumps(post))


def test_result_base64_image_is_drawn():
    drawn = display.result_bundles(result(output={"image": base64.b64encode(PNG).decode()}))
    assert drawn[1]["image/png"] == base64.b64encode(PNG).decode()
    assert drawn[1]["text/plain"] == "image: image/png, 108 B"


def test_result_output_is_static_html_and_text():
    (drawn,) = display.result_bundles(result(output={"a": "<b>"}))
    assert drawn["text/plain"] == '{"a": "<b>"}'
    assert "&lt;b&gt;" in drawn["text/html"]


def test_result_error_is_drawn():
    (drawn,) = display.result_bundles(result(error="no prompt"))
    assert drawn["text/plain"] == '{"error": "no prompt"}'


def test_result_streamed_chunks_are_not_drawn_twice():
    done = Result("1", "COMPLETED", posted='{"output": [1, 2]}', stream=(1, 2))
    assert display.result_bundles(done) == []


def test_shown_bundle_drops_html_and_unknown_types():
    mimes = {"text/html": b"<script>", "text/plain": b"x", "application/javascript": b"y"}
    assert display.shown_bundle(mimes) == {"text/plain": "x"}


def test_shown_bundle_svg_is_an_image_not_markup():
    drawn = display.shown_bundle({"image/svg+xml": b"<svg><script/></svg>"})
    assert "<script" not in drawn["text/html"]
    assert drawn["text/html"].startswith('<img src="data:image/svg+xml;base64,')


def test_shown_bundle_frame_is_an_escaped_table():
    frame = {"columns": ["<a>"], "index": [0], "data": [["<b>"]], "shape": [100, 1]}
    drawn = display.shown_bundle({FRAME_MIME: json.dumps(frame).encode()})
    assert "<td>&lt;b&gt;</td>" in drawn["text/html"]
    assert "100 rows × 1 columns" in drawn["text/html"]


@pytest.mark.parametrize(("text", "mark"), [("✓ 1 s", "rp-ok"), ("✗ FAILED", "rp-failed")])
def test_line_bundle_marks_the_outcome(text, mark):
    assert mark in display.line_bundle(text)["text/html"]
    assert display.line_bundle(text)["text/plain"] == text


def test_table_columns_are_aligned():
    assert display.table([("a", "bb"), ("ccc", "d")]) == "a    bb\nccc  d"
