"""What values look like: IPython's own formatter is the judge where it is here."""

from __future__ import annotations

import base64
import io
import json
import sys
import types
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.lib.pretty import pretty as ipython_pretty
from PIL import Image

from rpnb.agent import worker_display
from rpnb.agent.worker_display import FRAME_MIME, bundle, frame_data
from rpnb.agent.worker_encode import CannotEncode, encode_value
from rpnb.agent.worker_pretty import pretty
from rpnb.agent.worker_size import size_bytes

_PIXEL = io.BytesIO()
Image.new("RGB", (1, 1)).save(_PIXEL, "PNG")
PNG = _PIXEL.getvalue()


def _looped() -> list[Any]:
    looped: list[Any] = [1]
    looped.append(looped)
    return looped


class _Picture:
    def _repr_png_(self) -> bytes:
        return PNG

    def _repr_html_(self) -> str:
        return "<script>alert(1)</script>"

    def __repr__(self) -> str:
        return "picture"


class _AnyName:
    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: b"anything"


class _Broken:
    def __repr__(self) -> str:
        raise ValueError("no repr")

    def _repr_svg_(self) -> str:
        raise ValueError("no svg")


class _Bundle:
    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        del include, exclude
        png = base64.b64encode(PNG).decode()
        return {"text/plain": "mine", "text/html": "<b>", "image/png": png}, {}


SAME_AS_IPYTHON = {
    "number": 3,
    "text": "it's",
    "list": [1, 2],
    "empty": [[], (), {}, set()],
    "one-tuple": (1,),
    "long-list": list(range(60)),
    "dict": {"a": 1, "b": [1, 2]},
    "long-dict": {f"key {n}": list(range(n)) for n in range(20)},
    "set": {3, 1, 2},
    "frozenset": frozenset({2, 1}),
    "looped": _looped(),
    "class": dict,
    "nested": [{"a": ["x" * 50, "y" * 50]}, ("z" * 70,)],
    "many": list(range(1500)),
}


@pytest.mark.parametrize("name", SAME_AS_IPYTHON)
def test_text_is_what_ipython_writes(name: str) -> None:
    assert pretty(SAME_AS_IPYTHON[name]) == ipython_pretty(SAME_AS_IPYTHON[name])


def test_none_shows_nothing() -> None:
    assert bundle(None) == {}


def test_html_does_not_cross() -> None:
    assert bundle(_Picture()) == {"text/plain": b"picture", "image/png": PNG}


def test_bundle_method_is_limited_to_text_and_pictures() -> None:
    assert bundle(_Bundle()) == {"text/plain": b"mine", "image/png": PNG}


def test_object_that_answers_to_any_name_is_only_text() -> None:
    assert list(bundle(_AnyName())) == ["text/plain"]


def test_class_with_display_methods_is_only_text() -> None:
    assert list(bundle(_Picture)) == ["text/plain"]


def test_broken_repr_is_said_and_raises_nothing() -> None:
    shown = bundle(_Broken())

    assert shown == {"text/plain": b"<_Broken: its repr() raised ValueError: no repr>"}


def test_image_is_shown_as_one_png() -> None:
    shown = bundle(Image.new("RGB", (2, 2), "red"))

    assert set(shown) == {"text/plain", "image/png"}
    assert Image.open(io.BytesIO(shown["image/png"])).getpixel((0, 0)) == (255, 0, 0)


def test_frame_crosses_as_data() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, float("nan")], "c": ["<b>", None]})

    assert json.loads(bundle(frame)[FRAME_MIME]) == {
        "columns": ["a", "b", "c"],
        "index": [0, 1],
        "data": [[1, 0.5, "<b>"], [2, "nan", "nan" if pd.isna(frame["c"][1]) else None]],
        "shape": [2, 3],
    }


def test_long_frame_is_bounded_and_says_its_shape() -> None:
    data = frame_data(pd.DataFrame({"a": range(1000)}), 60, 50)

    assert (len(data["data"]), data["shape"]) == (60, [1000, 1])


def test_frame_of_anything_has_cells_that_json_carries() -> None:
    frame = pd.DataFrame(
        {("x", 1): [pd.Timestamp("2026-01-02")], ("y", 2): [np.float32(1.5)], ("z", 3): [[1]]},
        index=pd.Index([("i", 1)]),
    )
    data = frame_data(frame)

    assert (data["columns"], data["data"]) == (
        ["x / 1", "y / 2", "z / 3"],
        [["2026-01-02 00:00:00", 1.5, "[1]"]],
    )


def test_new_figures_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    figure, plot = _FakeFigure(), types.SimpleNamespace()
    plot.get_fignums = lambda: [1]
    plot.figure = lambda _number: figure
    plot._pylab_helpers = types.SimpleNamespace(
        Gcf=types.SimpleNamespace(
            figs={1: types.SimpleNamespace(canvas=types.SimpleNamespace(figure=figure))}
        )
    )
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", plot)

    assert [shown["image/png"] for shown in worker_display.figures(close=False)] == [PNG]
    assert worker_display.figures(close=False) == []


class _FakeFigure:
    """Speaks matplotlib's savefig; the library itself is not among the tests' packages."""

    def savefig(self, file: io.BytesIO, **_options: Any) -> None:
        file.write(PNG)


def test_value_round_trips_in_its_encoding() -> None:
    array = np.arange(6, dtype=">i2").reshape(2, 3)
    encoded = encode_value(array[:, ::2], "x")

    assert encoded.encoding == {"kind": "ndarray", "dtype": ">i2", "shape": [2, 2]}
    rebuilt = np.frombuffer(encoded.data, ">i2").reshape(2, 2)
    assert (rebuilt == array[:, ::2]).all()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"a": [1, None, "x"]}, "json"),
        (b"raw", "bytes"),
        (np.float32(1), "ndarray"),
        (Image.new("L", (1, 1)), "image"),
        (pd.DataFrame({"a": [1]}), "frame"),
    ],
)
def test_each_plain_kind_has_its_encoding(value: Any, kind: str) -> None:
    assert encode_value(value, "x").encoding["kind"] == kind


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [object()]}, r"`x['a'][0]` is of type object, which does not cross"),
        ({1: 2}, "`x` has the key 1, and only text keys"),
        (np.array([object()]), "dtype object"),
        (_looped(), "`x[1]` refers back to itself"),
        (pd.Series([1]), ".to_list()"),
    ],
)
def test_what_cannot_cross_says_how_to_reduce_it(value: Any, text: str) -> None:
    with pytest.raises(CannotEncode) as caught:
        encode_value(value, "x")

    assert text in str(caught.value)


def test_size_counts_each_array_once() -> None:
    array = np.zeros(1000)

    assert size_bytes({"a": array, "b": [array, np.zeros(10)]}) == 8080


def test_size_looks_into_objects() -> None:
    holder = types.SimpleNamespace(weights=np.zeros(10), again=None)
    holder.again = holder

    assert size_bytes(holder) == 80
