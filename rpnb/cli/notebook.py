"""A notebook file as an ordered list of code cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BadNotebook


@dataclass(frozen=True)
class CodeCell:
    """One code cell; `position` counts from 1 among the code cells."""

    id: str
    position: int
    source: str

    @property
    def label(self) -> str:
        """What a person calls it: "cell 3"."""
        return f"cell {self.position}"


@dataclass(frozen=True)
class Notebook:
    """A notebook as read: its code cells in order, and the kernel it asks for."""

    path: Path
    cells: tuple[CodeCell, ...]
    kernel: str | None = None
    # The file as nbformat has it, for executing it whole.
    node: Any = field(default=None, repr=False, compare=False)


def read(path: Path) -> Notebook:
    """Return the notebook at `path`.

    Raises:
        BadNotebook: there is none, or the file is something else; says what.
    """
    node = _node(path, _text(path))
    _check_language(path, node)
    cells = [cell for cell in node.cells if cell.cell_type == "code"]
    return Notebook(
        path=path.resolve(),
        cells=tuple(
            CodeCell(str(cell.get("id") or f"position-{position}"), position, cell.source)
            for position, cell in enumerate(cells, 1)
        ),
        kernel=node.metadata.get("kernelspec", {}).get("name"),
        node=node,
    )


def _text(path: Path) -> str:
    if path.is_dir():
        raise BadNotebook(f"{path} is a folder, not a notebook")
    if not path.exists():
        raise BadNotebook(f"there is no notebook {path}{_neighbours(path)}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadNotebook(f"{path} is not a notebook: it is a binary file") from None
    except OSError as error:
        raise BadNotebook(f"cannot read {path}: {error.strerror}") from error


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f": there is no folder {path.parent}"
    found = sorted(each.name for each in path.parent.glob("*.ipynb"))
    return f": {path.parent.resolve()} has {', '.join(found[:5])}" if found else ""


def _node(path: Path, text: str) -> Any:
    import nbformat

    if not text.strip():
        raise BadNotebook(f"{path} is not a notebook: it is empty")
    try:
        reads: Any = nbformat.reads
        return reads(text, as_version=4)
    except nbformat.ValidationError as error:
        raise BadNotebook(f"{path} is a damaged notebook: {_first_line(error)}") from error
    except Exception as error:  # nbformat raises whatever its readers meet
        raise BadNotebook(f"{path} is not a notebook: {_what(path, text)}") from error


def _what(path: Path, text: str) -> str:
    if text.lstrip()[0] in "{[":
        return "it is JSON without a notebook's cells, or cut off"
    if path.suffix == ".py":
        return "it is a Python file"
    if "%runpod_" in text:
        return (
            "it is text with magics. In IPython `%runpod_export` writes handler.py itself, and "
            f"`%notebook {path.stem}.ipynb` saves what was typed as a notebook"
        )
    return "it is text that is not JSON"


def _check_language(path: Path, node: Any) -> None:
    spec, info = node.metadata.get("kernelspec", {}), node.metadata.get("language_info", {})
    language = info.get("name") or spec.get("language") or "python"
    if language.lower() not in ("python", "ipython", "python3"):
        raise BadNotebook(f"{path} is a notebook in {language}; rpnb needs one in Python")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
