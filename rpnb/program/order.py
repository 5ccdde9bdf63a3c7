"""The order of cells: what the saved notebook says, and what ran but is not saved yet.

No front end tells the kernel how its cells are ordered; the notebook's file
does. It is read as JSON, so that neither a kernel nor nbformat is needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import options
from .cells import Cell, Magic, parse_magic


@dataclass(frozen=True)
class NotebookCell:
    """A code cell of a notebook's file; `label` is its place among the code cells."""

    id: str
    label: str
    text: str

    @property
    def magic(self) -> Magic | None:
        """The cell's rpnb magic, if it has one."""
        return parse_magic(self.text)


@dataclass(frozen=True)
class Order:
    """Ids in their order; `deleted` are gone from the notebook, `unsaved` not in it yet."""

    ids: tuple[str, ...]
    deleted: tuple[str, ...] = ()
    unsaved: tuple[str, ...] = ()


def code_cells(notebook: Mapping[str, Any]) -> list[NotebookCell]:
    """Return the code cells of a notebook's JSON; a cell without an id gets one by its place."""
    return list(_code_cells(notebook))


def _code_cells(notebook: Mapping[str, Any]) -> Iterator[NotebookCell]:
    number = 0
    for cell in notebook.get("cells") or ():
        if cell.get("cell_type") != "code":
            continue
        number += 1
        source = cell.get("source") or ""
        text = source if isinstance(source, str) else "".join(source)
        yield NotebookCell(str(cell.get("id") or f"cell:{number}"), f"cell {number}", text)


def program_cells(cells: Sequence[NotebookCell]) -> list[Cell]:
    """Return the set-up and handler cells among a notebook's, as the kernel would have them.

    Raises:
        BadInput: a magic's line cannot be read.
    """
    return [
        to_cell(each.magic, id=each.id, label=each.label)
        for each in cells
        if each.magic is not None and each.magic.kind in ("setup", "handler")
    ]


def to_cell(magic: Magic, *, id: str, label: str) -> Cell:  # noqa: A002 - the field's own name
    """Return the remote cell that a set-up or handler magic makes.

    Raises:
        BadInput: the magic's line cannot be read.
    """
    typed = options.parse(f"runpod_{magic.kind}", magic.line)
    return Cell(id, magic.kind, typed.word or "", label, magic.body, magic.first_line)


def order(
    notebook: Mapping[str, Any] | None, executed: Sequence[str], *, seen: Collection[str] = ()
) -> Order:
    """Return the order of the cells that ran.

    `executed` are ids in the order of their first run, ordinary cells included;
    `seen` are ids that an earlier reading of the file (or the adopted program)
    had: one of these that the file no longer has was deleted. Without a
    notebook the order is that of the first run.
    """
    ran = list(dict.fromkeys(executed))
    if notebook is None:
        return Order(tuple(ran))
    saved = [cell.id for cell in code_cells(notebook)]
    place = {each: number for number, each in enumerate(saved)}
    deleted = [each for each in ran if each not in place and each in seen]
    unsaved = [each for each in ran if each not in place and each not in seen]
    # An unsaved cell follows the saved cell that ran last before it.
    behind, last = dict[str, int](), -1
    for each in ran:
        last = place.get(each, last)
        behind[each] = last
    ids = sorted(
        (each for each in ran if each not in deleted),
        key=lambda each: (behind[each], each not in place),
    )
    return Order(tuple(ids), tuple(deleted), tuple(unsaved))
