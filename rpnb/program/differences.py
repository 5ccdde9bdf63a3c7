"""Where the saved notebook would make another program than what ran, in a person's words.

`rpnb export` reads the file; a kernel has what ran. They differ where a cell was
edited, added or deleted and not saved, or saved and not run, and where ordinary
cells ran in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .cells import Cell
from .order import NotebookCell
from .selection import Effects, effects, select
from .steps import Capture

_WIDEST = 44
# How a cell of the program may differ from the saved one.
UNSAVED = "is not in the saved notebook yet"
ORDINARY = "is an ordinary cell in the saved notebook"
OTHER = "ran with another text than is saved"


@dataclass(frozen=True)
class Ran:
    """A cell that ran here: its text, the first run with that text, and its last run."""

    text: str
    since: int
    last: int


@dataclass(frozen=True)
class Here:
    """What ran in this kernel: the program's cells in order, and every cell's runs by id.

    `deleted` are ids of cells that left the program, `dropped` of those that the person
    dropped; `handler` is the cell whose handler the program has.
    """

    cells: Sequence[Cell]
    ran: Mapping[str, Ran]
    handler: Cell | None = None
    deleted: Collection[str] = ()
    dropped: Collection[str] = ()


def of_cell(cell: Cell, saved: NotebookCell | None) -> str:
    """Return how a cell of the program differs from the saved cell that it is; "" if not at all."""
    if saved is None:
        return UNSAVED
    if saved.remote is None:
        return ORDINARY
    return "" if cell.says_what(saved.remote) else OTHER


def of_remote_cells(
    here: Here, saved: Sequence[NotebookCell], matched: Mapping[str, NotebookCell]
) -> Iterator[str]:
    """Yield how set-up and handler cells differ; `matched` has the saved cell of each."""
    for cell in here.cells:
        found = of_cell(cell, matched.get(cell.id))
        if found:
            yield f"{cell.title} {found}"
    there = {each.id for each in matched.values()}
    for each in saved:
        if each.remote is not None and each.id not in there:
            yield f"{_magic(each)} is saved, and {_fate(each, here)}"
    yield from _of_handler(here, saved, matched)


def _of_handler(
    here: Here, saved: Sequence[NotebookCell], matched: Mapping[str, NotebookCell]
) -> Iterator[str]:
    """The last handler cell in the notebook is the program's there; here the one that ran last."""
    handlers = [each for each in saved if each.remote and each.remote.kind == "handler"]
    there = [cell for cell in here.cells if handlers and matched.get(cell.id) is handlers[-1]]
    if here.handler and there and there[0] != here.handler:
        yield (
            f"{here.handler.title} ran last and is the handler here; "
            f"in the notebook the last one is {there[0].label}"
        )


def _magic(cell: NotebookCell) -> str:
    remote = cell.remote
    name = f" {remote.name}" if remote and remote.name else ""
    return f"`%%runpod_{remote.kind if remote else ''}{name}`"


def _fate(cell: NotebookCell, here: Here) -> str:
    if cell.id not in here.deleted:
        return "was dropped here" if cell.id in here.dropped else "has not run here"
    ran = here.ran.get(cell.id)
    is_other = ran is not None and ran.text.strip() != cell.text.strip()
    return "is an ordinary cell here" if is_other else "was deleted here"


def of_ordinary_cells(
    here: Here,
    saved: Sequence[NotebookCell],
    captures: Sequence[Capture],
    python: Callable[[str], str],
) -> Iterator[str]:
    """Yield how ordinary cells differ that make what the program captured.

    `python` gives a cell's text with IPython's syntax as calls of `get_ipython()`.
    """
    local = [each for each in saved if each.magic is None or each.magic.kind == "test"]
    texts = [python(each.magic.body if each.magic else each.text) for each in local]
    found, names = effects(texts), {each.name for each in captures}
    chosen = select(found, names)
    bound = {name for each in found for name in each.binds} if not _unseen(found) else names
    for each in captures:
        if each.name not in bound:
            yield f"`{each.name}` is made in {each.label or 'a cell'}, which is not saved"
    for index in chosen:
        yield from _of_one(local[index], found[index], here, captures)
    for number, below in enumerate(chosen):
        used = _used(found[below], [found[each] for each in chosen])
        for above in chosen[:number]:
            cells = local[above], local[below]
            yield from _of_stale(*cells, found[above], used, here)
            yield from _of_order(*cells, found[above].binds & found[below].binds & names, here)


def _unseen(found: Sequence[Effects]) -> bool:
    return any(each.opaque for each in found)


def _of_one(
    cell: NotebookCell, found: Effects, here: Here, captures: Sequence[Capture]
) -> Iterator[str]:
    ran = here.ran.get(cell.id)
    made = [each for each in captures if each.name in found.binds]
    if ran is None and not all(each.text in cell.text for each in made):
        yield f"{_begin(cell)} makes `{made[0].name}` and has not run here"
    elif ran is not None and ran.text.strip() != cell.text.strip():
        yield f"{_begin(cell)} ran with another text than is saved"


def _used(cell: Effects, others: Sequence[Effects]) -> frozenset[str]:
    """What a cell uses when it runs: what it reads, and what functions read that it may call."""
    used, before = cell.reads | cell.changes, frozenset[str]()
    while used != before:
        before = used
        used |= frozenset[str]().union(*(each.later for each in others if each.binds & used))
    return used


def _of_stale(
    above: NotebookCell, below: NotebookCell, made: Effects, used: frozenset[str], here: Here
) -> Iterator[str]:
    """A cell that has not run since another changed, which it uses."""
    first, second = here.ran.get(above.id), here.ran.get(below.id)
    given = ((made.binds - made.imports) | made.changes) & used
    if first and second and second.last < first.since and given:
        yield f"{_begin(below)} ran before {_begin(above)} was what it is now"


def _of_order(
    above: NotebookCell, below: NotebookCell, both: Collection[str], here: Here
) -> Iterator[str]:
    """Two cells that bind the same name, and ran in another order than they stand in."""
    first, second = here.ran.get(above.id), here.ran.get(below.id)
    if first and second and first.last > second.last and both:
        yield f"{_begin(above)} ran after {_begin(below)}, which stands below it"


def _begin(cell: NotebookCell) -> str:
    line = next((each.strip() for each in cell.text.split("\n") if each.strip()), "")
    short = line if len(line) <= _WIDEST else line[: _WIDEST - 1] + "…"
    return f"the cell `{short}`"
