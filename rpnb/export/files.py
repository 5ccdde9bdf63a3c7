"""Which files a program is: its text, and what lies beside it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..errors import ExportError

if TYPE_CHECKING:
    from ..program.steps import Program


def files(program: Program, path: Path) -> dict[Path, bytes]:
    """Return every file of the export by its real path, the handler's own first.

    Local modules and data files lie beside `path`, laid out as the worker has them.

    Raises:
        ExportError: `path` is a folder, or a file would lie outside its folder.
    """
    if path.is_dir():
        raise ExportError(f"{path} is a folder: name the file, such as {path / 'handler.py'}")
    target = path.resolve()
    found = {target: _encoded(program)}
    for name in program.files:
        place = _beside(target, name)
        if place in found:
            raise ExportError(
                f"{target.name} would overwrite the local module of the same name that the "
                "program imports: export under another name"
            )
        found[place] = _content(program, name)
    return found


def _content(program: Program, name: str) -> bytes:
    content = program.content(name)
    if content is None:
        raise ExportError(
            f"{name} is only on the target: its value was made before this kernel began. Run the "
            "cell that makes it again, or drop what uses it with %runpod_drop"
        )
    return content


def _encoded(program: Program) -> bytes:
    try:
        return program.text.encode("utf-8")
    except UnicodeEncodeError as error:
        line = program.text.count("\n", 0, error.start) + 1
        raise ExportError(
            f"{place_of(program, line)} holds a character that no file can hold "
            f"({error.object[error.start : error.end]!r}): write it as an escape"
        ) from None


def _beside(target: Path, name: str) -> Path:
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts:
        raise ExportError(f"the program's file {name!r} lies outside the folder of {target.name}")
    return target.parent.joinpath(*parts.parts)


def place_of(program: Program, line: int) -> str:
    """Return where a line of the program's text was typed, such as "cell 3, line 2"."""
    where = program.where(line)
    return f"line {line}" if where is None else str(where)
