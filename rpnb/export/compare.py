"""Are two results the same, and where do they first differ?"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..session.result import Result


def exactly(expected: Any, got: Any) -> bool:
    """Whether two JSON values are equal: `1`, `1.0` and `true` are three, `NaN` equals itself."""
    if type(expected) is not type(got):
        return False
    same_nan = isinstance(expected, float) and math.isnan(expected) and math.isnan(got)
    return bool(expected == got) or same_nan


def difference(
    expected: Any,
    got: Any,
    path: str = "output",
    *,
    same: Callable[[Any, Any], bool] = exactly,
) -> str | None:
    """Return where two JSON values first differ, such as `output.lines[2]: 1, then 2`.

    None where they are equal; the order of keys does not count. `same` compares
    what is neither list nor object.
    """
    if isinstance(expected, dict) and isinstance(got, dict):
        return _of_objects(expected, got, path, same)
    if isinstance(expected, list) and isinstance(got, list):
        return _of_lists(expected, got, path, same)
    return None if same(expected, got) else f"{path}: {_short(expected)}, then {_short(got)}"


def _of_objects(
    expected: dict[str, Any], got: dict[str, Any], path: str, same: Callable[[Any, Any], bool]
) -> str | None:
    for key in [*expected, *(key for key in got if key not in expected)]:
        inner = f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key)}]"
        if key not in got:
            return f"{inner}: {_short(expected[key])}, then nothing"
        if key not in expected:
            return f"{inner}: nothing, then {_short(got[key])}"
        found = difference(expected[key], got[key], inner, same=same)
        if found:
            return found
    return None


def _of_lists(
    expected: list[Any], got: list[Any], path: str, same: Callable[[Any, Any], bool]
) -> str | None:
    for index, (one, other) in enumerate(zip(expected, got, strict=False)):
        found = difference(one, other, f"{path}[{index}]", same=same)
        if found:
            return found
    if len(expected) != len(got):
        return f"{path}: {len(expected)} items, then {len(got)}"
    return None


def results_differ(expected: Result, got: Result) -> str | None:
    """Return where two results of one job first differ: status, output, error, stream.

    Of chunks that are not kept their number is compared; of an exception its type and
    message: its traceback names the worker's own folder.
    """
    for name in ("status", "output", "error", "stream", "left_out"):
        one, other = _comparable(expected, name), _comparable(got, name)
        found = difference(one, other, name)
        if found:
            return found
    return None


def _comparable(result: Result, name: str) -> Any:
    value = getattr(result, name)
    if name == "stream":
        return list(value)
    if name == "error" and isinstance(value, str):
        return _raised(value)
    return value


def _raised(error: str) -> Any:
    """The type and message of an exception as the SDK reports it, else the text itself."""
    try:
        report = json.loads(error)
    except ValueError:
        # A generator's exception is plain text with the traceback below its message.
        return error.split("traceback:", maxsplit=1)[0]
    if isinstance(report, dict) and "error_type" in report:
        return {key: report.get(key) for key in ("error_type", "error_message")}
    return error


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}…"
