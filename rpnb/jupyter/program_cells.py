"""The cells of the program, kept in line with the page: which they are, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .page import Page
from .reasons import Reasons

if TYPE_CHECKING:
    from ..program.cells import Cell, Cells
    from ..program.names import Names
    from ..program.order import NotebookCell
    from ..program.steps import Program


@dataclass
class ProgramCells:
    """The set-up and handler cells that ran, in order.

    `from_before` are ids of those that came with the worker and have not run in
    this kernel; `fared` says of each how it went at the last sync, by its id:
    {"state", "seconds", "names"}. With `is_typed` a person types cell after cell.
    """

    page: Page
    reasons: Reasons = field(default_factory=Reasons)
    is_typed: bool = False
    from_before: set[str] = field(default_factory=set)
    fared: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    # The handler cell that ran last: with several, its handler is the program's.
    _handler: str = ""
    # Cells that the front end reported deleted, the file's stamp then, and whether they
    # were from before, by id.
    _left: dict[str, tuple[Cell, Any, bool]] = field(default_factory=dict)
    _news: list[str] = field(default_factory=list)
    # The cells, the handler's id and `from_before`, before the running cell's `put`.
    _before: tuple[list[Cell], str, set[str]] | None = None

    # Made when first asked for: loading the extension must not import the program's room.
    @cached_property
    def _cells(self) -> Cells:
        from ..program.cells import Cells

        return Cells()

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def get(self, cell_id: str) -> Cell | None:
        """Return the cell with this id."""
        return self._cells.get(cell_id)

    def called(self, key: str) -> list[Cell]:
        """Return the cells with this NAME; else those with this label."""
        return self._cells.called(key)

    def in_order(self) -> list[Cell]:
        """Return the cells as they stand in the program: handlers below all else, its own last."""
        last = self.handler
        return sorted(self, key=lambda cell: (cell.kind == "handler", cell == last))

    @property
    def handler(self) -> Cell | None:
        """The handler cell that ran last, else the last one in order; None without any."""
        found = [cell for cell in self if cell.kind == "handler"]
        ran = [cell for cell in found if cell.id == self._handler] or found
        return ran[-1] if ran else None

    def begin(self, deleted: Iterable[str]) -> None:
        """A cell begins to run; `deleted` are ids that the front end reports with it."""
        self._before = None
        for gone in self.page.deleted(deleted):
            self._leaves(gone, "it was deleted. If it was cut and pasted, save the notebook")

    def end(self, kind: str | None) -> None:
        """A cell ran to its end; one that was the program's and is of another kind now leaves."""
        if kind not in ("setup", "handler"):
            self._leaves(self.page.running, "it is an ordinary cell now")

    def put(self, cell: Cell) -> Cell:
        """Add the running cell, or replace its earlier version; return it with its id."""
        self._before = list(self), self._handler, set(self.from_before)
        placed = self._cells.put(cell, among=self._may_be(cell))
        self.from_before.discard(placed.id)
        self.page.bind(placed.id)
        if cell.kind == "handler":
            self._handler = placed.id
        self._note_twins(placed)
        return placed

    def take_back(self) -> None:
        """Undo the last `put` of the running cell: what it brought was not sent."""
        if self._before is None:
            return
        cells, self._handler, self.from_before = self._before
        self._replace(cells)
        self._before = None

    def drop(self, cell_id: str) -> Cell | None:
        """Take the cell with this id out of the program; return it."""
        self.from_before.discard(cell_id)
        return self._cells.drop(cell_id)

    def adopt(
        self,
        program: Program | None,
        dropped: Collection[Sequence[str]] = (),
        send: Mapping[str, Sequence[str]] = {},
    ) -> None:
        """Take over the cells of the worker's program; those that ran here replace theirs.

        `dropped` are id and text of those that the person has dropped since, `send` the
        names that `--send` allowed, by the cell's id.
        """
        from ..program.cells import is_lasting

        known = dict(self.fared)
        self.fared.clear()
        if program is None:
            return
        mine = [each for each in self if each.id not in self.from_before]
        ids = {key for key, _ in dropped if is_lasting(key)}
        texts = {text for key, text in dropped if not is_lasting(key)}
        # An id that was made up in another kernel's life may be another cell's here.
        self._replace(
            replace(each, send=tuple(send.get(each.id, ())))
            if is_lasting(each.id)
            else replace(each, id="")
            for each in program.cells
            if not (each.id in ids if is_lasting(each.id) else each.source in texts)
        )
        self.from_before = {cell.id for cell in self}
        for cell in mine:
            placed = self._cells.put(cell, among=self.from_before)
            self.from_before.discard(placed.id)
            if cell.id in known and any(cell.says_what(each) for each in program.cells):
                self.fared[placed.id] = known[cell.id]
        self.from_before &= {cell.id for cell in self}
        if not self._handler and self.handler is not None:
            self._handler = self.handler.id

    @property
    def deleted(self) -> Collection[str]:
        """Ids of cells that left the program, while the file still has them."""
        return self._left.keys()

    def keep_only(self, knows: Callable[[Cell], bool]) -> None:
        """Another worker is there: what came with the last one and is not from here leaves."""
        for cell in list(self):
            if cell.id in self.from_before and not knows(cell):
                self.drop(cell.id)
                why = "it came with another worker. If it is yours, run it here"
                self._news.append(f"{cell.title} left the program: {why}")

    def tell(self, news: str) -> None:
        """Have this said with the next news of cells."""
        self._news.append(news)

    def told(self) -> list[str]:
        """Return the news of cells that came and went; each is told once."""
        news, self._news = self._news, []
        return news

    def read_page(self, names: Names) -> None:
        """Bring the cells in line with the notebook's file: its ids, its order, what it lacks.

        `names` are those of ordinary cells.
        """
        saved = self.page.cells()
        if not saved:
            return
        self._return(saved)
        found = self.page.matched(self)
        for cell in list(self):
            if cell.id not in found and self._is_gone(cell):
                self._leaves(cell.id, "it is no longer in the notebook")
            elif cell.id in found and found[cell.id].has_id:
                self._rename(cell.id, found[cell.id].id)
        self._cells.arrange(self.page.order(self, names))

    def _is_gone(self, cell: Cell) -> bool:
        """Whether a cell that the file does not have was deleted, and is not just unsaved."""
        from ..program.cells import is_lasting

        if cell.id in self.page.seen:
            return True
        return is_lasting(cell.id) and self.page.is_saved_since(cell.id)

    def _leaves(self, cell_id: str, why: str) -> None:
        is_old = cell_id in self.from_before
        cell = self.drop(cell_id)
        if cell is not None:
            self._left[cell_id] = cell, self.page.stamp, is_old
            self._news.append(f"{cell.title} left the program: {why}")

    def _return(self, saved: Sequence[NotebookCell]) -> None:
        """A cell that was reported deleted, and that the file still has after a save, is back."""
        there = {each.id for each in saved if each.remote is not None}
        for key, (cell, stamp, is_old) in list(self._left.items()):
            if stamp == self.page.stamp:
                continue
            del self._left[key]
            if key in there and self.get(key) is None:
                self._cells.add(cell)
                self.from_before |= {key} if is_old else set()
                self._news.append(f"{cell.title} is in the program again")

    def _rename(self, old: str, new: str) -> None:
        """Call a cell by the id that the file has for it."""
        if old == new:
            return
        self._cells.rename(old, new)
        self.page.rename(old, new)
        self.reasons.rename(old, new)
        self.from_before = {new if each == old else each for each in self.from_before}
        if old in self.fared:
            self.fared[new] = self.fared.pop(old)
        self._handler = new if self._handler == old else self._handler

    def _may_be(self, cell: Cell) -> Collection[str] | None:
        """Ids of cells that may be an earlier version of one whose id the program does not know.

        What ran in this kernel has an id that the front end would have said again; only
        a person who types cell after cell in a terminal gives none and types them anew.
        """
        from ..program.cells import is_lasting

        if not self.page.running and self.is_typed:
            return None
        if cell.id and not self.page.is_addressed:
            return {each for each in self.from_before if not is_lasting(each)}
        return self.from_before

    def _note_twins(self, placed: Cell) -> None:
        """Say which other cell is in the program still, where this one may have taken its place."""
        known = {each.id for each in self.page.cells()}
        if not known or placed.id in known or placed.id in self.fared:
            return
        for other in self:
            is_named = placed.name and other.name == placed.name
            if other.id != placed.id and (is_named or other.says_what(placed)):
                same = "has the same NAME" if is_named else "says the same"
                self._news.append(
                    f"{other.title} {same} and is in the program, too. "
                    "If this is its new place, save the notebook"
                )

    def _replace(self, cells: Iterable[Cell]) -> None:
        for each in list(self):
            self._cells.drop(each.id)
        for each in cells:
            self._cells.add(each)
