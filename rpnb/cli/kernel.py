"""Execute the few ordinary cells that a program depends on, in a fresh kernel."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ProgramError
from .bundle import Bundle, Request
from .headless import client, environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .notebook import Notebook
    from .parts import Local, Parts
    from .progress import Progress

# The kernel's side stands in for the extension: it must not load.
_EXTENSION = re.compile(r"^([ \t]*)%(?:re)?load_ext[ \t]+rpnb[ \t]*$", re.MULTILINE)
_CALL = '__import__("rpnb.cli.inside", fromlist=["begin"]).{}'


def build_in_kernel(
    notebook: Notebook,
    parts: Parts,
    chosen: Sequence[Local],
    inputs: Sequence[str],
    progress: Progress,
) -> Bundle:
    """Return the program built after executing `chosen`, with the values of `inputs`.

    Raises:
        ProgramError: one of the cells raised, or the program cannot be built.
        BadNotebook: the kernel does not start.
    """
    cells = [(each.cell.label, _text(each)) for each in chosen]
    request = Request(
        cells=parts.remote,
        env=dict(parts.env or {}),
        folder=str(parts.path.parent),
        inputs=tuple(inputs),
        input_cell=parts.input_cell,
        send=parts.send,
        labels=tuple(cells),
    )
    with tempfile.TemporaryDirectory(prefix="rpnb-") as folder:
        request.write(Path(folder))
        _execute(notebook, cells, folder, progress)
        return Bundle.read(Path(folder))


def _text(local: Local) -> str:
    if local.test is not None:
        return f"%%runpod_test {local.test}\n{local.text}"
    return _EXTENSION.sub(r"\1pass", local.text)


def _execute(
    notebook: Notebook, cells: Sequence[tuple[str, str]], folder: str, progress: Progress
) -> None:
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from nbformat import v4

    new: Any = v4.new_code_cell
    notebook_of: Any = v4.new_notebook
    begin = new(_CALL.format(f"begin({folder!r})"))
    finish = new(_CALL.format("finish()"))
    steps = {new_cell.id: label for (label, text) in cells for new_cell in [new(text)]}
    bodies = [new(text, id=key) for key, (_, text) in zip(steps, cells, strict=True)]
    node = notebook_of(cells=[begin, *bodies, finish])
    begun: list[str] = []

    def tell(cell: Any, **_rest: Any) -> None:
        begun.append(steps.get(cell.id, ""))
        if begun[-1]:
            progress.now(f"executing {begun[-1]}, which the program depends on")

    try:
        client(notebook, node, on_cell_execute=tell).execute(env=environment(notebook, {}))
    except CellExecutionError as error:
        raise ProgramError(_reason(notebook, begun[-1], error)) from error
    except DeadKernelError as error:
        raise ProgramError("the kernel died while it executed the ordinary cells") from error


def _reason(notebook: Notebook, label: str, error: Any) -> str:
    said = f"{error.ename}: {error.evalue}".strip(": ")
    if label:
        return f"{label}, which the program depends on, raised {said}"
    if error.ename in ("ModuleNotFoundError", "ImportError"):
        return (
            f"the notebook's kernel {notebook.kernel or 'python3'} has no rpnb of this version "
            f"({said}): install it there"
        )
    return f"building the program in the notebook's kernel raised {said}"
