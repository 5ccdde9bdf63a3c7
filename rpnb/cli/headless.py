"""Execute a whole notebook in a real kernel, as CI would."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import errors
from ..errors import BadNotebook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .notebook import CodeCell, Notebook
    from .progress import Progress

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# IPython's words for a magic that it does not know.
_UNKNOWN = re.compile(r"magic (function )?`%%?runpod\w*` not found")


@dataclass(frozen=True)
class Executed:
    """One cell: how long it took, and what it raised; `seconds` is None if it did not run."""

    cell: CodeCell
    seconds: float | None = None
    error: str = ""
    kind: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class Outcome:
    """A notebook's execution, cell by cell."""

    notebook: Notebook
    cells: tuple[Executed, ...]
    seconds: float

    @property
    def failed(self) -> Executed | None:
        """The cell that ended the execution, or None."""
        return next((each for each in self.cells if each.error), None)

    @property
    def unreached(self) -> bool:
        """Whether it failed because the program or the target was not to be had."""
        kind = getattr(errors, self.failed.kind, None) if self.failed else None
        return isinstance(kind, type) and issubclass(
            kind, (errors.TargetError, errors.ProgramError)
        )


def kernel_name(notebook: Notebook) -> str:
    """Return the notebook's own kernel where it is installed, else this Python's."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    name = notebook.kernel or "python3"
    try:
        KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        return "python3"
    return name


def client(notebook: Notebook, node: Any, **hooks: Any) -> Any:
    """Return an nbclient for `node`, in the notebook's folder and with its kernel."""
    from nbclient import NotebookClient

    return NotebookClient(
        node,
        timeout=None,
        # A kernel's own warnings (ipykernel 7 has one for each start) are not ours to show.
        extra_arguments=["--log-level=40"],
        kernel_name=kernel_name(notebook),
        resources={"metadata": {"path": str(notebook.path.parent)}},
        **hooks,
    )


def execute(notebook: Notebook, settings: Mapping[str, str], progress: Progress) -> Outcome:
    """Return how the notebook's cells went; the first failure ends it.

    `settings` are added to the kernel's environment.

    Raises:
        BadNotebook: its kernel does not start.
    """
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    watch = _Watch(notebook, progress)
    began = time.monotonic()
    error = ("", "")
    try:
        client(
            notebook,
            notebook.node,
            on_cell_execute=watch.on_execute,
            on_cell_executed=watch.on_executed,
        ).execute(env=environment(notebook, settings))
    except CellExecutionError as raised:
        error = (raised.ename, f"{raised.ename}: {raised.evalue}".strip(": "))
    except DeadKernelError:
        error = ("", "the kernel died")
    except RuntimeError as raised:
        raise BadNotebook(f"{notebook.path.name}: its kernel does not start: {raised}") from raised
    return Outcome(notebook, watch.cells(*error), time.monotonic() - began)


def environment(notebook: Notebook, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the kernel's environment: headless, and knowing its notebook's path."""
    return {
        **os.environ,
        "RPNB_HEADLESS": "1",
        # What a Jupyter server tells its kernels; the worker's name is made of it.
        "JPY_SESSION_NAME": str(notebook.path),
        **settings,
    }


class _Watch:
    """Notes when each cell ran, and says so."""

    def __init__(self, notebook: Notebook, progress: Progress) -> None:
        self._notebook, self._progress = notebook, progress
        self._nodes = [cell for cell in notebook.node.cells if cell.cell_type == "code"]
        self._began: dict[int, float] = {}
        self._seconds: dict[int, float] = {}

    def _index(self, cell: Any) -> int | None:
        found = (index for index, node in enumerate(self._nodes) if node is cell)
        return next(found, None)

    def on_execute(self, cell: Any, cell_index: int) -> None:  # noqa: ARG002 - nbclient's names
        index = self._index(cell)
        if index is not None:
            self._began[index] = time.monotonic()
            self._progress.now(f"{self._notebook.path.name}: cell {index + 1}/{len(self._nodes)}")

    def on_executed(self, cell: Any, **_rest: Any) -> None:
        index = self._index(cell)
        if index is not None:
            self._seconds[index] = time.monotonic() - self._began[index]

    def cells(self, kind: str, error: str) -> tuple[Executed, ...]:
        """Every cell's fate; an error belongs to the last one that began."""
        failed = max(self._began, default=-1) if error else -1
        return tuple(
            self._fate(index, *((kind, error) if index == failed else ("", "")))
            for index in range(len(self._nodes))
        )

    def _fate(self, index: int, kind: str, error: str) -> Executed:
        cell, node = self._notebook.cells[index], self._nodes[index]
        if index not in self._began:
            # An empty cell is not executed, and no reason for worry.
            return Executed(cell, None if node.source.strip() else 0.0)
        seconds = self._seconds.get(index, time.monotonic() - self._began[index])
        text = _COLOURS.sub("", _shown(node)) if error else ""
        if _UNKNOWN.search(error):
            error += " No cell before it says %load_ext rpnb."
        return Executed(cell, seconds, _COLOURS.sub("", error), kind.rpartition(".")[2], text)


def _shown(node: Any) -> str:
    """What the failed cell showed of its error; IPython writes some to stderr alone."""
    for output in reversed(node.outputs):
        if output.output_type == "error":
            return "\n".join(output.get("traceback", ()))
    return "".join(
        output.text
        for output in node.outputs
        if output.output_type == "stream" and output.name == "stderr"
    ).rstrip()
