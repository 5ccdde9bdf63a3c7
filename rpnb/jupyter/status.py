"""`%runpod_status`: the worker, the program's cells in order, and what is warm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..session.pretty import size
from . import display, lines
from .hints import bound_names
from .job_list import show_jobs
from .jobs import tell
from .screen import CellScreen
from .unsaved import mark

if TYPE_CHECKING:
    from ..program.cells import Cell
    from .notebook import Notebook

_MOST_NAMES = 6
# An unused worker that holds a GPU and is stopped within this time is worth a warning, in seconds.
_SOON = 3600.0


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
    answer = session.ask()
    stops_in = answer.stops_in if answer is not None and answer.holds_gpu else None
    if stops_in is not None and stops_in < _SOON:
        screen.line(lines.unused(session.target.label, stops_in, notebook.kept))
    notebook.read_page()
    rows = [_row(notebook, cell) for cell in notebook.cells.in_order()]
    if rows:
        print(display.table(rows))
    show_jobs(notebook, session.jobs)
    tell(notebook, (), screen)


def _row(notebook: Notebook, cell: Cell) -> tuple[str, ...]:
    magic = f"%%runpod_{cell.kind}{f' {cell.name}' if cell.name else ''}"
    names = _names(notebook, cell)
    held = sum(each.get("bytes") or 0 for each in notebook.kept if each["name"] in names)
    shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    memory = size(held) if held >= lines.WORTH_NAMING_BYTES else ""
    return cell.label, magic, _state(notebook, cell), shown, memory, _marks(notebook, cell)


def _state(notebook: Notebook, cell: Cell) -> str:
    """As the worker said last; "from before" until the cell runs in this kernel."""
    fared = notebook.cells.fared.get(cell.id)
    state = "not run" if fared is None else str(fared["state"])
    if cell.id in notebook.cells.from_before:
        return "from before" if fared is None or state == "kept" else f"{state}, from before"
    return "ran" if state == "kept" else state


def _names(notebook: Notebook, cell: Cell) -> list[str]:
    """The names that a cell makes, modules left out."""
    types = notebook.session.names if notebook.session else {}
    return sorted(name for name in bound_names(cell.source) if types.get(name) != "module")


def _marks(notebook: Notebook, cell: Cell) -> str:
    """What else there is to say: not as saved, not the program's handler, why it ran again."""
    handler = notebook.cells.handler
    is_other = cell.kind == "handler" and handler is not None and cell != handler
    other = f"{handler.label} is the handler" if is_other and handler else ""
    said = (mark(notebook, cell), other, notebook.reasons.of_cell(cell.id))
    return ", ".join(each for each in said if each)
