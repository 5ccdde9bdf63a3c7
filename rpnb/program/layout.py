"""From prepared cells and captures to one text that knows where each line was typed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from .passages import Passage
from .prepare import Prepared
from .resolve import Resolved
from .sources import passage_of
from .steps import Capture, Origin, runs

_DOCSTRING = '"""RunPod serverless handler, exported from a notebook by rpnb."""'
_DEFINING = ("def ", "async def ", "class ", "@")


def assemble(
    cells: Sequence[Prepared], found: Resolved, start: Passage | None
) -> tuple[str, tuple[Origin, ...]]:
    """Return the program's text, and the origins of its lines."""
    blocks = list(_blocks(cells, found, start))
    return join(blocks)


def join(blocks: Iterable[Passage | list[Passage]]) -> tuple[str, tuple[Origin, ...]]:
    """Return blocks with blank lines between them; a list is a block without any."""
    lines: list[str] = []
    origins: list[Origin] = []
    for block in blocks:
        passages = [each for each in (block if isinstance(block, list) else [block]) if each.lines]
        if lines and passages:
            lines += [""] * _gap(lines[-1], passages[0].lines)
        for passage in passages:
            origins += _origins(passage, len(lines) + 1)
            lines += passage.lines
    return "\n".join(lines) + "\n" if lines else "", tuple(origins)


def _gap(above: str, below: Sequence[str]) -> int:
    """Blank lines as PEP 8 has them: two round a definition, else one."""
    first = next((line for line in below if line and not line.startswith("#")), "")
    ends_block = above[:1].isspace()
    return 2 if ends_block or first.startswith(_DEFINING) else 1


def start_block(handler: str, *, imports_runpod: bool) -> Passage:
    """Return the lines that start the worker where the person wrote none."""
    lines = [] if imports_runpod else ["    import runpod", ""]
    return Passage.written(
        "\n".join(
            [
                'if __name__ == "__main__":',
                *lines,
                f'    runpod.serverless.start({{"handler": {handler}}})',
            ]
        )
    )


def _blocks(
    cells: Sequence[Prepared], found: Resolved, start: Passage | None
) -> Iterable[Passage | list[Passage]]:
    head = cells[0].head if cells else None
    yield head or Passage.written(_DOCSTRING)
    yield _future(cells, found)
    yield from _imports(cells, found)
    for prepared in cells:
        yield from _captured([each.capture for each in found.before[prepared.cell.id]])
        yield prepared.body
    if start is not None:
        yield start


def _future(cells: Sequence[Prepared], found: Resolved) -> list[Passage]:
    lines: list[Passage] = []
    seen: set[str] = set()
    for prepared in cells:
        for features, passage in prepared.future:
            if not set(features) <= seen:
                seen |= set(features)
                lines.append(passage)
    wanted = {feature for each in found.all for feature in each.capture.future} - seen
    return lines + [Passage.written(f"from __future__ import {name}") for name in sorted(wanted)]


def _imports(cells: Sequence[Prepared], found: Resolved) -> Iterable[list[Passage]]:
    """The imports that captures are or need, the standard library's first."""
    lines = {line for each in cells for line in each.imports}
    lines |= {line for each in found.all for line in each.capture.imports}
    lines |= {
        line
        for each in found.all
        if each.capture.kind == "import"
        for line in each.capture.text.split("\n")
    }
    own = {line for line in lines if _root(line) in sys.stdlib_module_names}
    for group in (own, lines - own):
        yield [Passage.written(line) for line in sorted(group, key=_import_order)]


def _root(line: str) -> str:
    return line.split()[1].partition(".")[0]


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from "), line


def _captured(captures: Sequence[Capture]) -> Iterable[Passage | list[Passage]]:
    """One block a capture; assignments of one line stand together."""
    together: list[Passage] = []
    for each in captures:
        if each.kind == "import":
            continue
        if each.kind == "literal":
            together.append(passage_of(each))
            continue
        yield together
        together = []
        yield passage_of(each)
    yield together


def _origins(passage: Passage, first_line: int) -> Iterable[Origin]:
    for count, place in runs(passage.places):
        # A person's own cell is named by its id; an ordinary one by its label only.
        label = "" if passage.cell or not place else passage.label
        yield Origin(first_line, count, passage.cell or None, place, label)
        first_line += count
