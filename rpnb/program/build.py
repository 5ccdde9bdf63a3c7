"""The one builder: cells and the names they use become a program.

Set-up cells stand in their order, the handler cell last. Of several handler cells
the last is the program's; an earlier one is there only where a name of it is used
(`handler_cells`). So Run All in a kernel and the command line give the same bytes.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import BadSyntax, NoHandler, ProgramError
from . import imports, modules, requirement_files, skew, start_call
from .cells import Cell, handler_name, python_text
from .content import Content
from .handler_cells import with_one_handler
from .layout import assemble, join, start_block
from .names import Names
from .own import Own
from .passages import Passage
from .prepare import Prepared, prepare
from .problems import raise_all
from .requirement_files import Read
from .resolve import Need, Resolved, resolve
from .resolve import needs as _needs
from .steps import Capture, Program


def build(
    cells: Sequence[Cell],
    names: Names,
    *,
    env: Mapping[str, str] | None = None,
    base: Program | None = None,
    own: Own | None = None,
) -> Program:
    """Return the program that these cells make with what they use of `names`.

    `base` is a program from before (adopted from its worker): its captures serve
    names that are not defined here. `own` tells which cells and captures may take
    along what they name; the others have it as `base` does, or not at all.

    Raises:
        ProgramError: everything that is wrong, at once, each with its cell and line.
    """
    prepared = _prepared(_in_order(cells), names.there.python)
    try:
        return _built(prepared, names, _Surroundings(dict(env or {}), base, own))
    except RecursionError:
        raise ProgramError(
            "the cells, or what they use, nest too deep to be looked through: "
            f"{_deepest(prepared)} nests deepest; split its longest expression"
        ) from None


def _built(prepared: list[Prepared], names: Names, around: _Surroundings) -> Program:
    lazy = _is_lazy(prepared)
    found = resolve(prepared, names, around.base, lazy_annotations=lazy, own=around.own)
    problems = list(found.problems)
    handler = ""
    try:
        handler = _handler([each.cell for each in prepared])
    except NoHandler as problem:
        problems.append(problem)
    problems += _two_starts(prepared)
    ours = [each for each in prepared if around.knows(each.cell)]
    try:
        around.local = local_modules(ours, found, names)
    except ProgramError as problem:
        problems.append(problem)
    around.asked = _requirement_files(ours, names, problems)
    _withhold([each for each in prepared if each not in ours], found, names, around)
    program = _program(prepared, found, handler, around)
    raise_all([*problems, *skew.problems(program, names.there)])
    return replace(program, needs=skew.needs(program))


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


def _prepared(cells: Sequence[Cell], python: str = "") -> list[Prepared]:
    found, problems = [], []
    for number, cell in enumerate(cells):
        try:
            found.append(prepare(cell, is_first=number == 0, python=python))
        except ProgramError as problem:  # noqa: PERF203 - every cell's problem is reported
            problems.append(problem)
        except (RecursionError, MemoryError):
            # Of the parser's own stack: a chain of some thousand operators.
            deep = f"{cell.label} nests deeper than Python can read: split its longest expression"
            problems.append(BadSyntax(deep))
    raise_all(problems)
    return with_one_handler(found)


def _deepest(cells: Sequence[Prepared]) -> str:
    return max(cells, key=lambda each: _depth(ast.parse(each.body.text))).cell.label


def _depth(tree: ast.AST) -> int:
    level, depth = [tree], 0
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


def _is_lazy(cells: Sequence[Prepared]) -> bool:
    return any("annotations" in names for each in cells for names, _ in each.future)


def _handler(cells: Sequence[Cell]) -> str:
    """The last handler cell's handler; without one, what a start() call names."""
    marked = [cell for cell in cells if cell.kind == "handler"]
    if marked:
        return handler_name(marked[-1])
    named = (start_call.handler(python_text(cell)) for cell in cells)
    return next(filter(None, named), "")


def _two_starts(cells: Sequence[Prepared]) -> list[ProgramError]:
    starting = [each.cell.label for each in cells if start_call.calls(each.body.text)]
    if len(starting) < 2:
        return []
    return [
        ProgramError(
            f"{' and '.join(starting)} each call runpod.serverless.start: in production only the "
            "first would ever run. Keep one of them, or drop a cell with %runpod_drop"
        )
    ]


def local_modules(cells: Sequence[Prepared], found: Resolved, names: Names) -> dict[str, bytes]:
    """Return the files of the local modules that the cells and their captures import.

    Raises:
        CannotCapture: a package's files are too many to send.
    """
    texts = [each.body.text for each in cells]
    ours = [each for each in found.all if each.capture.name not in found.foreign]
    captured = [each.capture.text for each in ours]
    roots = {root for text in (*texts, *captured) for root in imports.imported(text)}
    roots |= {root for each in ours for root in each.modules}
    return modules.Modules(names.folder, names.path, [*texts, *captured]).collect(roots)


@dataclass
class _Surroundings:
    """What belongs to a program beside its text; `kept` are files as the worker has them."""

    env: dict[str, str]
    base: Program | None
    own: Own | None
    local: dict[str, bytes] = field(default_factory=dict)
    asked: Read = field(default_factory=Read)
    kept: tuple[str, ...] = ()

    def knows(self, part: Cell | Capture) -> bool:
        return self.own is None or self.own.knows(part)


