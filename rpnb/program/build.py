"""The one builder: cells and the names they use become a program."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from ..errors import NoHandler, ProgramError
from ..protocol.blobs import digest
from . import start_call
from .cells import Cell, handler_name, has_start
from .layout import assemble, join, start_block
from .names import Names
from .passages import Passage
from .prepare import Prepared, prepare
from .problems import raise_all
from .resolve import Need, Resolved, resolve
from .resolve import needs as _needs
from .steps import Program


def build(
    cells: Sequence[Cell],
    names: Names,
    *,
    env: Mapping[str, str] | None = None,
    base: Program | None = None,
) -> Program:
    """Return the program that these cells make with what they use of `names`.

    `base` is a program from before (adopted from its worker): its captures serve
    names that are not defined here.

    Raises:
        ProgramError: everything that is wrong, at once, each with its cell and line.
    """
    ordered = _in_order(cells)
    prepared = _prepared(ordered)
    found = resolve(prepared, names, base, lazy_annotations=_is_lazy(prepared))
    problems = list(found.problems)
    handler = ""
    try:
        handler = _handler(ordered)
    except NoHandler as problem:
        problems.append(problem)
    problems += _two_starts(ordered)
    raise_all(problems)
    return _program(prepared, found, handler, dict(env or {}), base)


def needs(cells: Sequence[Cell]) -> dict[str, Need]:
    """Return the names that the cells need from ordinary cells, with the first use of each.

    Raises:
        BadSyntax: a cell cannot be parsed.
    """
    prepared = _prepared(_in_order(cells))
    return _needs(prepared, lazy_annotations=_is_lazy(prepared))


def _in_order(cells: Sequence[Cell]) -> list[Cell]:
    """The handler cell stands last: what it uses is above it, wherever it was typed."""
    return sorted(cells, key=lambda cell: cell.kind == "handler")


def _prepared(cells: Sequence[Cell]) -> list[Prepared]:
    found, problems = [], []
    for number, cell in enumerate(cells):
        try:
            found.append(prepare(cell, is_first=number == 0))
        except ProgramError as problem:
            problems.append(problem)
    raise_all(problems)
    return found


def _is_lazy(cells: Sequence[Prepared]) -> bool:
    return any("annotations" in names for each in cells for names, _ in each.future)


def _handler(cells: Sequence[Cell]) -> str:
    """The last handler cell's handler; without one, what a start() call names."""
    marked = [cell for cell in cells if cell.kind == "handler"]
    if marked:
        return handler_name(marked[-1])
    for cell in cells:
        for call in start_call.calls(cell.source):
            named = start_call.handler_expression(call)
            if named is not None:
                return ast.unparse(named)
    return ""


def _two_starts(cells: Sequence[Cell]) -> list[ProgramError]:
    starting = [cell.label for cell in cells if has_start(cell)]
    if len(starting) < 2:
        return []
    return [
        ProgramError(
            f"{' and '.join(starting)} each call runpod.serverless.start: in production only the "
            "first would ever run. Keep one of them, or drop a cell with %runpod_drop"
        )
    ]


def _program(
    cells: list[Prepared],
    found: Resolved,
    handler: str,
    env: dict[str, str],
    base: Program | None,
) -> Program:
    starts = any(has_start(each.cell) for each in cells)
    alone = len(cells) == 1 and starts and not found.all
    if alone:
        text, origins = join([cells[0].whole])
    else:
        text, origins = assemble(cells, found, _start(cells, handler) if not starts else None)
    blobs, files = _files(found, base)
    for each in cells:
        env = {**each.env, **env}
    return Program(
        text=text,
        origins=origins,
        cells=tuple(each.cell for each in cells),
        files=files,
        env=env,
        handler=handler,
        requirements=tuple(dict.fromkeys(r for each in cells for r in each.requirements)),
        captures=tuple(each.capture for each in found.all),
        blobs=blobs,
        notes=(*(note for each in cells for note in each.notes), *found.notes),
    )


def _start(cells: Sequence[Prepared], handler: str) -> Passage | None:
    if not handler:
        return None
    imported = any(
        "runpod" in (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        for each in cells
        for node in ast.parse(each.body.text).body
        if isinstance(node, ast.Import)
    )
    return start_block(handler, imports_runpod=imported)


def _files(
    found: Resolved, base: Program | None
) -> tuple[dict[str, bytes], dict[str, tuple[str, int]]]:
    blobs: dict[str, bytes] = {}
    files: dict[str, tuple[str, int]] = {}
    for each in found.all:
        for path, data in each.files.items():
            files[path] = (digest(data), len(data))
            blobs[files[path][0]] = data
        for path in each.capture.files:
            # From before: the bytes are where the worker is.
            if path not in files and base is not None and path in base.files:
                files[path] = base.files[path]
    return blobs, dict(sorted(files.items()))
