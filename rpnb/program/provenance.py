"""Which statement of an ordinary cell made the object that a name holds.

`inspect` cannot tell: it fails for classes made in a cell and gives the whole
line for a lambda. So after each cell its statements are noted with the objects
that they left. A source counts only while the name still holds that very object.
"""

from __future__ import annotations

import ast
import contextlib
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..planner.facts import split
from .fingerprint import fingerprint
from .passages import Passage
from .uses import Statement, uses

_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_MUTATORS = frozenset(
    {"update", "append", "extend", "insert", "add", "setdefault", "pop", "remove", "clear"}
)
_ATOMS = (int, float, complex, str, bytes, type(None))
# A name that another statement of the cell bound anew: what it held before is gone.
_MOVED = (object(), None)
# The cell magics whose body IPython runs in the person's own namespace.
_TRANSPARENT = frozenset({"time", "capture", "timeit", "prun"})


@dataclass(frozen=True)
class Definition:
    """The statements that made a value; `node` is the one that bound the name.

    `cell` says which of the recorded cells bound it, `in_block` that it stood inside a loop
    or a condition; `print` is the value's fingerprint when its cell ended, `read` are the
    names that the statements read as they ran, with a mark of what these held.
    """

    name: str
    passages: tuple[Passage, ...]
    node: ast.stmt
    value: Any
    in_block: bool = False
    cell: int = 0
    print: Any = field(default=None, repr=False)
    read: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """The statements' text."""
        return "\n".join(passage.text for passage in self.passages)

    @property
    def is_import(self) -> bool:
        """Whether an import statement bound the name."""
        return isinstance(self.node, (ast.Import, ast.ImportFrom))

    @property
    def is_changed(self) -> bool:
        """Whether the value was changed in place since its cell ran."""
        return bool(fingerprint(self.value) != self.print)

    def is_moved(self, namespace: Mapping[str, Any]) -> bool:
        """Whether the statements would now read something else than they did."""
        return any(
            name in namespace and _mark(namespace[name])[0] != mark[0]
            for name, mark in self.read.items()
        )


