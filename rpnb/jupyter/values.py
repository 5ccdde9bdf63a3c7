"""Values that cross as data (`--to NAME`, data frames to draw): nothing is unpickled here."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import RpnbError

# A data frame that a cell displays, as the worker sends it.
FRAME_MIME = "application/x-rpnb-frame+json"
_UNREADABLE = (ValueError, TypeError, KeyError, OverflowError, RecursionError, OSError)


def decode(encoding: Mapping[str, Any], raw: bytes) -> Any:
    """Return the value.

    Raises:
        RpnbError: an unknown encoding, or a library that holds it is not installed here.
    """
    kind = str(encoding.get("kind"))
    reader = _READERS.get(kind)
    if reader is None:
        raise RpnbError(f"a value encoded as {kind!r} cannot be read here: update rpnb here")
    try:
        return reader(encoding, raw)
    except _UNREADABLE as error:
        raise RpnbError(f"a value encoded as {kind!r} cannot be read: {error!r}"[:300]) from error
    except ImportError as error:
        remedy = f"pip install {error.name} here, or reduce it to a list or a number there"
        raise RpnbError(f"this value needs {error.name}, which is not here: {remedy}") from error


def frame_html(raw: bytes) -> str:
    """Return a displayed data frame as an HTML table; every text in it is escaped."""
    frame = _frame_of(raw)
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in ["", *frame["columns"]])
    rows = "".join(
        f"<tr><th>{html.escape(str(label))}</th>"
        + "".join(f"<td>{html.escape(_shown(cell))}</td>" for cell in row)
        + "</tr>"
        for label, row in zip(frame["index"], frame["data"], strict=False)
    )
    height, width = (int(size) for size in frame["shape"])
    size = f"<p>{height} rows × {width} columns</p>"
    table = f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return table + (size if height > len(frame["data"]) or width > len(frame["columns"]) else "")


def _frame_of(raw: bytes) -> dict[str, Any]:
    """Read a frame; what is none is an empty one."""
    try:
        frame = json.loads(raw)
        rows, shape = frame["data"], frame["shape"]
        parts = [frame["columns"], frame["index"], shape, rows, *rows]
        if all(isinstance(part, list) for part in parts) and [type(x) for x in shape] == [int, int]:
            return dict(frame)
    except _UNREADABLE:
        pass
    return {"columns": [], "index": [], "data": [], "shape": [0, 0]}


def _shown(cell: Any) -> str:
    return "" if cell is None else f"{cell:g}" if isinstance(cell, float) else str(cell)


def _ndarray(encoding: Mapping[str, Any], raw: bytes) -> Any:
    import numpy as np

    named = encoding["dtype"]
    dtype = np.dtype(named if isinstance(named, str) else [tuple(each) for each in named])
    if dtype.hasobject:
        raise RpnbError("an array of Python objects does not cross as data")
    return np.frombuffer(raw, dtype).reshape(encoding["shape"]).copy()


def _image(_encoding: Mapping[str, Any], raw: bytes) -> Any:
    from PIL import Image

    # Only what the worker sends: some of Pillow's formats run other programs.
    return Image.open(io.BytesIO(raw), formats=("PNG",))


def _frame(_encoding: Mapping[str, Any], raw: bytes) -> Any:
    import pandas as pd

    read = json.loads(raw)
    frame = pd.DataFrame(read["data"], index=read["index"], columns=read["columns"])
    for name, dtype in zip(frame.columns, read.get("dtypes") or (), strict=False):
        if not dtype.startswith(("object", "str", "category")):
            frame[name] = frame[name].astype(dtype)
    return frame


_READERS: dict[str, Callable[[Mapping[str, Any], bytes], Any]] = {
    "json": lambda _encoding, raw: json.loads(raw),
    "bytes": lambda _encoding, raw: raw,
    "ndarray": _ndarray,
    "image": _image,
    "frame": _frame,
}
