"""Does the file on disk equal what the notebook exports now?"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from .files import files
from .portable import refuse_unportable

if TYPE_CHECKING:
    from ..program.steps import Program


def check(program: Program, path: Path | str) -> str:
    """Return a unified diff from the files on disk to the export; "" where they are equal.

    Reads only. A data file that differs is named without its content.

    Raises:
        ExportError: the program cannot be exported at all.
    """
    refuse_unportable(program)
    wanted = files(program, Path(path))
    folder = Path(path).resolve().parent
    return "".join(_diff(place.relative_to(folder), place, data) for place, data in wanted.items())


def _diff(name: Path, place: Path, wanted: bytes) -> str:
    there = place.read_bytes() if place.is_file() else None
    if there == wanted:
        return ""
    try:
        old, new = (there or b"").decode("utf-8"), wanted.decode("utf-8")
    except UnicodeDecodeError:
        return f"Binary files a/{name} and b/{name} differ\n"
    before = "/dev/null" if there is None else f"a/{name}"
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), before, f"b/{name}"
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
