"""Results and displays as pictures, tables and JSON; everything also as plain text."""

from __future__ import annotations

import base64
import html
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..session.pretty import shown, size
from ..transport.text import harmless, one_line
from . import values

if TYPE_CHECKING:
    from ..session.media import ResultFile
    from ..session.result import Result

_MONO = "font-family:var(--jp-code-font-family,monospace);white-space:pre-wrap;font-size:13px"
# Mime types that may cross from the target and be drawn here: no HTML, no scripts.
_MOST_PIXELS = 150_000_000
_MARKUP = 1 << 16
_PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif", "image/webp")


def bundle(value: Any) -> dict[str, Any]:
    """Return the mime bundle of a job's output: the JSON, static in every front end."""
    text = shown(value)
    return {
        "text/plain": text,
        "text/html": f'<pre class="rp-json" style="{_MONO};margin:0">{html.escape(text)}</pre>',
    }


def line_bundle(text: str) -> dict[str, str]:
    """Return the mime bundle of a leading line."""
    mark = "rp-failed" if "✗" in text else "rp-ok" if "✓" in text else "rp-plain"
    style = f"{_MONO};margin:0;opacity:.85"
    return {
        "text/plain": text,
        "text/html": f'<div class="rp-line {mark}" style="{style}">{html.escape(text)}</div>',
    }


def result_bundles(result: Result) -> list[dict[str, Any]]:
    """Return what to draw of a finished job, in order: its JSON, then its pictures and sound."""
    drawn = []
    streamed = bool(result.stream) and result.output in (None, [], list(result.stream))
    if result.output is not None and not streamed:
        drawn.append(bundle(result.output))
    elif result.error is not None and result.exception is None:
        drawn.append(bundle({"error": result.error}))
    if not streamed:
        drawn.extend(each for file in result.files if (each := file_bundle(file)))
    return drawn


def value_bundles(value: Any) -> list[dict[str, Any]]:
    """Return what to draw of one value, such as a chunk: its JSON, then its pictures."""
    from ..session.media import find_files

    pictures = [each for file in find_files(value) if (each := file_bundle(file))]
    return [bundle(value), *pictures]


def file_bundle(file: ResultFile) -> dict[str, Any] | None:
    """Return the mime bundle of a picture or sound in an output; None for other files."""
    text = f"{one_line(file.path)}: {file.mime}, {size(len(file.data))}"
    if file.mime in _PICTURES and not is_bomb(file.data):
        return {"text/plain": text, **_picture(file.mime, file.data)}
    if file.mime.startswith("audio/"):
        source = f"data:{file.mime};base64,{base64.b64encode(file.data).decode('ascii')}"
        return {"text/plain": text, "text/html": f'<audio controls src="{source}"></audio>'}
    return None


def shown_bundle(mimes: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the mime bundle of a display that crossed: text and pictures, nothing that runs."""
    found: dict[str, Any] = {}
    for mime, data in mimes.items():
        if mime in _PICTURES and not is_bomb(data):
            found.update(_picture(mime, data))
        elif mime == "text/plain":
            found[mime] = harmless(data.decode("utf-8", "replace"))
        elif mime == values.FRAME_MIME:
            found["text/html"] = values.frame_html(data)
    return found


def is_bomb(data: bytes) -> bool:
    """Tell whether a picture would take more memory in the page than any page has."""
    width = height = 0
    if data.startswith(b"\x89PNG"):
        width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
    elif data.startswith(b"GIF8"):
        width, height = struct.unpack("<HH", data[6:10].ljust(4, b"\0"))
    # Entities that double each other fill memory from a few lines of markup.
    return width * height > _MOST_PIXELS or b"<!ENTITY" in data[:_MARKUP].upper()


def _picture(mime: str, data: bytes) -> dict[str, Any]:
    source = base64.b64encode(data).decode("ascii")
    if mime in ("image/png", "image/jpeg"):
        return {mime: source}
    # SVG, too, as an image and not as markup: a script inside would run in the page.
    return {"text/html": f'<img src="data:{mime};base64,{source}">'}


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns of text, each row one line."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))] if rows else []
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
