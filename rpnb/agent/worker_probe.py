"""Library and process state that can be read before a step and put back: `planner.RESOURCES`.

Only what is loaded is probed, and nothing is imported: a probe costs some ten microseconds.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any, Callable, Mapping

from . import worker_logging, worker_torch
from . import worker_options as options

Probes = Mapping[str, Any]


class Prober:
    """Reads and restores the probed resources; secrets survive a restored environment."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def read(self) -> Probes:
        """Return the state of every resource; None for a library that is not loaded."""
        return {name: read() for name, (read, _) in _RESOURCES.items()}

    def restore(self, resource: str, state: Any) -> None:
        """Put a resource back to what `read` returned for it."""
        if state is not None:
            _RESOURCES[resource][1](state)
        if resource == "environ":
            os.environ.update(self.secrets)


def differing(before: Probes, after: Probes) -> frozenset[str]:
    """Return the resources whose state changed; loading a library is no change of it."""
    return frozenset(
        name
        for name, state in after.items()
        if before.get(name) is not None and state is not None and before[name] != state
    )


def _environ() -> dict[bytes, bytes]:
    # What lies behind os.environ: to decode it twice a step costs more than most steps.
    found: dict[bytes, bytes] = os.environ._data.copy()  # type: ignore[attr-defined]
    return found


def _restore_environ(state: dict[bytes, bytes]) -> None:
    for name in set(os.environb) - set(state):
        del os.environb[name]
    os.environb.update(state)


def _restore_path(state: list[str]) -> None:
    sys.path[:] = state


def _restore_warnings(state: list[Any]) -> None:
    warnings.filters[:] = state  # type: ignore[index] # typeshed: a Sequence; it is a list
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _random() -> Any:
    module = sys.modules.get("random")
    return module.getstate() if module is not None else None


def _restore_random(state: Any) -> None:
    sys.modules["random"].setstate(state)


def _numpy_random() -> Any:
    module = sys.modules.get("numpy.random")
    if module is None:
        return None
    kind, keys, *rest = module.get_state()
    return (kind, keys.tobytes(), *rest)


def _restore_numpy_random(state: Any) -> None:
    numpy = sys.modules["numpy"]
    kind, keys, *rest = state
    numpy.random.set_state((kind, numpy.frombuffer(keys, dtype="uint32"), *rest))


def _torch() -> Any:
    """Return torch where it is loaded completely: a step may fail in the middle of it."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "get_rng_state") and hasattr(torch, "backends") else None


def _torch_random() -> Any:
    torch = _torch()
    if torch is None:
        return None
    states = [torch.get_rng_state()]
    if torch.cuda.is_initialized():
        states += torch.cuda.get_rng_state_all()
    return [state.tolist() for state in states]


def _restore_torch_random(state: Any) -> None:
    torch = _torch()
    first, *others = (torch.tensor(each, dtype=torch.uint8) for each in state)
    torch.set_rng_state(first)
    if others:
        torch.cuda.set_rng_state_all(others)


def _torch_flags() -> Any:
    torch = _torch()
    return worker_torch.read(torch) if torch is not None else None


_RESOURCES: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "environ": (_environ, _restore_environ),
    "cwd": (os.getcwd, os.chdir),
    "path": (lambda: list(sys.path), _restore_path),
    "logging": (worker_logging.read, worker_logging.restore),
    "warnings": (lambda: list(warnings.filters), _restore_warnings),
    "random": (_random, _restore_random),
    "numpy.random": (_numpy_random, _restore_numpy_random),
    "torch.random": (_torch_random, _restore_torch_random),
    "numpy.options": (options.read_numpy, options.restore_numpy),
    "pandas.options": (options.read_pandas, options.restore_pandas),
    "sklearn.options": (options.read_sklearn, options.restore_sklearn),
    "torch.flags": (_torch_flags, lambda state: worker_torch.restore(_torch(), state)),
}
