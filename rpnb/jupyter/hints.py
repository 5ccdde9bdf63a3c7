"""Hints under an error in an ordinary cell, where the name lives on the other side."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .notebook import Notebook


@dataclass(frozen=True)
class OtherSide:
    """What is known of the target: its names, where each was made, and its modules."""

    target: str
    names: Mapping[str, str] = field(default_factory=dict)
    # Name -> "cell 3 (`%%runpod_setup model`)".
    origins: Mapping[str, str] = field(default_factory=dict)
    # Module -> its version there, "" where it is not known.
    modules: Mapping[str, str] = field(default_factory=dict)
    is_connected: bool = True


def other_side(notebook: Notebook) -> OtherSide:
    """Return what the notebook knows of its target."""
    if notebook.session is None:
        return OtherSide(notebook.target, is_connected=False)
    from ..program.skew import DISTRIBUTIONS

    origins, modules = dict[str, str](), dict[str, str]()
    for cell in notebook.cells:
        magic = f"`%%runpod_{cell.kind}{f' {cell.name}' if cell.name else ''}`"
        for name in bound_names(cell.source):
            origins[name] = f"{cell.label} ({magic})"
        modules.update(dict.fromkeys(_imported(cell.source), ""))
    there = notebook.session.info.get("packages") or {}
    modules.update({m: there[p] for m, p in DISTRIBUTIONS.items() if p in there})
    return OtherSide(notebook.target, notebook.session.names, origins, modules)


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
    module = (name or "").partition(".")[0]
    if not module or not other.is_connected:
        return None
    put = "put `%%runpod_setup` on the first line of this cell to run it there"
    if module in other.modules:
        said = f"{module} {other.modules[module]}".strip()
        return f"{said} is on {other.target}. P{put[1:]}"
    return f"{module} is not installed here. Where {other.target} has it, {put}"


def bound_names(text: str) -> set[str]:
    """Return the names that a cell's text binds; none where it is no Python."""
    from ..planner.facts import split
    from ..program.cells import plain
    from ..program.uses import uses

    with contextlib.suppress(SyntaxError):
        return {name for statement in split(plain(text)) for name in uses(statement).binds}
    return set()


def _imported(text: str) -> set[str]:
    import ast

    from ..program.cells import plain

    with contextlib.suppress(SyntaxError):
        nodes = list(ast.walk(ast.parse(plain(text))))
        whole = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
        given = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
        return {name.partition(".")[0] for name in whole | given}
    return set()
