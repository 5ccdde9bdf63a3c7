"""Where `rpnb export` of the saved notebook would write something else than this kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ProgramError

if TYPE_CHECKING:
    from ..program.cells import Cell
    from ..program.steps import Program
    from .notebook import Notebook

# It ran, and the notebook was saved without it since.
_ABSENT = "not in the notebook"


def differences(notebook: Notebook, program: Program) -> list[str]:
    """Return a sentence for each cell that differs; none where both would write the same.

    Without a saved notebook there is nothing to compare with.
    """
    from ..program import differences as compare

    page, cells = notebook.page, notebook.cells
    saved = page.cells()
    if not saved:
        return []
    dropped = [key for key, _ in notebook.memory.dropped]
    here = compare.Here(list(cells), page.ran, cells.handler, cells.deleted, dropped)
    found: list[str] = []
    if not _is_same(notebook, program):
        found += compare.of_remote_cells(here, saved, page.matched(cells))
    if page.ran:
        found += compare.of_ordinary_cells(here, saved, program.captures, notebook.python)
    return list(dict.fromkeys(found))


def strays(notebook: Notebook) -> list[str]:
    """Return the titles of cells of the program that the notebook, saved since, does not have."""
    return [cell.title for cell in notebook.cells if mark(notebook, cell) == _ABSENT]


def mark(notebook: Notebook, cell: Cell) -> str:
    """Return how a cell of the program differs from what is saved, in a few words; "" if not."""
    from ..program import differences as compare

    if not notebook.page.cells():
        return ""
    saved = notebook.page.matched(notebook.cells).get(cell.id)
    is_old = cell.id in notebook.cells.from_before or notebook.page.is_saved_since(cell.id)
    short = {compare.UNSAVED: _ABSENT if is_old else "not saved yet", compare.OTHER: "not as saved"}
    found = compare.of_cell(cell, saved)
    return short.get(found, found)


def _is_same(notebook: Notebook, program: Program) -> bool:
    """Whether the saved set-up and handler cells make the same text with the names as they are."""
    from ..program.build import build

    remote = [each.remote for each in notebook.page.cells() if each.remote is not None]
    try:
        there = build(remote, notebook.names(), env=program.env, base=program)
    except ProgramError:
        return False
    return there.text == program.text
