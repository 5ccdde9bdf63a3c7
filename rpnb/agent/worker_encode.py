"""A value for a name in the notebook (`--to NAME`), as data: nothing is unpickled there."""

from __future__ import annotations

import io
import json
import sys
from typing import Any, NamedTuple

from .worker_display import frame_data, is_frame, is_from

VALUE_MIME = "application/x-rpnb-value"


class Encoded(NamedTuple):
    """How the client rebuilds the value, and its bytes."""

    encoding: dict[str, Any]
    data: bytes


class CannotEncode(ValueError):
    """No data encoding carries the value exactly; the message says how to reduce it."""


def encode_value(value: Any, name: str) -> Encoded:
    """Return the value in a data encoding: json, bytes, ndarray, image or frame.

    Raises:
        CannotEncode: with the way to make it one of these.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Encoded({"kind": "bytes"}, bytes(value))
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        return _array(value, name, numpy)
    if is_from(value, "PIL", "Image"):
        return _image(value)
    if is_frame(value):
        return _frame(value)
    fault = _not_plain(value, name, [])
    if fault:
        raise CannotEncode(f"{fault}. {_advice(value)}")
    return Encoded({"kind": "json"}, json.dumps(value).encode())


def _array(value: Any, name: str, numpy: Any) -> Encoded:
    array = numpy.asarray(value)
    if array.dtype.hasobject:
        raise CannotEncode(
            f"`{name}` is an array of Python objects (dtype {array.dtype}), which do not cross as "
            "data. Give it a number or string dtype with .astype(…), or send .tolist()"
        )
    encoding = {
        "kind": "ndarray",
        "dtype": array.dtype.descr if array.dtype.names else array.dtype.str,
        "shape": list(array.shape),
    }
    return Encoded(encoding, numpy.ascontiguousarray(array).tobytes())


def _image(value: Any) -> Encoded:
    data = io.BytesIO()
    # PNG keeps these exactly; other modes lose as little as a conversion must.
    exact = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I")
    (value if value.mode in exact else value.convert("RGB")).save(data, format="PNG")
    return Encoded({"kind": "image", "format": "png", "mode": value.mode}, data.getvalue())


def _frame(value: Any) -> Encoded:
    data = frame_data(value)
    data["dtypes"] = [str(kind) for kind in value.dtypes]
    return Encoded({"kind": "frame"}, json.dumps(data).encode())


def _not_plain(value: Any, path: str, above: list[int]) -> str:
    """Return what is not plain data and where, "" for nothing."""
    if value is None or type(value) in (str, bool, int, float):
        return ""
    if id(value) in above:
        return f"`{path}` refers back to itself"
    inside = [*above, id(value)]
    if type(value) is dict:
        for key, item in value.items():
            if not isinstance(key, str):
                return f"`{path}` has the key {key!r:.60}, and only text keys cross as data"
            fault = _not_plain(item, f"{path}[{key!r}]", inside)
            if fault:
                return fault
        return ""
    if type(value) in (list, tuple):
        faults = (_not_plain(item, f"{path}[{i}]", inside) for i, item in enumerate(value))
        return next((fault for fault in faults if fault), "")
    return f"`{path}` is of type {_name(type(value))}, which does not cross as data"


def _name(kind: type) -> str:
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"


def _advice(value: Any) -> str:
    if is_from(value, "torch", "Tensor"):
        return "Send .detach().cpu().numpy()"
    if is_from(value, "pandas", "Series"):
        return "Send .to_frame() or .to_list()"
    return (
        "Reduce it to plain data (numbers, text, lists, dicts), bytes, a NumPy array, "
        "a PIL image or a data frame"
    )
