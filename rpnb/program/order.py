"""The saved notebook: its cells, which of them the program's cells are, and their order.

No front end tells the kernel how its cells are ordered; the notebook's file
does. It is read as JSON, so that neither a kernel nor nbformat is needed.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import BadInput
from . import options
from .cells import Cell, Magic, is_lasting, parse_magic, plain
from .uses import Uses, split, uses


@dataclass(frozen=True)
class NotebookCell:
    """A code cell of a notebook's file; `place` counts from 1 among the code cells.

    Before nbformat 4.5 cells have no ids: `id` is then made of the place, and `has_id` false.
    """

    id: str
    place: int
    text: str
    has_id: bool = True

    @property
    def label(self) -> str:
        """What a person calls it: "cell 3"."""
        return f"cell {self.place}"

    @cached_property
    def magic(self) -> Magic | None:
        """The cell's rpnb magic, if it has one."""
        return parse_magic(self.text)

    @cached_property
    def remote(self) -> Cell | None:
        """The program's cell that this one is; None for a cell of another kind.

        A magic's line that cannot be read gives it no NAME.
        """
        if self.magic is None or self.magic.kind not in ("setup", "handler"):
            return None
        try:
            name = options.parse(f"runpod_{self.magic.kind}", self.magic.line).word or ""
        except BadInput:
            name = ""
        magic = self.magic
        return Cell(self.id, magic.kind, name, self.label, magic.body, magic.first_line)


def code_cells(notebook: Mapping[str, Any]) -> list[NotebookCell]:
    """Return the code cells of a notebook's JSON."""
    return list(_code_cells(notebook))


def _code_cells(notebook: Mapping[str, Any]) -> Iterator[NotebookCell]:
    place, seen = 0, set[str]()
    for cell in notebook.get("cells") or ():
        if cell.get("cell_type") != "code":
            continue
        place += 1
        source, given = cell.get("source") or "", str(cell.get("id") or "")
        text = source if isinstance(source, str) else "".join(source)
        # Some tools have written an id twice: the second one names nothing.
        known = bool(given) and given not in seen
        seen.add(given)
        yield NotebookCell(given if known else f"position-{place}", place, text, known)


def matched(
    cells: Iterable[Cell], saved: Sequence[NotebookCell], seen: Collection[str] = ()
) -> dict[str, NotebookCell]:
    """Return the saved cell that each of the program's cells is, by the latter's id.

    It is the one of its id. A cell whose id the file had (it is among `seen`) and
    has no more, or that never had one, is the saved cell that says the same; one
    that never had an id also the one of its NAME. No saved cell is two.
    """
    cells = list(cells)
    by_id = {each.id: each for each in saved}
    found = {cell.id: by_id[cell.id] for cell in cells if cell.id in by_id}
    taken = {each.id for each in found.values()}
    free = [each for each in saved if each.remote is not None and each.id not in taken]
    # First those that never had an id: a pasted cell runs under none until it is saved.
    lost = sorted((c for c in cells if c.id not in found), key=lambda cell: is_lasting(cell.id))
    has_ids = any(each.has_id for each in saved)
    for by_name in (False, True):
        for cell in lost:
            lasting = is_lasting(cell.id) and has_ids
            if cell.id in found or (lasting and (by_name or cell.id not in seen)):
                continue
            same = next((each for each in free if _is(cell, each.remote, by_name=by_name)), None)
            if same is not None:
                found[cell.id] = same
                free.remove(same)
    return found


def _is(cell: Cell, other: Cell | None, *, by_name: bool) -> bool:
    if other is None:
        return False
    if by_name:
        return bool(cell.name) and (cell.kind, cell.name) == (other.kind, other.name)
    return cell.name == other.name and cell.says_what(other)


def order(place: Mapping[str, int], ids: Iterable[str], ran: Sequence[str]) -> list[str]:
    """Return ids in the order of the saved notebook, which knows the place of some.

    One that is not saved stands behind the saved cell that ran last before it
    did first (`ran` has the id of every run, in order); one that has not run
    here behind its neighbour in `ids`.
    """
    given = list(ids)
    behind = {**_behind(place, given), **_behind(place, ran)}
    return sorted(given, key=lambda each: (place[each], -1) if each in place else behind[each])


def _behind(place: Mapping[str, int], ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    found, last = dict[str, tuple[int, int]](), -1
    for number, each in enumerate(ids):
        last = place.get(each, last)
        if each not in place:
            found.setdefault(each, (last, number))
    return found


def lifted(cells: Sequence[Cell], unsaved: Collection[str], here: Container[str]) -> list[Cell]:
    """Return the cells with each unsaved one above the first that cannot do without it.

    Such a cell needs at once what the unsaved one binds, and has it from nowhere else:
    no cell above binds it, nor is it among the names `here`.
    """
    found = list(cells)
    for cell in cells:
        if cell.id not in unsaved:
            continue
        bound, needing = _bound(cell), None
        above: set[str] = set()
        for other in found[: found.index(cell)]:
            wanted = (_needed(other) & bound) - above
            if any(name not in here for name in wanted):
                needing = other
                break
            above |= _bound(other)
        if needing is not None:
            found.remove(cell)
            found.insert(found.index(needing), cell)
    return found


def _bound(cell: Cell) -> frozenset[str]:
    return frozenset().union(*(each.binds | each.sets for each in _uses(cell)))


def _needed(cell: Cell) -> set[str]:
    """Names that a cell needs when it runs, and not only when a function of it is called."""
    needed, bound = set[str](), set[str]()
    for each in _uses(cell):
        needed |= set(each.now) - bound
        bound |= each.binds
    return needed


def _uses(cell: Cell) -> list[Uses]:
    try:
        return [uses(each) for each in split(plain(cell.source))]
    except (SyntaxError, ValueError):
        return []
