"""`%runpod`: every magic, and where each kind of cell runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .display import table

if TYPE_CHECKING:
    from .notebook import Notebook

CELLS = (
    ("%%runpod_setup [NAME]", "on {target}, once, kept warm", "above the handler"),
    ("%%runpod_handler", "on {target}: defines the handler, runs it", "last"),
    ("%%runpod_remote", "on {target}: a scratch look around", "no"),
    ("%%runpod_test NAME", "here: its last expression is an input", "as a test"),
    ("an ordinary cell", "here", "what remote cells use of it"),
)
LINES = (
    ("%runpod_connect [TARGET]", "local · an ssh alias · user@host:port · a pasted ssh command"),
    ("%runpod_run [INPUT]", "run the handler on a test, JSON or an expression"),
    ("%runpod_status", "the worker, its cells, what is warm"),
    ("%runpod_program", "the program, as it would be exported"),
    ("%runpod_explain [NAME]", "why a step ran again, or stayed warm"),
    ("%runpod_export [PATH]", "write handler.py; --verify proves it in a fresh process"),
    ("%runpod_drop NAME", "take a cell out of the program"),
    ("%runpod_env KEY[=VALUE]", "a secret from here, or a plain setting"),
    ("%runpod_restart", "a new worker for the same program"),
    ("%runpod_disconnect", "let go; the worker stays warm"),
    ("%runpod_stop", "end the worker, free the GPU"),
)


def overview(notebook: Notebook) -> str:
    """Return the table of cells and magics, for this notebook's target."""
    target = notebook.target if notebook.session else "the target"
    cells = [(name, where.format(target=target), export) for name, where, export in CELLS]
    return (
        f"{table([('cell', 'runs', 'in the export'), *cells])}\n\n{table(LINES)}\n\n"
        "`# %%runpod_…` on a cell's first line is the same as `%%runpod_…`. "
        "In Python: rpnb.run(input), rpnb.stream(input)."
    )