def _withhold(
    strange: Sequence[Prepared], found: Resolved, names: Names, around: _Surroundings
) -> None:
    """Leave cells that nobody here is known to have sent what the worker has; say what stays."""
    base = around.base
    if base is not None and (strange or found.foreign):
        # Those of captures stand in the captures.
        captured = {path for each in base.captures for path in each.files}
        around.kept = tuple(path for path in base.files if path not in captured)
        if any(each.requirement_files for each in strange):
            around.asked = around.asked.with_more(Read(list(base.requirements)))
    here = modules.Modules(names.folder, names.path)
    for each in strange:
        trees = filter(None, map(here.find, sorted(imports.imported(each.body.text))))
        files = [path for tree in trees for path in tree.files if path not in around.local]
        named = [f"`{file.option} {file.path}`" for file in each.requirement_files]
        stays = [*found.withheld.get(each.cell.id, ()), *sorted(files)[:5], *named]
        if stays:
            key = each.cell.name or each.cell.label
            found.notes.append(
                f"{each.cell.title} came with the worker, and nothing here says that it was sent "
                f"from here: {', '.join(stays)} of this machine did not go there for it. "
                f"If it is yours, run it here; else %runpod_drop {key}"
            )


def _requirement_files(
    cells: Sequence[Prepared], names: Names, problems: list[ProgramError]
) -> Read:
    """What the files of `%pip install -r FILE` ask for; what is wrong goes to `problems`."""
    found, folder = Read(), (names.folder or Path.cwd()).absolute()
    for named in (named for each in cells for named in each.requirement_files):
        try:
            found = found.with_more(requirement_files.read(named, folder))
        except ProgramError as problem:  # noqa: PERF203 - every file's problem is reported
            problems.append(problem)
    return found


def _program(
    cells: list[Prepared], found: Resolved, handler: str, around: _Surroundings
) -> Program:
    starts = any(start_call.calls(each.body.text) for each in cells)
    alone = len(cells) == 1 and starts and not found.all
    if alone:
        text, origins = join([cells[0].whole])
    else:
        text, origins = assemble(cells, found, _start(cells, handler) if not starts else None)
    gathered = _files(found, around)
    env: dict[str, str] = {}
    for each in cells:
        env |= each.env
    return Program(
        text=text,
        origins=origins,
        cells=tuple(each.cell for each in cells),
        files=dict(sorted(gathered.files.items())),
        pieces=gathered.pieces,
        env=env | around.env,
        handler=handler,
        python=_bound_to(found, around.base),
        requirements=_requirements(cells, around.asked),
        captures=tuple(each.capture for each in found.all),
        blobs=gathered.blobs,
        notes=(
            *(note for each in cells for note in each.notes),
            *(*found.notes, *_hoisted(cells), *around.asked.notes),
        ),
        foreign=frozenset(found.foreign),
    )


def _requirements(cells: Sequence[Prepared], asked: Read) -> tuple[str, ...]:
    """Every requirement once; where packages come from stands first."""
    named = [each for cell in cells for each in cell.requirements]
    return tuple(dict.fromkeys(sorted((*named, *asked.requirements), key=_is_named)))


def _is_named(requirement: str) -> bool:
    return not requirement.startswith("-")


def _hoisted(cells: Sequence[Prepared]) -> list[str]:
    """What a `from __future__` line of one cell changes in the others, as the file is one."""
    notes = []
    features = dict.fromkeys(name for each in cells for names, _ in each.future for name in names)
    for feature in features:
        asking = [c.cell.label for c in cells if any(feature in names for names, _ in c.future)]
        if len(asking) < len(cells) and feature == "annotations":
            others = [c for c in cells if c.cell.label not in asking and _annotates(c)]
            if others:
                notes.append(
                    f"`from __future__ import {feature}` of {asking[0]} holds for the whole file, "
                    f"{others[0].cell.label} included"
                )
    return notes


def _annotates(prepared: Prepared) -> bool:
    return any(
        isinstance(node, ast.AnnAssign) or (isinstance(node, ast.arg) and node.annotation)
        for node in ast.walk(ast.parse(prepared.body.text))
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


def _bound_to(found: Resolved, base: Program | None) -> str:
    """The Python version whose bytecode the program's values hold."""
    if not any(each.capture.bytecode for each in found.all):
        return ""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    fresh = any(each.capture.bytecode and each.files for each in found.all)
    return here if fresh or base is None else base.python


@dataclass
class _Files:
    """A program's files as they are gathered."""

    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    pieces: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    blobs: dict[str, bytes | memoryview] = field(default_factory=dict)

    def add(self, path: str, content: Content) -> None:
        self.files[path] = (content.digest, content.size)
        self.blobs |= content.blobs
        if len(content.layout) > 1:
            self.pieces[content.digest] = content.layout

    def keep(self, path: str, base: Program) -> None:
        """Add a file from before: the bytes are where the worker is."""
        found = self.files[path] = base.files[path]
        if found[0] in base.pieces:
            self.pieces[found[0]] = base.pieces[found[0]]


def _files(found: Resolved, around: _Surroundings) -> _Files:
    gathered, base = _Files(), around.base
    for path, data in {**around.local, **around.asked.files}.items():
        gathered.add(path, Content.of_bytes(data))
    for each in found.all:
        for path, content in each.files.items():
            gathered.add(path, content)
    for path in (*around.kept, *(path for each in found.all for path in each.capture.files)):
        if path not in gathered.files and base is not None and path in base.files:
            gathered.keep(path, base)
    return gathered
