"""Displays that a hostile target sends: none of it runs, writes or fills memory here."""

from __future__ import annotations

import json
import struct

import pytest

from rpnb.errors import RpnbError
from rpnb.jupyter import display, lines, values
from rpnb.session import pretty
from rpnb.session.media import ResultFile
from rpnb.session.result import Result

SCRIPT = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "mime", ["text/html", "application/javascript", "application/vnd.jupyter.widget-view+json"]
)
def test_markup_and_scripts_are_not_shown(mime):
    assert display.shown_bundle({mime: SCRIPT.encode()}) == {}


def test_svg_is_a_picture_and_no_markup():
    shown = display.shown_bundle({"image/svg+xml": f"<svg>{SCRIPT}</svg>".encode()})
    assert "script" not in shown["text/html"]
    assert shown["text/html"].startswith('<img src="data:image/svg+xml;base64,')


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 60_000, 60_000),
        b"GIF89a" + struct.pack("<HH", 65_535, 65_535),
        b'<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><svg>&b;</svg>',
    ],
)
def test_picture_that_would_fill_the_page_is_not_drawn(data):
    for mime in ("image/png", "image/gif", "image/svg+xml"):
        assert display.shown_bundle({mime: data}) == {}
        assert display.file_bundle(ResultFile("a", mime, "x", data)) is None


@pytest.mark.parametrize(
    "frame",
    [
        {"columns": [SCRIPT], "index": [SCRIPT], "data": [[SCRIPT]], "shape": [1000, 1]},
        {"columns": [], "index": [], "data": [], "shape": [1000, SCRIPT]},
        {"columns": SCRIPT, "index": 5, "data": [SCRIPT], "shape": [1]},
        [SCRIPT],
    ],
)
def test_frame_carries_no_markup(frame):
    assert "<script" not in values.frame_html(json.dumps(frame).encode())


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ({"kind": "ndarray", "dtype": "|O", "shape": [1]}, bytes(8)),
        ({"kind": "ndarray", "dtype": "<f8", "shape": [1 << 40]}, bytes(8)),
        ({"kind": "ndarray", "dtype": 5, "shape": None}, bytes(8)),
        ({"kind": "json"}, b"[" * 100_000),
        ({"kind": "frame"}, b"{}"),
        ({"kind": "image"}, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        ({"kind": "pickle"}, b"cos\nsystem\n(S'touch owned'\ntR."),
    ],
)
def test_value_that_is_none_is_an_error_of_ours(encoding, raw):
    with pytest.raises(RpnbError):
        values.decode(encoding, raw)


def test_line_is_one_line_without_escapes():
    assert lines.join(("my-gpu", "a\x1b]0;t\x07b\nc\x9b2J")) == "my-gpu │ a]0;tb c2J"


def test_output_is_drawn_without_escapes():
    text = pretty.shown({"a": "\x1b[2J\x9b\u202e<b>"})
    assert not {"\x1b", "\x9b", "\u202e"} & set(text)
    assert "<b>" not in display.bundle("<b>")["text/html"]


def test_files_of_a_result_stay_in_the_folder(tmp_path):
    picture = "iVBORw0KGgoAAAANSUhEUg" + "A" * 90
    output = {"../../owned": picture, "/etc/cron.d/x": picture, "..": [picture]}
    folder = tmp_path / "in" / "here"
    result = Result("j", "COMPLETED", json.dumps({"output": output}))
    assert result.files
    for path in result.save(folder):
        assert path.resolve().parent == folder
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
