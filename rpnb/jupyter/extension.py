"""`%load_ext rpnb`: register the magics, the comment form, the hooks and the completer."""

from __future__ import annotations

import contextlib
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ..errors import WrongPlace

if TYPE_CHECKING:
    from collections.abc import Callable

    from .notebook import Notebook

_CELL_MAGICS = ("runpod_setup", "runpod_handler", "runpod_remote", "runpod_test")
_COMMENT = re.compile(rf"#\s*(%%(?:{'|'.join(_CELL_MAGICS)})\b.*)$", re.DOTALL)
# Where a shell keeps its notebook; the user's namespace is no place for it.
_NOTEBOOK = "_rpnb_notebook"


def load_ipython_extension(shell: Any) -> None:
    """Give an IPython shell its notebook and magics; does nothing the second time."""
    from .cell_ids import notebook_path
    from .magics import RpnbMagics
    from .notebook import Notebook
    from .page import Page

    if notebook_of(shell) is not None:
        return
    notebook = Notebook(shell, Page(notebook_path(shell.user_ns)))
    setattr(shell, _NOTEBOOK, notebook)
    shell.register_magics(RpnbMagics(notebook))
    for name in _CELL_MAGICS:
        shell.register_magic_function(_catcher(notebook, name), "line", f"%{name}")
    shell.input_transformers_cleanup.append(comment_form)
    _hook(shell, notebook)
    _look_back(shell, notebook)


def unload_ipython_extension(shell: Any) -> None:
    """Take the hooks away and disconnect; the worker stays warm."""
    notebook = notebook_of(shell)
    if notebook is None:
        return
    if notebook.session is not None:
        notebook.session.close()
    shell.input_transformers_cleanup.remove(comment_form)
    for event, hook in notebook.hooks:
        shell.events.unregister(event, hook)
    delattr(shell, _NOTEBOOK)


def notebook_of(shell: Any) -> Notebook | None:
    """Return the notebook of an IPython shell in which the extension is loaded, else None."""
    found: Notebook | None = getattr(shell, _NOTEBOOK, None)
    return found


def comment_form(lines: list[str]) -> list[str]:
    """Turn `# %%runpod_…` on a cell's first line into the magic."""
    found = _COMMENT.match(lines[0]) if lines else None
    return [found[1], *lines[1:]] if found else lines


def _catcher(notebook: Notebook, name: str) -> Callable[[str], None]:
    """A line magic called `%runpod_…`: it catches `%%runpod_…` below a cell's first line."""

    def catch(line: str) -> None:  # noqa: ARG001 - a magic is called with its line
        lines = notebook.raw_cell.splitlines()
        at = next((n for n, each in enumerate(lines, 1) if f"%%{name}" in each), None)
        where = f"; here it stands on line {at}" if at else ""
        raise WrongPlace(
            f"`%%{name}` must be the first line of its cell{where}. "
            "Move it up, or split the cell there (Ctrl-Shift-Minus)."
        )

    return catch


def _hook(shell: Any, notebook: Notebook) -> None:
    def before(info: Any) -> None:
        notebook.begin_cell(info)

    def after(result: Any) -> None:
        notebook.end_cell(result)
        if result.error_in_exec is not None and notebook.magic() is None:
            from .hints import hint, other_side

            said = hint(result.error_in_exec, other_side(notebook))
            if said:
                print(said)

    for event, hook in (("pre_run_cell", before), ("post_run_cell", after)):
        shell.events.register(event, hook)
        notebook.hooks.append((event, hook))
    completer: Any = getattr(shell, "Completer", None)
    if hasattr(completer, "custom_matchers"):
        from .complete import matcher

        # IPython 8.5 has no matchers that see the whole line: no completion there.
        with contextlib.suppress(ImportError):
            completer.custom_matchers.append(matcher(notebook))


def _look_back(shell: Any, notebook: Notebook) -> None:
    """Take over what ran before: definitions, and comment cells that ran here by mistake."""
    history = shell.history_manager.input_hist_raw
    for number, text in enumerate(history):
        lines = text.splitlines(keepends=True)
        if lines and _COMMENT.match(lines[0]):
            notebook.ran_here.append(f"cell {number}")
        elif "%load_ext rpnb" in text and number == len(history) - 1:
            # This very cell: what it defines below the line is noted when it ends.
            info = SimpleNamespace(raw_cell=text, store_history=True, cell_id=None)
            notebook.begin_cell(info)
        elif text:
            notebook.page.begin(None, text)
            notebook.record_cell(text, f"cell {number}")
