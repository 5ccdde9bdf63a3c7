"""A scratch cell and what it uses of ordinary cells: sent beside the program, never part of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import MissingName
from .build import local_modules
from .cells import Cell
from .content import Content
from .ipython_syntax import translate
from .names import Names
from .prepare import prepare
from .problems import raise_all
from .resolve import Known, resolve
from .steps import Capture, Program
from .uses import split, uses


@dataclass(frozen=True)
class Scratch:
    """`work` is `Submit.scratch`, `blobs` the bytes of its files; `binds` are names it gives."""

    work: Mapping[str, Any]
    blobs: Mapping[str, bytes | memoryview] = field(default_factory=dict, repr=False)
    binds: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def scratch(
    cell: Cell, names: Names, program: Program | None, *, to: str | None, earlier: Collection[str]
) -> Scratch:
    """Return the cell with what it needs of `names`; `earlier` are names of scratch cells before.

    A name that nothing defines is left to the target, which says so if it is not there.

    Raises:
        ProgramError: the cell is no Python, or something that it uses cannot travel.
    """
    prepared = prepare(cell, is_first=False, python=names.there.python)
    translated = translate(cell.source.replace("\r\n", "\n").replace("\r", "\n"))
    found = resolve([prepared], names, None, known=_known(program, earlier))
    raise_all([each for each in found.problems if not isinstance(each, MissingName)])
    local = local_modules([prepared], found, names)
    files = {path: Content.of_bytes(data) for path, data in local.items()}
    for each in found.all:
        files |= each.files
    given = program.files if program is not None else {}
    sent = {path: content for path, content in files.items() if path not in given}
    written = [Capture("", "import", line) for line in sorted(translated.imports)]
    work = {
        "text": translated.text + "\npass" * translated.ends_with_command,
        "label": cell.label,
        "first_line": cell.first_line,
        "to": to,
        "prelude": [_wire(each) for each in (*written, *(each.capture for each in found.all))],
        "files": {path: [content.digest, content.size] for path, content in sent.items()},
        "pieces": {
            content.digest: [list(each) for each in content.layout]
            for content in sent.values()
            if len(content.layout) > 1
        },
    }
    notes = [*prepared.notes, *found.notes]
    if prepared.requirements or prepared.requirement_files:
        notes.append(f"{cell.label}: what %pip lines ask for is installed from set-up cells alone")
    binds = frozenset(name for each in prepared.statements for name in uses(each).binds)
    blobs = {key: data for content in sent.values() for key, data in content.blobs.items()}
    return Scratch(work, blobs, binds, tuple(notes))


def _known(program: Program | None, earlier: Collection[str]) -> Known:
    if program is None:
        return Known(frozenset(earlier))
    captured = frozenset(each.name for each in program.captures)
    bound = {
        name
        for statement in split(program.text)
        for found in [uses(statement)]
        for name in found.binds | found.sets
    }
    return Known(frozenset(earlier) | captured, frozenset(bound) - captured)


def _wire(capture: Capture) -> dict[str, Any]:
    first = capture.lines[0][1] if capture.lines else 0
    return {
        "name": capture.name,
        "imports": "\n".join(capture.imports),
        "text": capture.text,
        "label": capture.label if first else "",
        "first_line": first or 1,
        "future": list(capture.future),
    }
