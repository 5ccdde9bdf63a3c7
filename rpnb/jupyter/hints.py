"""Hints under an error in an ordinary cell, where the name lives on the other side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class OtherSide:
    """What is known of the target: its names, where each was made, and its modules."""

    target: str
    names: Mapping[str, str] = field(default_factory=dict)
    # Name -> "cell 3 (`%%runpod_setup model`)".
    origins: Mapping[str, str] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()


def hint(error: BaseException | None, other: OtherSide) -> str | None:
    """Return what to say under the error; None where the other side does not explain it."""
    if isinstance(error, NameError):
        return _name(getattr(error, "name", None), other)
    if isinstance(error, ModuleNotFoundError):
        return _module(error.name, other)
    return None


def _name(name: str | None, other: OtherSide) -> str | None:
    if not name or name not in other.names:
        return None
    made = f", made in {other.origins[name]}" if name in other.origins else ""
    return (
        f"`{name}` lives on {other.target}{made}. "
        "See it: `%%runpod_remote`; run a job: `rpnb.run({...})`"
    )


def _module(name: str | None, other: OtherSide) -> str | None:
    if not name or name.partition(".")[0] not in other.modules:
        return None
    return (
        f"{name.partition('.')[0]} is on {other.target}. "
        "Put `%%runpod_setup` on the first line of this cell to run it there"
    )
