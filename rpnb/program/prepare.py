"""One remote cell made ready for the text: checked, its marks and future lines taken out."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field

from ..errors import BadSyntax, ProgramError
from .cells import Cell
from .credentials import written
from .decorators import mark_lines, marks
from .ipython_syntax import translate
from .passages import Passage
from .pip_lines import Named
from .uses import Statement, split


@dataclass(frozen=True)
class Prepared:
    """A cell as it stands in the text.

    `body` is the cell less what goes to the top of the file: `head`, its
    docstring with all above it, and `future`, (features, line) of its
    `from __future__` lines. `whole` is the cell with these.
    """

    cell: Cell
    body: Passage
    whole: Passage
    head: Passage | None = None
    future: tuple[tuple[tuple[str, ...], Passage], ...] = ()
    notes: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()
    requirement_files: tuple[Named, ...] = ()
    imports: frozenset[str] = frozenset()

    @property
    def statements(self) -> list[Statement]:
        """The cell's statements; lines are those of `body`."""
        return split(self.body.text)


def prepare(cell: Cell, *, is_first: bool, python: str = "") -> Prepared:
    """Return the cell as it will stand in the program; `python` is the target's version.

    Raises:
        BadSyntax: Python cannot parse it; shows cell, line and a caret.
    """
    source = cell.source.replace("\r\n", "\n").replace("\r", "\n")
    translated = translate(source, label=cell.label, first_line=cell.first_line)
    text = translated.text
    passage = Passage.typed(text, cell.first_line, cell=cell.id, label=cell.label)
    tree = _parsed(text, passage, python)
    gone = mark_lines(tree) | _idle_imports(tree)
    future, future_lines = _future(tree, passage)
    head_end = _docstring_end(tree) if is_first else 0
    head = passage.part(1, head_end).stripped() if head_end else None
    body = passage.without(gone | future_lines | set(range(1, head_end + 1)))
    return Prepared(
        cell,
        body.stripped(),
        passage.without(gone).stripped(),
        head,
        future,
        # A scratch cell is never part of the program.
        notes=(*translated.notes, *(written(passage) if cell.kind != "remote" else ())),
        env=translated.env,
        requirements=tuple(translated.requirements),
        requirement_files=tuple(translated.files),
        imports=frozenset(translated.imports),
    )


def _parsed(text: str, passage: Passage, python: str) -> ast.Module:
    try:
        tree = ast.parse(text)
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        compile(text, "<cell>", "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        raise bad_syntax(error, passage, python) from None
    except ValueError as error:  # a null character
        raise BadSyntax(f"{passage.label} is not Python: {error}") from None
    return tree


def bad_syntax(error: SyntaxError, passage: Passage, python: str = "") -> ProgramError:
    """Return a parser's complaint as one about the cell, with its line and a caret.

    It says so where the target's `python` is newer, and might read it.
    """
    number = min(max(error.lineno or 1, 1), len(passage.lines))
    line = passage.lines[number - 1]
    caret = " " * max(min((error.offset or 1) - 1, len(line)), 0) + "^"
    newer = ""
    if python and tuple(map(int, python.split("."))) > sys.version_info[:2]:
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        newer = (
            f"\n  The target has Python {python}; cells are read by the one here, which is {here}"
        )
    return BadSyntax(
        f"{passage.label}, line {passage.places[number - 1]}: {error.msg}\n    {line}\n    {caret}"
        f"{newer}"
    )


def _idle_imports(tree: ast.Module) -> set[int]:
    """Lines `import rpnb` of a cell that only needs it for its marks: the target has no rpnb."""
    marked = {
        id(each) for node in ast.walk(tree) for mark in marks(node) for each in ast.walk(mark)
    }
    used = any(
        isinstance(node, ast.Name) and node.id == "rpnb" and id(node) not in marked
        for node in ast.walk(tree)
    )
    return {
        node.lineno
        for node in tree.body
        if isinstance(node, ast.Import) and ast.unparse(node) == "import rpnb" and not used
    }


def _docstring_end(tree: ast.Module) -> int:
    first = tree.body[0] if tree.body else None
    if ast.get_docstring(tree, clean=False) is None or first is None:
        return 0
    return first.end_lineno or first.lineno


def _future(
    tree: ast.Module, passage: Passage
) -> tuple[tuple[tuple[tuple[str, ...], Passage], ...], set[int]]:
    found: list[tuple[tuple[str, ...], Passage]] = []
    lines: set[int] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            last = node.end_lineno or node.lineno
            lines |= set(range(node.lineno, last + 1))
            names = tuple(alias.name for alias in node.names)
            found.append((names, passage.part(node.lineno, last)))
    return tuple(found), lines
