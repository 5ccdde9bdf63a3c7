import io
import json

import numpy as np
import pytest

from rpnb.errors import RpnbError
from rpnb.jupyter.values import decode


def test_decode_json_and_bytes():
    assert decode({"kind": "json"}, b'["a"]') == ["a"]
    assert decode({"kind": "bytes"}, b"raw") == b"raw"


def test_decode_array_keeps_dtype_and_shape():
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    encoding = {"kind": "ndarray", "dtype": "<f4", "shape": [2, 3]}
    found = decode(encoding, array.tobytes())
    assert (found.dtype, found.tolist()) == (array.dtype, array.tolist())


def test_decode_array_of_objects_is_refused():
    with pytest.raises(RpnbError, match="Python objects"):
        decode({"kind": "ndarray", "dtype": "O", "shape": [1]}, bytes(8))


def test_decode_image_keeps_its_pixels():
    image = pytest.importorskip("PIL.Image")
    data = io.BytesIO()
    image.new("RGB", (2, 1), "red").save(data, "PNG")
    assert decode({"kind": "image"}, data.getvalue()).getpixel((0, 0)) == (255, 0, 0)


def test_decode_frame_keeps_names_and_numbers():
    pytest.importorskip("pandas")
    frame = {"columns": ["a"], "index": ["x"], "data": [[1]], "dtypes": ["int32"]}
    found = decode({"kind": "frame"}, json.dumps(frame).encode())
    assert (found.loc["x", "a"], str(found["a"].dtype)) == (1, "int32")


def test_decode_unknown_kind_is_an_error():
    with pytest.raises(RpnbError, match="'pickle' cannot be read"):
        decode({"kind": "pickle"}, b"")
