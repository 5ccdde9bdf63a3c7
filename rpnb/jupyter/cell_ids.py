"""Which cell runs, and in which notebook: asked of the front end, each of which tells otherwise."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote


def current(shell: Any, info: Any = None) -> str | None:
    """Return the running cell's id; None where the front end gives none (nbclient, a terminal)."""
    found = _metadata(shell).get("cellId") or getattr(info, "cell_id", None)
    return found if isinstance(found, str) and found else None


def is_address(given: str) -> bool:
    """Whether a front end's name of a cell counts for its window alone.

    VS Code's (`vscode-notebook-cell:/…#W2sZmlsZQ==`) counts the cells anew each time
    when the notebook is opened.
    """
    return given.startswith("vscode-")


def deleted(shell: Any) -> list[str]:
    """Return the ids of cells that the front end says were deleted."""
    found = _metadata(shell).get("deletedCells")
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def notebook_path(namespace: Mapping[str, Any]) -> Path | None:
    """Return the notebook's file; None in plain IPython, or where nobody says.

    Jupyter's server (and the command line of rpnb) sets JPY_SESSION_NAME, VS Code
    binds a name.
    """
    named = namespace.get("__vsc_ipynb_file__") or _session_name()
    if not isinstance(named, str) or not named.endswith(".ipynb"):
        return None
    path = Path(unquote(named) if "%" in named and not Path(named).exists() else named)
    return path if path.is_absolute() else Path.cwd() / path


def _session_name() -> str | None:
    """JPY_SESSION_NAME, unless it is that of another notebook, in which this kernel was started.

    papermill or nbclient, called in a notebook, hand on the whole environment to
    the kernels that they start; a server has no such variable itself.
    """
    name = os.environ.get("JPY_SESSION_NAME")
    starter = os.environ.get("JPY_PARENT_PID", "")
    if name is None or not starter.isdigit() or os.environ.get("RPNB_HEADLESS") == "1":
        return name
    with contextlib.suppress(Exception):  # no such process by now, not ours, or no psutil
        psutil = importlib.import_module("psutil")
        if psutil.Process(int(starter)).environ().get("JPY_SESSION_NAME") == name:
            return None
    return name


def _metadata(shell: Any) -> Mapping[str, Any]:
    kernel: Any = getattr(shell, "kernel", None)
    parent = kernel.get_parent() if hasattr(kernel, "get_parent") else None
    metadata = (parent or {}).get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}
