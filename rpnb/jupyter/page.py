"""The notebook's page, as far as a kernel can know it: which cells ran, and what its file says.

What a front end calls a cell is the file's own id (JupyterLab, Notebook 7), an
address that counts for the window alone (VS Code), or nothing (nbclient, a
terminal). Here every cell has one id: the file's where it is known.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import cell_ids

if TYPE_CHECKING:
    from ..program.cells import Cell
    from ..program.differences import Ran
    from ..program.names import Names
    from ..program.order import NotebookCell

# The file's identity and state: another one after each save.
_Stamp = tuple[int, int, int] | None


@dataclass
class Page:
    """What ran in this kernel, by id, and the cells of the notebook's file.

    `running` is the id of the cell that runs, "" where nobody says; `log` has the
    id of each run. A file that was renamed in its folder is found again.
    """

    path: Path | None = None
    running: str = ""
    log: list[str] = field(default_factory=list)
    ran: dict[str, Ran] = field(default_factory=dict)
    # Plain settings, each with the id of the cell whose `%runpod_env` line made it.
    settings: dict[str, str] = field(default_factory=dict)
    # The file's stamp when the cell ran last, by id.
    _stamps: dict[str, _Stamp] = field(default_factory=dict)
    # Ids that the file has or had.
    seen: set[str] = field(default_factory=set)
    _given: str = ""
    _count: int = 0
    # Address -> id; a cell that is not saved yet has its address for an id.
    _addresses: dict[str, str] = field(default_factory=dict)
    _reported: frozenset[str] = frozenset()
    # The file's ids when the cell before this one ran.
    _before: list[str] = field(default_factory=list)
    _renamed: Path | None = None
    _read: tuple[_Stamp, list[NotebookCell]] = (None, [])

    def begin(self, given: str | None, text: str) -> None:
        """Note the cell that is about to run; `given` is what the front end calls it."""
        from ..program.differences import Ran

        self._given, self._count = given or "", self._count + 1
        self._before = [each.id for each in self._read[1]]
        self.cells()
        self.running = self._id_of(self._given, text)
        if not self.running:
            return
        self.log.append(self.running)
        earlier = self.ran.get(self.running)
        since = earlier.since if earlier and earlier.text == text else self._count
        self.ran[self.running] = Ran(text, since, self._count)
        self._stamps[self.running] = self.stamp

    @property
    def is_addressed(self) -> bool:
        """Whether the front end's name of the running cell counts for its window alone."""
        return cell_ids.is_address(self._given)

    def bind(self, cell_id: str) -> None:
        """The running cell is the program's cell of this id."""
        if self.is_addressed:
            self.rename(self.running, cell_id)
            self._addresses[self._given] = cell_id
            self.running = cell_id

    def rename(self, old: str, new: str) -> None:
        """A cell's id has become known, or is another one: the file has lost the old one."""
        self.log = [new if each == old else each for each in self.log]
        # Where the file had the old id, no cell of the window has it any more.
        kept = {
            a: each for a, each in self._addresses.items() if each != old or old not in self.seen
        }
        self._addresses = {a: new if each == old else each for a, each in kept.items()}
        self.settings = {k: new if each == old else each for k, each in self.settings.items()}
        if old in self.ran:
            self.ran[new], self._stamps[new] = self.ran.pop(old), self._stamps.pop(old)

    def remembers(self, ids: Iterable[str]) -> None:
        """Take over the ids that the file had in an earlier life of this kernel."""
        known = set(ids)
        if known & set(self.ids) or not self.ids:
            self.seen |= known

    def deleted(self, reported: Iterable[str]) -> list[str]:
        """Return the ids of cells that are newly reported deleted, and are not there again.

        JupyterLab reports what was cut, too, also where it was pasted elsewhere; and
        when many cells are run at once, each of them reports the same, the pasted
        cell included.
        """
        now = frozenset(reported)
        new = now - self._reported - {self.running}
        self._reported = now
        return [each for each in sorted(new) if not self._has_moved(each)]

    def cells(self) -> list[NotebookCell]:
        """The code cells of the notebook's file, in order; none where there is no file of ours."""
        stamp = self.stamp
        if stamp != self._read[0]:
            cells = _read(self._file)
            ids = {each.id for each in cells if each.has_id}
            # Else another notebook has taken the name.
            is_ours = not (self.seen and ids) or bool(self.seen & ids)
            self._read = (stamp, cells if is_ours else [])
            self.seen |= ids if is_ours else set()
            self._name_saved()
        return self._read[1]

    @property
    def ids(self) -> list[str]:
        """The ids of the file's code cells, in order."""
        return [each.id for each in self.cells() if each.has_id]

    def unset(self) -> list[str]:
        """Return the settings whose cell was deleted, or lost the line while no kernel ran."""
        saved = {each.id: each.text for each in self.cells()}
        if not saved:
            return []
        return [
            key
            for key, cell in self.settings.items()
            if (cell in self.seen or self.is_saved_since(cell))
            and (cell not in saved or (cell not in self.ran and f"{key}=" not in saved[cell]))
        ]

    def matched(self, cells: Iterable[Cell]) -> dict[str, NotebookCell]:
        """Return the saved cell that each of the program's cells is, by the latter's id."""
        from ..program import order

        return order.matched(cells, self.cells(), self.seen)

    def order(self, cells: Iterable[Cell], names: Names) -> list[str]:
        """Return the ids of the program's cells in the notebook's order."""
        from ..program import order

        by_id = {cell.id: cell for cell in cells}
        place = {each.id: each.place for each in self.cells()}
        place |= {key: each.place for key, each in self.matched(by_id.values()).items()}
        ordered = [by_id[each] for each in order.order(place, by_id, self.log)]
        return [cell.id for cell in order.lifted(ordered, by_id.keys() - place.keys(), names)]

    @property
    def stamp(self) -> _Stamp:
        """What tells one save of the file from another; None without a file."""
        return _stamp(self._file)

    def is_saved_since(self, cell_id: str) -> bool:
        """Whether the file was written after this cell ran last."""
        return cell_id in self._stamps and self._stamps[cell_id] != self.stamp

    def _id_of(self, given: str, text: str) -> str:
        if given and not cell_ids.is_address(given):
            return given
        known = self._addresses.get(given, given)
        if known == given:
            known = self._by_text(text) or given
            if given:
                self._addresses[given] = known
        return known

    def _by_text(self, text: str) -> str:
        """The id of the saved cell with this text that is no other cell's; "" where none is.

        Where cells have no addresses it is the first one that has not run, else the first.
        """
        same = [each.id for each in self.cells() if each.text.strip() == text.strip()]
        taken = set(self._addresses.values()) if self._given else self.ran.keys()
        again = [] if self._given else same[:1]
        return next((each for each in same if each not in taken), *again or [""])

    def _name_saved(self) -> None:
        """Cells that ran under an address get the file's id, once they are saved.

        Of cells with the same text it is the one that ran last: others may be deleted.
        """
        unnamed = filter(cell_ids.is_address, self.ran)
        for address in sorted(unnamed, key=lambda each: -self.ran[each].last):
            known = self._by_text(self.ran[address].text)
            if known:
                self.rename(address, known)

    def _has_moved(self, cell_id: str) -> bool:
        """Whether the file, read anew, has this cell in another place than before."""
        now = [each.id for each in self.cells()]
        both = set(now) & set(self._before)
        before, after = ([each for each in ids if each in both] for ids in (self._before, now))
        return cell_id in both and before.index(cell_id) != after.index(cell_id)

    @property
    def _file(self) -> Path | None:
        """The notebook's file; under its new name, where it was renamed in its folder."""
        if self.path is None or self.path.exists() or not self.seen:
            return self.path
        if self._renamed is None or not self._renamed.exists():
            others = sorted(self.path.parent.glob("*.ipynb"))
            self._renamed = next((each for each in others if self._is_this(each)), None)
        return self._renamed

    def _is_this(self, path: Path) -> bool:
        ids = {each.id for each in _read(path)}
        return len(ids & self.seen) > len(self.seen) / 2


def _stamp(path: Path | None) -> _Stamp:
    with contextlib.suppress(OSError):
        found = path.stat() if path is not None else None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
    return None


def _read(path: Path | None) -> list[NotebookCell]:
    """The code cells of a file; one that cannot be read is the export's business, and has none."""
    from ..program.order import code_cells

    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
        return code_cells(json.loads(path.read_text(encoding="utf-8"))) if path else []
    return []
