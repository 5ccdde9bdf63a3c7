"""What a value looks like in the notebook: IPython's display rules, without IPython.

Text, PNG, JPEG, SVG, and data frames as data. HTML and scripts do not cross: a
target must not be able to run anything in the person's browser.
"""

from __future__ import annotations

import base64
import inspect
import io
import json
import math
import sys
from typing import Any, Callable
from weakref import WeakSet

from .worker_pretty import pretty

FRAME_MIME = "application/x-rpnb-frame+json"
_TEXT = "text/plain"
_METHODS = {"image/png": "_repr_png_", "image/jpeg": "_repr_jpeg_", "image/svg+xml": "_repr_svg_"}
_MIMES = (_TEXT, *_METHODS)
# What a notebook shows of a frame anyhow; the rest would only cross the wire.
_MAX_ROWS, _MAX_COLUMNS = 60, 50

_drawn: WeakSet[Any] = WeakSet()


def bundle(value: Any) -> dict[str, bytes]:
    """Return the displays of a value by mime type; {} for None, which shows nothing."""
    if value is None:
        return {}
    found = _own_bundle(value)
    if found is None:
        found = {_TEXT: _encoded(_safe_text(value))}
        for mime, name in _METHODS.items():
            data = _from_method(value, name)
            if data is not None:
                found[mime] = data
    # Only the first picture is drawn: one of each is sent for nothing.
    if "image/png" in found:
        found.pop("image/jpeg", None)
    if "image/png" not in found and is_from(value, "matplotlib.figure", "Figure"):
        found["image/png"] = figure_png(value)
    if is_frame(value):
        found[FRAME_MIME] = _encoded(json.dumps(frame_data(value, _MAX_ROWS, _MAX_COLUMNS)))
    return found


def figures(*, close: bool) -> list[dict[str, bytes]]:
    """Return a display of each open matplotlib figure that was not drawn before.

    The program's own figures stay open: its handler may go on drawing. A scratch
    cell's are closed, so that the program never meets them.
    """
    plot = sys.modules.get("matplotlib.pyplot")
    if plot is None:
        return []
    shown = []
    for number in plot.get_fignums():
        figure = (
            plot.figure(number) if close else plot._pylab_helpers.Gcf.figs[number].canvas.figure
        )
        if figure in _drawn:
            continue
        _drawn.add(figure)
        shown.append({_TEXT: _encoded(repr(figure)), "image/png": figure_png(figure)})
        if close:
            plot.close(figure)
    return shown


def figure_png(figure: Any) -> bytes:
    """Return a matplotlib figure as IPython's inline backend draws it."""
    _drawn.add(figure)
    data = io.BytesIO()
    figure.savefig(data, format="png", bbox_inches="tight")
    return data.getvalue()


def is_frame(value: Any) -> bool:
    """Tell whether the value is a data frame that crosses as data."""
    return is_from(value, "pandas", "DataFrame") or is_from(value, "polars", "DataFrame")


def frame_data(frame: Any, rows: int | None = None, columns: int | None = None) -> dict[str, Any]:
    """Return {"columns", "index", "data", "shape"} of the frame's first rows and columns."""
    shape = [int(size) for size in frame.shape]
    if is_from(frame, "polars", "DataFrame"):
        part = frame[:rows, :columns] if rows is not None else frame
        data, index = part.rows(), list(range(len(part)))
    else:
        part = frame.iloc[:rows, :columns]
        data, index = part.astype(object).to_numpy().tolist(), [_label(i) for i in part.index]
    return {
        "columns": [_label(name) for name in part.columns],
        "index": index,
        "data": [[_cell(value) for value in row] for row in data],
        "shape": shape,
    }


def _label(value: Any) -> Any:
    if isinstance(value, tuple):
        return " / ".join(map(str, value))
    return value if isinstance(value, (str, int)) and not isinstance(value, bool) else str(value)


def _cell(value: Any) -> Any:
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "shape", None) == ():
        value = item()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)


def _own_bundle(value: Any) -> dict[str, bytes] | None:
    method = _method(value, "_repr_mimebundle_")
    made = _quietly(lambda: method(include=None, exclude=None)) if method else None
    if isinstance(made, tuple):
        made = made[0]
    if not isinstance(made, dict):
        return None
    found = {mime: _as_bytes(made[mime], mime) for mime in _MIMES if made.get(mime) is not None}
    found.setdefault(_TEXT, _encoded(_safe_text(value)))
    return {mime: data for mime, data in found.items() if data is not None}


def _from_method(value: Any, name: str) -> bytes | None:
    method = _method(value, name)
    made = _quietly(method) if method else None
    if isinstance(made, tuple):
        made = made[0]
    return _as_bytes(made, "image/svg+xml" if name == "_repr_svg_" else "image") if made else None


def _as_bytes(made: Any, mime: str) -> bytes | None:
    if isinstance(made, str):
        # Pictures in a bundle may be base64 text already.
        is_text = mime in (_TEXT, "image/svg+xml")
        return _encoded(made) if is_text else _quietly(lambda: base64.b64decode(made))
    return bytes(made) if isinstance(made, (bytes, bytearray, memoryview)) else None


def _method(value: Any, name: str) -> Callable[..., Any] | None:
    """Return a display method, as IPython finds it: not on classes, nor where any name answers."""
    if inspect.isclass(value):
        return None
    if _quietly(lambda: value._ipython_canary_method_should_not_exist_) is not None:
        return None
    method = _quietly(lambda: getattr(value, name))
    return method if callable(method) else None


def _quietly(make: Callable[[], Any]) -> Any:
    """Return what `make` returns, None where it raises: a display must not fail a cell."""
    try:
        return make()
    except Exception:  # noqa: BLE001 - display methods are the person's and may raise anything
        return None


def _safe_text(value: Any) -> str:
    try:
        return pretty(value)
    except Exception as error:  # noqa: BLE001 - a __repr__ may raise anything
        return f"<{type(value).__qualname__}: its repr() raised {type(error).__name__}: {error}>"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def is_from(value: Any, module: str, name: str) -> bool:
    """Tell whether a class of that name from that library is among the value's; imports nothing."""
    return any(
        base.__name__ == name and base.__module__.split(".")[0] == module.split(".", maxsplit=1)[0]
        for base in type(value).__mro__
    )
