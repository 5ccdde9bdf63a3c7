"""The program as the worker has it: its text as a file, the files beside it, lines to cells."""

from __future__ import annotations

import ast
import bisect
import importlib
import linecache
import os
import shutil
from pathlib import Path
from typing import Any

from ..planner.steps import closures
from .directory import RunDirectory


class WireProgram:
    """A program in wire form (`Program.to_wire()`), read only."""

    def __init__(self, wire: dict[str, Any]) -> None:
        self.wire = wire
        self.text: str = wire["text"]
        self.files: dict[str, Any] = wire.get("files") or {}
        self.env: dict[str, str] = wire.get("env") or {}
        self.cells: list[str] = [cell["id"] for cell in wire.get("cells") or ()]
        origins = sorted(map(tuple, wire.get("origins") or ()))
        self._starts = [origin[0] for origin in origins]
        self._origins = origins

    def cell_of(self, line: int) -> str | None:
        """Return the id of the cell that a line of the text comes from, None for none."""
        index = bisect.bisect_right(self._starts, line) - 1
        if index < 0:
            return None
        first, count, cell, _ = self._origins[index]
        return cell if line < first + count else None


def write_files(
    directory: RunDirectory, program: WireProgram, before: WireProgram | None
) -> set[str]:
    """Lay out `app/` as the export does; return the paths that changed.

    Files of the program before that are gone are removed; what the program
    itself or the person put there stays.
    """
    old = before.files if before is not None else {}
    changed = {path for path in old if path not in program.files}
    for path in changed:
        _inside(directory.app, path).unlink(missing_ok=True)
    for path, (digest, _size) in program.files.items():
        target = _inside(directory.app, path)
        if old.get(path, [None])[0] != digest or not target.exists():
            changed.add(path)
            _copy(directory.values / digest, target)
    if changed:
        importlib.invalidate_caches()
    handler = directory.app / "handler.py"
    handler.write_bytes(program.text.encode("utf-8"))
    linecache.checkcache(os.fspath(handler))
    return changed


def _inside(app: Path, path: str) -> Path:
    target = app / path
    if ".." in Path(path).parts or Path(path).is_absolute():
        raise ValueError(f"expected a path inside app/, got {path!r}")
    return target


def _copy(source: Path, target: Path) -> None:
    # A copy, not a link: the program may write into its files, and values are shared.
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def local_modules(directory: RunDirectory, program: WireProgram) -> dict[str, str]:
    """Return a hash for each local module of the program that covers all it imports locally."""
    trees: dict[str, list[str]] = {}
    sources: dict[str, list[str]] = {}
    for path, (digest, _size) in sorted(program.files.items()):
        if path.endswith(".py"):
            name = path.split("/")[0]
            name = name[:-3] if name.endswith(".py") else name
            trees.setdefault(name, []).append(f"{path} {digest}")
            sources.setdefault(name, []).append(digest)
    imports = {name: _imported(directory, digests) for name, digests in sources.items()}
    return closures({name: "\n".join(parts) for name, parts in trees.items()}, imports)


def _imported(directory: RunDirectory, digests: list[str]) -> set[str]:
    names: set[str] = set()
    for digest in digests:
        try:
            tree = ast.parse((directory.values / digest).read_bytes())
        except (OSError, SyntaxError):
            # The import itself will say what is wrong with it.
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names
