"""Remote cells: what a magic says, which cell replaces which, which function is the handler."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import BadSyntax, NoHandler
from . import start_call
from .decorators import is_handler
from .ipython_syntax import translate

KINDS = ("setup", "handler", "remote", "test")
_MAGIC = re.compile(r"(?:#[ \t]*)?%%runpod_(\w+)(?:[ \t]+(.*?))?[ \t]*$")
_OTHER_MAGIC = re.compile(r"%%\w+")
# Two cells without an id that share this much of their tokens are one cell, edited.
_ALIKE = 0.6
_OWN_ID = re.compile(r"cell:\d+$")

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Magic:
    """A cell's rpnb magic: `line` is what follows its name, `body` what lies below.

    `first_line` is the body's first line, counted in the cell as the person sees it.
    """

    kind: str
    line: str
    body: str
    first_line: int


def parse_magic(text: str) -> Magic | None:
    """Return the rpnb magic of a cell, in its `%%` or its `# %%` form, or None.

    Blank lines, and cell magics such as `%%time`, may stand above it.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines):
        found = _MAGIC.match(line.strip() if line.lstrip().startswith("%%") else line)
        if found and found[1] in KINDS:
            return Magic(found[1], found[2] or "", "\n".join(lines[number + 1 :]), number + 2)
        if line.strip() and not _OTHER_MAGIC.match(line.lstrip()):
            return None
    return None


@dataclass(frozen=True)
class Cell:
    """A remote cell of the program: kind "setup" or "handler".

    `label` is what a person calls it ("cell 3"), `source` the text below the
    magic, `first_line` that text's first line as counted in the whole cell.
    An empty `id` means that the front end gives none.
    """

    id: str
    kind: str
    name: str
    label: str
    source: str
    first_line: int = 1


class Cells:
    """The program's remote cells in order; a cell that runs again replaces itself."""

    def __init__(self, cells: Iterable[Cell] = ()) -> None:
        self._cells: list[Cell] = []
        for cell in cells:
            self.put(cell)

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def get(self, key: str) -> Cell | None:
        """Return the cell with this id, NAME or label."""
        for field in ("id", "name", "label"):
            for cell in self._cells:
                if key and getattr(cell, field) == key:
                    return cell
        return None

    def put(self, cell: Cell) -> Cell:
        """Replace the earlier version of `cell`, else add it; return it with its id."""
        earlier = self._earlier(cell)
        if earlier is None:
            placed = cell if cell.id else dataclasses.replace(cell, id=self._new_id())
            self._cells.append(placed)
            return placed
        placed = cell if cell.id else dataclasses.replace(cell, id=earlier.id)
        self._cells[self._cells.index(earlier)] = placed
        return placed

    def adopt(self, cell: Cell, *, keeps_id: bool) -> Cell:
        """Add a cell from before, however alike others are; return it with its id."""
        placed = cell if keeps_id else dataclasses.replace(cell, id=self._new_id())
        self._cells.append(placed)
        return placed

    def drop(self, key: str) -> Cell | None:
        """Take the cell with this id, NAME or label out; return it."""
        cell = self.get(key)
        if cell is not None:
            self._cells.remove(cell)
        return cell

    def arrange(self, ids: Iterable[str]) -> None:
        """Put the cells with these ids into this order; the others keep their neighbours."""
        place = {each: number for number, each in enumerate(ids)}
        keys: dict[str, tuple[int, int]] = {}
        last = -1
        for number, cell in enumerate(self._cells):
            last = place.get(cell.id, last)
            keys[cell.id] = (last, 0 if cell.id in place else number + 1)
        self._cells.sort(key=lambda cell: keys[cell.id])

    def _earlier(self, cell: Cell) -> Cell | None:
        if cell.id:
            same = next((each for each in self._cells if each.id == cell.id), None)
            if same is not None:
                return same
        # Two ids of a front end that differ are two cells, however alike.
        others = [each for each in self._cells if not (_has_real_id(each) and _has_real_id(cell))]
        if cell.name:
            return next((each for each in others if each.name == cell.name), None)
        unnamed = [each for each in others if each.kind == cell.kind and not each.name]
        rated = [(likeness(each.source, cell.source), -n) for n, each in enumerate(unnamed)]
        best = max(rated, default=(0.0, 0))
        return unnamed[-best[1]] if best[0] >= _ALIKE else None

    def _new_id(self) -> str:
        taken = {cell.id for cell in self._cells}
        return next(f"cell:{n}" for n in range(1, len(taken) + 2) if f"cell:{n}" not in taken)


