"""An existing `handler.py` as a program: one handler cell, with the modules beside it."""

from __future__ import annotations

from pathlib import Path

from ..errors import BadInput
from .cells import Cell
from .names import Names


def from_file(path: Path | str) -> list[Cell]:
    """Return a handler file as the one cell of a program.

    Build it with `names_for(path)`, which finds the modules beside the file.

    Raises:
        BadInput: the file is missing, or is not text.
    """
    place = Path(path)
    try:
        text = place.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"there is no file {place}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{place} cannot be read as Python: {error}") from error
    return [Cell(place.name, "handler", "", place.name, text.replace("\r\n", "\n"), 1)]


def names_for(path: Path | str) -> Names:
    """Return the surroundings of a handler file: no names, its folder's modules."""
    folder = Path(path).resolve().parent
    return Names({}, folder=folder, path=[str(folder)])
