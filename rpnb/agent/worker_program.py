"""The program as the worker has it: its text as a file, the files beside it, lines to cells."""

from __future__ import annotations

import bisect
import importlib
import linecache
import os
import shutil
from pathlib import Path
from typing import Any, Mapping, Sequence

from ..protocol.blobs import BLOCK_BYTES, layouts
from .directory import RunDirectory, writing


class WireProgram:
    """A program in wire form (`Program.to_wire()`), read only."""

    def __init__(self, wire: dict[str, Any]) -> None:
        self.wire = wire
        self.text: str = wire["text"]
        self.files: dict[str, Any] = wire.get("files") or {}
        # Of which blobs each file is made.
        self.layouts = layouts(wire)
        self.env: dict[str, str] = wire.get("env") or {}
        self.requirements: list[str] = wire.get("requirements") or []
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


class Layout:
    """What of the programs lies in `app/`, as the export lays it out."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        # The program whose files all lie there, and what a program has put there.
        self._program: WireProgram | None = None
        self._files: dict[str, Any] = {}

    def write(self, program: WireProgram) -> None:
        """Write a program's files, where they are not there.

        Those that are gone are removed; what the program itself or the person put there stays.

        Raises:
            NoSpace: the disk is full; whatever lies there is written anew next time.
        """
        if self._program is not None and self._program.wire == program.wire:
            return
        old, self._program = self._files, None
        self._files = dict.fromkeys([*old, *program.files], (None, 0))
        with writing(self._directory.app):
            _write_files(self._directory, program, old)
        self._program, self._files = program, program.files


def _write_files(directory: RunDirectory, program: WireProgram, old: Mapping[str, Any]) -> None:
    """Lay out `app/`; `old` are the files that programs before put there."""
    changed = {path for path in old if path not in program.files}
    for path in changed:
        _inside(directory.app, path).unlink(missing_ok=True)
    for path, (digest, _size) in program.files.items():
        target = _inside(directory.app, path)
        if old.get(path, [None])[0] != digest or not target.exists():
            changed.add(path)
            _forget_bytecode(target)
            copy_pieces(directory.values, program.layouts[path], target)
    if changed:
        importlib.invalidate_caches()
    handler = directory.app / "handler.py"
    handler.write_bytes(program.text.encode("utf-8"))
    linecache.checkcache(os.fspath(handler))


def _forget_bytecode(source: Path) -> None:
    """Remove a module's cached bytecode: of the same size and second, it passes for current."""
    for cached in (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"):
        cached.unlink(missing_ok=True)


def _inside(app: Path, path: str) -> Path:
    target = app / path
    if ".." in Path(path).parts or Path(path).is_absolute():
        raise ValueError(f"expected a path inside app/, got {path!r}")
    return target


def copy_pieces(values: Path, layout: Sequence[Sequence[Any]], target: Path) -> None:
    """Write a file of the program: the blobs that it is made of, one behind the other.

    A copy, not a link: the program may write into its files, and values are shared.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        for digest, _size in layout:
            with (values / digest).open("rb") as piece:
                shutil.copyfileobj(piece, file, BLOCK_BYTES)
