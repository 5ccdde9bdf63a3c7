"""`%runpod_explain`: why each step of the program ran again, or stayed warm."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from ..errors import BadInput
from .display import table
from .screen import CellScreen

if TYPE_CHECKING:
    from ..program.options import Options
    from .notebook import Notebook


def explain(notebook: Notebook, options: Options) -> None:
    """Draw why NAME, or each step of the last sync, ran or stayed warm.

    Raises:
        BadInput: no step of the program makes NAME.
    """
    found, screen = notebook.reasons, CellScreen(notebook.shell)
    if not found.steps:
        screen.lead((notebook.target, "nothing has run from this kernel yet"))
        return
    if options.word:
        _explain_name(notebook, options.word)
        return
    ran = sum(bool(each.reason) for each in found.steps)
    counts = f"{ran} step{'' if ran == 1 else 's'} ran, {len(found.steps) - ran} stayed warm"
    why = f"new worker: {found.restart}" if found.restart else ""
    screen.lead((notebook.target, f"last run, {found.at}", counts, why))
    print(table([(each.place, each.what, each.fate) for each in found.steps]))


def _explain_name(notebook: Notebook, name: str) -> None:
    found = notebook.reasons
    steps = [each for each in found.steps if name in each.names]
    past = found.past.get(name, [])
    if not steps and not past:
        known = sorted({name for each in found.steps for name in each.names})
        close = difflib.get_close_matches(name, known, 1)
        meant = f"; did you mean {close[0]}?" if close else f": it makes {', '.join(known)}"
        raise BadInput(f"no step of the program makes {name!r}{meant}")
    last = steps[-1].fate if steps else "it is no longer in the program"
    CellScreen(notebook.shell).lead((notebook.target, name, f"last run, {found.at}", last))
    rows = [(each.place, each.what, each.fate) for each in steps]
    before = [text for number, text in reversed(past) if number < found.number]
    earlier = [("before", text, "") for text in before]
    print(table([*rows, *earlier]))
