"""Pictures, sound and other files inside a job's output: base64 text and data URLs, decoded."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any, Iterator

# First bytes -> (mime type, file ending). "RIFF" is looked at more closely.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png", "png"),
    (b"\xff\xd8\xff", "image/jpeg", "jpg"),
    (b"GIF87a", "image/gif", "gif"),
    (b"GIF89a", "image/gif", "gif"),
    (b"%PDF-", "application/pdf", "pdf"),
    (b"PK\x03\x04", "application/zip", "zip"),
    (b"OggS", "audio/ogg", "ogg"),
    (b"fLaC", "audio/flac", "flac"),
    (b"ID3", "audio/mpeg", "mp3"),
    (b"\xff\xfb", "audio/mpeg", "mp3"),
    (b"\x1aE\xdf\xa3", "video/webm", "webm"),
)
_RIFF = {b"WEBP": ("image/webp", "webp"), b"WAVE": ("audio/wav", "wav")}
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=-]+)*;base64,")
# Shorter text than this is a word that happens to look like base64.
_SHORTEST = 64
# Levels of an output that are searched.
_DEEPEST = 50


@dataclass(frozen=True)
class ResultFile:
    """A file found at `path` ("images[0]") of an output: its mime type and bytes."""

    path: str
    mime: str
    ending: str
    data: bytes

    @property
    def name(self) -> str:
        """A file name made of the path: `images-0.png`."""
        stem = "-".join(re.findall(r"[\w]+", self.path)) or "output"
        return f"{stem}.{self.ending}"

    def __repr__(self) -> str:
        return f"ResultFile({self.path!r}, {self.mime}, {len(self.data)} bytes)"


def find_files(output: Any) -> list[ResultFile]:
    """Return the files in `output`, in the order in which they stand there."""
    found = []
    for path, text in _strings(output, ""):
        decoded = decode(text)
        if decoded is not None:
            found.append(ResultFile(path, *decoded))
    return found


def decode(text: str) -> tuple[str, str, bytes] | None:
    """Return (mime type, ending, bytes) of base64 text or a data URL; None for other text."""
    url = _DATA_URL.match(text)
    body = text[url.end() :] if url else text
    if len(body) < _SHORTEST:
        return None
    try:
        # The head alone tells whether the rest is worth decoding.
        known = _recognise(base64.b64decode(body[:_SHORTEST], validate=True))
        if known is None and not url:
            return None
        data = base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    mime, ending = known or ((url and url.group(1)) or "application/octet-stream", "bin")
    return mime, ending, data


def _recognise(head: bytes) -> tuple[str, str] | None:
    for signature, mime, ending in _SIGNATURES:
        if head.startswith(signature):
            return mime, ending
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return "video/mp4", "mp4"
    return None


def _strings(value: Any, path: str, depth: int = _DEEPEST) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path or "output", value
    elif isinstance(value, dict) and depth:
        for key, item in value.items():
            yield from _strings(item, f"{path}.{key}" if path else str(key), depth - 1)
    elif isinstance(value, list) and depth:
        for index, item in enumerate(value):
            yield from _strings(item, f"{path}[{index}]", depth - 1)
