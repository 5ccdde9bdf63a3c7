"""Completion in the lines of the magics: options, names of tests, cells and of the worker."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .notebook import Notebook

_LINE = re.compile(r"^(?:#\s*|.*=\s*)?%%?(runpod\w*)\s+(.*)$", re.DOTALL)


def completions(notebook: Notebook, text: str) -> list[str]:
    """Return what may follow `text`, the line up to the cursor: whole words."""
    from ..program.options import SYNTAX

    found = _LINE.match(text)
    if found is None or found[1] not in SYNTAX:
        return []
    magic, typed = found[1], found[2]
    word = typed.rpartition(" ")[2]
    before = typed[: len(typed) - len(word)].split()
    if word.startswith("--"):
        options = [f"--{each.name}" for each in SYNTAX[magic].options]
        return [each for each in options if each.startswith(word) and each not in before]
    named = _names(notebook, magic, before[-1] if before else "")
    return sorted(each for each in named if each.startswith(word))


def _names(notebook: Notebook, magic: str, option: str) -> list[str]:
    if option == "--input" or (magic == "runpod_run" and option != "--timeout"):
        return list(notebook.tests)
    if magic in ("runpod_drop", "runpod_setup"):
        return [cell.name for cell in notebook.cells if cell.name]
    if magic == "runpod_connect" and not option.startswith("-"):
        return ["local"]
    return []


def remote_names(notebook: Notebook, text: str, cell: str) -> list[str]:
    """Return the worker's names that may end `text`, in a cell that runs on the target."""
    from ..program.cells import parse_magic

    magic = parse_magic(cell)
    word = re.search(r"(?<![.\w])\w+$", text)
    if magic is None or magic.kind == "test" or word is None or notebook.session is None:
        return []
    return sorted(each for each in notebook.session.names if each.startswith(word[0]))


def matcher(notebook: Notebook) -> Any:
    """Return the matcher to register with IPython's completer (8.6 and newer)."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher()  # type: ignore[no-untyped-call, untyped-decorator, unused-ignore]
    def rpnb_matcher(context: Any) -> Any:
        line = context.line_with_cursor[: context.cursor_position]
        found = completions(notebook, line) or remote_names(notebook, line, context.full_text)
        return {"completions": [SimpleCompletion(each, type="rpnb") for each in found]}

    return rpnb_matcher