class Provenance:
    """What each ordinary cell's statements made; `record` after each cell that ran."""

    def __init__(self) -> None:
        self._definitions: dict[str, Definition] = {}
        self._labels: dict[str, str] = {}
        # Statements that neither define nor import, by their text: each with its cell's label,
        # and which of the recorded cells that was.
        self._done: dict[str, tuple[ast.stmt, str, int]] = {}
        self._count = 0

    def record(
        self, label: str, text: str, namespace: Mapping[str, Any], *, raw: str | None = None
    ) -> None:
        """Note what the statements of a cell made.

        `text` is what IPython compiled (its syntax already transformed), `raw`
        what was typed: IPython drops the blank lines above.
        """
        try:
            text, first_line = _unwrapped(text, 1 + _blank_above(raw or "") - _blank_above(text))
            statements = split(text)
        except (SyntaxError, ValueError):
            return
        self._labels[text.strip()] = label
        self._count += 1
        whole = Passage.typed(text, max(first_line, 1), label=label)
        touched: set[str] = set()
        rebound = _bound_later(statements)
        for statement, later in zip(statements, rebound, strict=True):
            marks = {
                name: _MOVED if name in later else _mark(namespace[name])
                for name in uses(statement).now
                if name in namespace
            }
            touched |= self._note(statement, _with_comments(statement, whole), namespace, marks)
            if not isinstance(statement.node, (*DEFINITIONS, ast.Import, ast.ImportFrom)):
                self._done[statement.text] = statement.node, label, self._count
            self._note_script(statement.node, namespace)
        self._forget(namespace)
        for name in touched:
            found = self._definitions.get(name)
            if found is not None and found.value is namespace.get(name):
                self._definitions[name] = replace(found, print=fingerprint(found.value))

    def _note_script(self, node: ast.stmt, namespace: Mapping[str, Any]) -> None:
        """Note what a script that `%run` ran has left here: its names are the notebook's now."""
        script = _run_script(node)
        if script is not None:
            with contextlib.suppress(OSError, UnicodeDecodeError):
                self.record(script.name, script.read_text(encoding="utf-8"), namespace)

    def source_of(self, name: str, value: Any) -> Definition | None:
        """Return what made `value`, if that is still the object that the cell left."""
        found = self._definitions.get(name)
        return found if found is not None and found.value is value else None

    def definitions(self) -> list[Definition]:
        """Return what is known of every name, in the order in which they were first bound."""
        return list(self._definitions.values())

    def done_since(self, definition: Definition) -> list[tuple[ast.stmt, str]]:
        """Return the statements that ran since, and define nothing, each with its cell's label."""
        return [(node, label) for node, label, at in self._done.values() if at >= definition.cell]

    def label_of(self, text: str) -> str:
        """Return the label of the cell that had this text, "" if none is known."""
        return self._labels.get(text.strip(), "")

    def _forget(self, namespace: Mapping[str, Any]) -> None:
        """Let go of what is no longer there: a deleted model must not live on here."""
        gone = [
            name
            for name, found in self._definitions.items()
            if name not in namespace or namespace[name] is not found.value
        ]
        for name in gone:
            del self._definitions[name]

    def _note(
        self,
        statement: Statement,
        passage: Passage,
        namespace: Mapping[str, Any],
        marks: Mapping[str, Any],
    ) -> set[str]:
        used = uses(statement)
        added_to = self._added_to(statement.node, namespace)
        for name in used.binds - added_to:
            if name in namespace:
                found = _definition(name, statement, passage, namespace[name])
                read = {n: m for n, m in marks.items() if n != name}
                found = replace(found, read=read, cell=self._count)
                if name in used.now and not isinstance(statement.node, _BLOCKS):
                    # `f = deco(f)`: what it was before belongs to how it came to be.
                    earlier = self._definitions.get(name)
                    if earlier is not None:
                        passages = (*earlier.passages, *found.passages)
                        read = {**found.read, **earlier.read}
                        found = replace(found, passages=passages, read=read, cell=earlier.cell)
                self._definitions[name] = found
            else:
                self._definitions.pop(name, None)
        changed = set(changed_in_place(statement.node)) - used.binds
        for name in changed & set(self._definitions):
            earlier = self._definitions[name]
            if earlier.value is namespace.get(name):
                self._definitions[name] = replace(earlier, passages=(*earlier.passages, passage))
        return (changed | used.binds) - added_to

    def _added_to(self, node: ast.stmt, namespace: Mapping[str, Any]) -> frozenset[str]:
        """Names to which a block adds in place (`for x in xs: names += [x]`): the object stays."""
        if not isinstance(node, _BLOCKS):
            return frozenset()
        added = {
            each.target.id
            for each in ast.walk(node)
            if isinstance(each, ast.AugAssign) and isinstance(each.target, ast.Name)
        }
        known = ((name, self._definitions.get(name)) for name in added)
        return frozenset(n for n, d in known if d is not None and d.value is namespace.get(n))


def _bound_later(statements: list[Statement]) -> list[frozenset[str]]:
    """For each statement, the names that those below it bind."""
    found = [frozenset[str]()]
    for statement in reversed(statements[1:]):
        found.insert(0, found[0] | uses(statement).binds)
    return found[: len(statements)]


def _run_script(node: ast.stmt) -> Path | None:
    """The file of `%run FILE`, as IPython writes it; None for any other statement."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith("run_line_magic"):
        return None
    given = [each.value for each in call.args if isinstance(each, ast.Constant)]
    if given[:1] != ["run"] or len(given) != 2:
        return None
    words = [word for word in str(given[1]).split() if not word.startswith("-")]
    if not words or "-m" in str(given[1]).split():
        return None
    path = Path(words[0].strip("'\""))
    return path if path.suffix else path.with_suffix(".py")


def _mark(value: Any) -> tuple[Any, Any]:
    """What tells whether a name still holds this; kept with it is what is small, for its id."""
    if isinstance(value, _ATOMS):
        return (type(value), value), None
    is_small = isinstance(value, (type, types.FunctionType, types.ModuleType))
    return ("is", id(value)), value if is_small else None


def _blank_above(text: str) -> int:
    lines = text.split("\n")
    return next((n for n, line in enumerate(lines) if line.strip()), 0)


def _with_comments(statement: Statement, whole: Passage) -> Passage:
    """A statement's lines, with the comments behind it and right above it."""
    lines = whole.part(statement.first_line, statement.last_line)
    node = statement.node
    before = lines.lines[0].encode()[: node.col_offset].strip()
    behind = lines.lines[-1].encode()[node.end_col_offset or 0 :].strip()
    if before.strip(b"@") or (behind and not behind.startswith(b"#")):
        # It shares a line with another: `a = 1; b = 2`.
        return Passage.typed(statement.text, lines.places[0], label=whole.label)
    first = statement.first_line
    while first > 1 and whole.lines[first - 2].startswith("#"):
        first -= 1
    return whole.part(first, statement.last_line)