def _has_real_id(cell: Cell) -> bool:
    return bool(cell.id) and not _OWN_ID.match(cell.id)


def likeness(old: str, new: str) -> float:
    """Return how much of two cells' tokens is the same, from 0 to 1.

    Cells that bind different names are different: `a = load("a")` and
    `b = load("b")` share most tokens and are two.
    """
    if old == new:
        return 1.0
    first, second = _bound(old), _bound(new)
    if first and second and not first & second:
        return 0.0
    return difflib.SequenceMatcher(None, _tokens(old), _tokens(new), autojunk=False).ratio()


def _bound(text: str) -> set[str]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return set()
    found = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif not isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {
                inner.id
                for inner in ast.walk(node)
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
            }
    return found


def _tokens(text: str) -> list[str]:
    try:
        return [t.string for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.string]
    except (tokenize.TokenError, SyntaxError):
        return text.split()


def python_text(cell: Cell) -> str:
    """Return the cell's text with IPython's own syntax translated, line for line.

    Raises:
        BadSyntax: Python cannot parse it.
    """
    text = translate(cell.source, label=cell.label, first_line=cell.first_line).text
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = cell.first_line + (getattr(error, "lineno", None) or 1) - 1
        what = getattr(error, "msg", str(error))
        raise BadSyntax(f"{cell.label}, line {line}: {what}") from None
    return text


def handler_name(cell: Cell) -> str:
    """Return the handler of a handler cell, as text of a Python expression.

    It is what the cell's `runpod.serverless.start(...)` names; else a function
    marked `@rpnb.handler`; else the one called `handler`; else the only function
    with one required parameter.

    Raises:
        NoHandler: there is none, or several could be it; the text lists them.
        BadSyntax: the cell cannot be parsed.
    """
    text = python_text(cell)
    tree = ast.parse(text)
    named = start_call.handler(text)
    if named:
        return named
    functions = _functions(tree)
    for choose in (is_handler, lambda node: node.name == "handler"):
        chosen = [node for node in functions if choose(node)]
        if chosen:
            return chosen[-1].name
    if any(name == "handler" for name, _ in _assigned(tree)):
        return "handler"
    candidates = {node.name: node for node in functions if _takes_one(node)}
    if len(candidates) == 1:
        return next(iter(candidates))
    unseen = start_call.unseen_handler(text)
    if unseen:
        return unseen
    raise NoHandler(_no_handler(cell, functions, list(candidates)))


def _functions(tree: ast.Module) -> list[_Function]:
    found: dict[str, _Function] = {}
    for node in _top_level(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[node.name] = node
    return list(found.values())


def _top_level(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(child, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
            yield from _top_level(child)


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    for node in _top_level(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                yield alias.asname or alias.name, node


def _takes_one(node: _Function) -> bool:
    given = node.args
    positional = len(given.posonlyargs) + len(given.args)
    required_keywords = sum(default is None for default in given.kw_defaults)
    return positional - len(given.defaults) == 1 and not required_keywords


def _no_handler(cell: Cell, functions: list[_Function], candidates: list[str]) -> str:
    what = (
        f"{cell.label} has {len(candidates)} functions that could be the handler: "
        f"{', '.join(candidates)}."
        if candidates
        else f"{cell.label} defines no handler."
    )
    if functions and not candidates:
        what += f" Of its functions ({', '.join(n.name for n in functions)}) none takes one job."
    chosen = candidates[0] if candidates else "handler"
    return (
        f"{what} A handler is a function with one parameter, the job: call it `handler`, or name "
        f'it at the end of the cell: runpod.serverless.start({{"handler": {chosen}}})'
    )
