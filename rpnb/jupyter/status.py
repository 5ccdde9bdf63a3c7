"""`%runpod_status`: the worker, the program's cells in order, and what is warm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..session.pretty import size
from . import display, lines
from .hints import bound_names
from .screen import CellScreen

if TYPE_CHECKING:
    from ..program.cells import Cell
    from .notebook import Notebook

_MOST_NAMES = 6


def status(notebook: Notebook) -> None:
    """Draw the worker, its cells and what is warm."""
    screen = CellScreen(notebook.shell)
    if notebook.session is None:
        screen.lead(("not connected", "%runpod_connect TARGET"))
        return
    session = notebook.session
    gpus = notebook.gpus or session.info.get("gpus") or ()
    screen.lead(
        (
            session.target.label,
            f"worker {session.worker}",
            f"Python {session.info.get('python', '?')}",
            lines.vram(gpus) or lines.gpus(gpus),
            lines.keeping(notebook.kept),
        )
    )
    strays = set(notebook.strays())
    rows = [_row(notebook, cell, strays) for cell in notebook.cells]
    if rows:
        print(display.table(rows))


def _row(notebook: Notebook, cell: Cell, strays: set[str]) -> tuple[str, ...]:
    magic = f"%%runpod_{cell.kind}{f' {cell.name}' if cell.name else ''}"
    names = _names(notebook, cell)
    held = sum(each.get("bytes") or 0 for each in notebook.kept if each["name"] in names)
    shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    memory = size(held) if held >= lines.WORTH_NAMING_BYTES else ""
    return cell.label, magic, _state(notebook, cell), shown, memory, _marks(notebook, cell, strays)


def _state(notebook: Notebook, cell: Cell) -> str:
    """As the worker said last: ran, failed or not run."""
    fared = notebook.fared.get(cell.id)
    if fared is None:
        return "from before" if cell.id in notebook.from_before else "not run"
    return "ran" if fared["state"] == "kept" else str(fared["state"])


def _names(notebook: Notebook, cell: Cell) -> list[str]:
    """The names that a cell makes, modules left out."""
    types = notebook.session.names if notebook.session else {}
    return sorted(name for name in bound_names(cell.source) if types.get(name) != "module")


def _marks(notebook: Notebook, cell: Cell, strays: set[str]) -> str:
    gone = f"{cell.label} ({cell.name or cell.kind})" in strays
    why = notebook.reasons.of_cell(cell.id)
    return ", ".join([*(["not in the notebook"] if gone else []), *([why] if why else [])])
