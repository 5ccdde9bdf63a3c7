"""Ctrl-C inside a call of ours: the page shows the person's own lines, and none of rpnb's."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_OURS = __name__.partition(".")[0]


@contextlib.contextmanager
def own_lines() -> Iterator[None]:
    """Let Ctrl-C through; IPython draws it where the person's code called, and no deeper."""
    try:
        yield
    except KeyboardInterrupt as pressed:
        # IPython asks the exception itself, whose class stays what everybody catches.
        vars(pressed)["_render_traceback_"] = partial(_drawn, pressed)
        raise


def _drawn(pressed: KeyboardInterrupt) -> list[str]:
    from IPython.core.getipython import get_ipython

    before, traceback = None, pressed.__traceback__
    for at in _each(traceback):
        if before is not None and _is_ours(at):
            before.tb_next = None
            break
        before = at
    shell: Any = get_ipython()
    fresh = KeyboardInterrupt().with_traceback(traceback)
    lines: list[str] = shell.InteractiveTB.structured_traceback(type(fresh), fresh, traceback)
    return lines


def _each(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_ours(traceback: TracebackType) -> bool:
    name = str(traceback.tb_frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] == _OURS