def _unwrapped(text: str, first_line: int) -> tuple[str, int]:
    """The body of a cell under `%%time` and its like, which IPython gives to a magic."""
    tree = ast.parse(text)
    only = tree.body[0] if len(tree.body) == 1 else None
    call = only.value if isinstance(only, ast.Expr) else None
    if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith("run_cell_magic"):
        return text, first_line
    given = [each.value for each in call.args if isinstance(each, ast.Constant)]
    if len(given) == 3 and given[0] in _TRANSPARENT and isinstance(given[2], str):
        return _unwrapped(given[2], first_line + 1)
    return text, first_line


def _definition(name: str, statement: Statement, passage: Passage, value: Any) -> Definition:
    if not isinstance(statement.node, _BLOCKS):
        return Definition(name, (passage,), statement.node, value)
    inner = [each for each in _inner(statement.node) if name in _binds(each)]
    in_loop = any(
        isinstance(each, _LOOPS) and name not in _targets(each) for each in ast.walk(statement.node)
    )
    chosen = _matching(inner, value)
    if chosen is not None:
        part = _cut(passage, chosen, statement)
        if part is not None:
            return Definition(name, (part,), chosen, value, in_block=True)
    # Several branches bind it: the whole statement is its source, unless it loops.
    return Definition(name, (passage,), statement.node, value, in_block=in_loop)


def _matching(candidates: list[ast.stmt], value: Any) -> ast.stmt | None:
    if len(candidates) == 1:
        return candidates[0]
    if isinstance(value, types.FunctionType):
        line = value.__code__.co_firstlineno
    else:
        line = vars(value).get("__firstlineno__", 0) if isinstance(value, type) else 0
    return next((each for each in candidates if _first_line(each) == line), None)


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _inner(node: ast.AST) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _BLOCKS):
            yield from _inner(child)
        elif isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler):
            yield from _inner(child)


def _binds(node: ast.stmt) -> frozenset[str]:
    return uses(split(ast.unparse(node))[0]).binds


def _targets(node: ast.AST) -> set[str]:
    target = getattr(node, "target", None)
    return {each.id for each in ast.walk(target) if isinstance(each, ast.Name)} if target else set()


def _cut(passage: Passage, node: ast.stmt, statement: Statement) -> Passage | None:
    """The lines of a statement inside a block, moved to the left margin; None if they cannot be."""
    # The passage may begin above the statement, with its comments.
    offset = len(passage.lines) - (statement.last_line - statement.first_line + 1)
    first = _first_line(node) - statement.first_line + 1 + offset
    last = (node.end_lineno or node.lineno) - statement.first_line + 1 + offset
    part = passage.part(first, last)
    indent = len(part.lines[0]) - len(part.lines[0].lstrip())
    if any(line[:indent].strip() for line in part.lines):
        return None  # the statement begins or ends inside a line of another
    moved = replace(part, lines=tuple(line[indent:] for line in part.lines))
    try:
        same = ast.dump(ast.parse(moved.text)) == ast.dump(ast.Module([node], []))
    except SyntaxError:
        return None
    return moved if same else None


def changed_in_place(node: ast.stmt) -> Iterator[str]:
    """Yield the names whose object a statement changes in place, as far as its own text shows."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        targets = [node.target]
    elif isinstance(node, ast.Delete):
        targets = node.targets
    elif (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr in _MUTATORS
    ):
        targets = [node.value.func]
    elif isinstance(node, DEFINITIONS):
        # `@f.register`: the definition becomes part of what f is.
        decorators = node.decorator_list
        targets = [each.func if isinstance(each, ast.Call) else each for each in decorators]
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    for target in targets:
        while isinstance(target, (ast.Attribute, ast.Subscript)):
            target = target.value
            if isinstance(target, ast.Name):
                yield target.id
