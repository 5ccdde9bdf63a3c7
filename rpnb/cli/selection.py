"""Which ordinary cells of a notebook must be executed: what they say, as plain Python."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from ..program import selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .parts import Local


def select(
    cells: Sequence[Local], names: Iterable[str], forced: Sequence[Local] = ()
) -> list[Local]:
    """Return those of `cells` that `names` depend on, and `forced`, in notebook order."""
    found = selection.effects(python(cell.text) for cell in cells)
    wanted = {index for index, cell in enumerate(cells) if cell in forced}
    return [cells[index] for index in selection.select(found, names, wanted)]


def needed_names(texts: Iterable[str]) -> set[str]:
    """Return the names that the texts, one below the other, need from outside."""
    return selection.needed_names(map(python, texts))


def python(source: str) -> str:
    """Return the cell as plain Python, IPython's own syntax as calls of `get_ipython()`.

    Magics that only measure or hide what a cell does are left out.
    """
    text = selection.without_measures(source)
    try:
        ast.parse(text)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        transformer: Any = TransformerManager()  # type: ignore[no-untyped-call]  # IPython's
        plain: str = transformer.transform_cell(text)
        return plain
    return text
