"""Which cell runs, and in which notebook: asked of the front end, each of which tells otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote


def current(shell: Any, info: Any = None) -> str | None:
    """Return the running cell's id; None where the front end gives none (nbclient, a terminal)."""
    found = _metadata(shell).get("cellId") or getattr(info, "cell_id", None)
    return found if isinstance(found, str) and found else None


def is_lasting(cell_id: str) -> bool:
    """Whether the id names the same cell when the notebook is opened again.

    VS Code's (`vscode-notebook-cell:/…#W2sZmlsZQ==`) counts the cells anew each time.
    """
    return not cell_id.startswith("vscode-")


def deleted(shell: Any) -> list[str]:
    """Return the ids of cells that the front end says were deleted."""
    found = _metadata(shell).get("deletedCells")
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def notebook_path(namespace: Mapping[str, Any]) -> Path | None:
    """Return the notebook's file; None in plain IPython, or where nobody says.

    Jupyter's server (and the command line of rpnb) sets JPY_SESSION_NAME, VS Code
    binds a name.
    """
    bound = namespace.get("__vsc_ipynb_file__")
    named = bound or os.environ.get("JPY_SESSION_NAME")
    if not isinstance(named, str) or not named.endswith(".ipynb"):
        return None
    path = Path(unquote(named) if "%" in named and not Path(named).exists() else named)
    return path if path.is_absolute() else Path.cwd() / path


def _metadata(shell: Any) -> Mapping[str, Any]:
    kernel: Any = getattr(shell, "kernel", None)
    parent = kernel.get_parent() if hasattr(kernel, "get_parent") else None
    metadata = (parent or {}).get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}
