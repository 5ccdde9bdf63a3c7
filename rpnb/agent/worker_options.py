"""Options that numpy, pandas and scikit-learn keep for the whole process: read, and put back."""

from __future__ import annotations

import sys
from typing import Any, Iterator, Mapping


def read_numpy() -> Any:
    """Return how numpy prints and what it does about errors; None where it is not loaded."""
    numpy: Any = sys.modules.get("numpy")
    if not hasattr(numpy, "get_printoptions") or not hasattr(numpy, "geterr"):
        return None
    return {"print": numpy.get_printoptions(), "errors": numpy.geterr()}


def restore_numpy(state: Any) -> None:
    """Put back what `read_numpy` returned."""
    sys.modules["numpy"].set_printoptions(**state["print"])
    sys.modules["numpy"].seterr(**state["errors"])


def read_pandas() -> Any:
    """Return every option; its own function for one would warn of those that are going."""
    options = getattr(sys.modules.get("pandas._config.config"), "_global_config", None)
    return dict(_leaves(options, "")) if isinstance(options, dict) else None


def restore_pandas(state: Any) -> None:
    """Put back the options that differ: setting one may have an effect of its own."""
    now = read_pandas()
    for name, value in state.items():
        if now.get(name) != value:
            sys.modules["pandas"].set_option(name, value)


def read_sklearn() -> Any:
    """Return scikit-learn's configuration."""
    sklearn: Any = sys.modules.get("sklearn")
    return sklearn.get_config() if hasattr(sklearn, "get_config") else None


def restore_sklearn(state: Any) -> None:
    """Put back what `read_sklearn` returned."""
    sys.modules["sklearn"].set_config(**state)


def _leaves(options: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
