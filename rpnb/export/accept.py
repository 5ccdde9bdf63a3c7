"""Ready-made functions for `--compare`: is an output as good as the reference?

Each raises an AssertionError which says where they differ, so that it serves in
`assert`-style tests elsewhere, too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .compare import difference, exactly

if TYPE_CHECKING:
    from collections.abc import Callable

    Accept = Callable[[Any, Any], bool]


def close(*, rtol: float = 1e-3, atol: float = 0.0) -> Accept:
    """Return a comparison of outputs whose numbers may differ by `rtol` of their size, or `atol`.

    All that is no number must be equal.
    """

    def same(reference: Any, output: Any) -> bool:
        if _is_number(reference) and _is_number(output):
            near = math.isclose(reference, output, rel_tol=rtol, abs_tol=atol)
            return near or (math.isnan(reference) and math.isnan(output))
        return exactly(reference, output)

    def is_close(output: Any, reference: Any) -> bool:
        return _accept(difference(reference, output, same=same))

    return is_close


def ignoring(*keys: str) -> Accept:
    """Return a comparison of outputs that passes over these keys at any depth, such as "seed"."""

    def is_same_without(output: Any, reference: Any) -> bool:
        return _accept(difference(_without(reference, keys), _without(output, keys)))

    return is_same_without


def _accept(found: str | None) -> bool:
    if found is not None:
        raise AssertionError(found)
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _without(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, keys) for key, item in value.items() if key not in keys}
    return [_without(item, keys) for item in value] if isinstance(value, list) else value
