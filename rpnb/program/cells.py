"""Remote cells: what a magic says, which cell replaces which, which function is the handler."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import io
import itertools
import re
import tokenize
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import BadSyntax, NoHandler
from ..planner.facts import free_names
from . import start_call
from .decorators import is_handler
from .ipython_syntax import translate

KINDS = ("setup", "handler", "remote", "test")
_MAGIC = re.compile(r"(?:#[ \t]*)?%%runpod_(\w+)(?:[ \t]+(.*?))?[ \t]*$")
_OTHER_MAGIC = re.compile(r"%%\w+")
# Two cells without an id that share this much of their tokens are one cell, edited.
_ALIKE = 0.6
# difflib takes 0.1 s for two cells of 1000 tokens and 50 s for 4500: longer ones are compared
# by how often each token is there. 100 kB take 1 s so; beyond, only the same text is alike.
_MOST_TOKENS, _LONGEST_COMPARED = 1000, 100_000
# A worker from before may hand over any number of cells.
_MOST_COMPARED = 100
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
    An empty `id` means that the front end gives none. `send` are the names of its
    `--send` options.
    """

    id: str
    kind: str
    name: str
    label: str
    source: str
    first_line: int = 1
    send: tuple[str, ...] = ()

    def says_what(self, other: Cell) -> bool:
        """Whether the other cell is of the same kind and says the same.

        IPython gives a cell's magic its text with a line's end behind it, a file has none.
        """
        return (self.kind, self.source.rstrip()) == (other.kind, other.source.rstrip())

    @property
    def title(self) -> str:
        """What a person calls it, and what it is: "cell 3 (setup model)"."""
        return f"{self.label} ({f'{self.kind} {self.name}'.strip()})"


class Cells:
    """The program's remote cells in order; a cell that runs again replaces itself."""

    def __init__(self, cells: Iterable[Cell] = ()) -> None:
        self._cells: list[Cell] = []
        # Never used twice: a cell that was taken back has its id in mind.
        self._numbers = itertools.count(1)
        for cell in cells:
            self.add(cell)

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def get(self, cell_id: str) -> Cell | None:
        """Return the cell with this id."""
        return next((cell for cell in self._cells if cell.id == cell_id), None)

    def called(self, key: str) -> list[Cell]:
        """Return the cells with this NAME; else those with this label."""
        named = [cell for cell in self._cells if key and cell.name == key]
        return named or [cell for cell in self._cells if key and cell.label == key]

    def put(self, cell: Cell, *, among: Collection[str] | None = None) -> Cell:
        """Replace the earlier version of `cell`, else add it; return it with its id.

        The earlier version is the cell of its id; else, of the cells with the ids
        `among` (None: of all), the one of its NAME or the one most like it.
        """
        earlier = self._earlier(cell, among)
        if earlier is None:
            return self.add(cell)
        placed = cell if cell.id else dataclasses.replace(cell, id=earlier.id)
        self._cells[self._cells.index(earlier)] = placed
        return placed

    def add(self, cell: Cell) -> Cell:
        """Add a cell, however alike others are; return it with its id, which no other has."""
        is_new = cell.id and self.get(cell.id) is None
        placed = cell if is_new else dataclasses.replace(cell, id=self._new_id())
        self._cells.append(placed)
        return placed

    def drop(self, cell_id: str) -> Cell | None:
        """Take the cell with this id out; return it."""
        cell = self.get(cell_id)
        if cell is not None:
            self._cells.remove(cell)
        return cell

    def rename(self, old: str, new: str) -> None:
        """Give the cell with the id `old` the id `new`."""
        self._cells = [
            dataclasses.replace(cell, id=new) if cell.id == old else cell for cell in self._cells
        ]

    def arrange(self, ids: Sequence[str]) -> None:
        """Put the cells into the order of these ids, which hold every one."""
        self._cells.sort(key=lambda cell: ids.index(cell.id))

    def _earlier(self, cell: Cell, among: Collection[str] | None) -> Cell | None:
        same = self.get(cell.id) if cell.id else None
        if same is not None:
            return same
        others = [each for each in self._cells if among is None or each.id in among]
        if cell.name:
            return next((each for each in others if each.name == cell.name), None)
        unnamed = [each for each in others if each.kind == cell.kind and not each.name]
        near = enumerate(unnamed[:_MOST_COMPARED])
        rated = [(likeness(each.source, cell.source), -n) for n, each in near]
        best = max(rated, default=(0.0, 0))
        return unnamed[-best[1]] if best[0] >= _ALIKE else None

    def _new_id(self) -> str:
        taken = {cell.id for cell in self._cells}
        return next(each for n in self._numbers if (each := f"cell:{n}") not in taken)


def retyped(cells: Iterable[Cell]) -> Iterator[tuple[Cell, Cell]]:
    """Yield each set-up cell with a later one that would replace it, had they no ids."""
    typed, last = Cells(), dict[str, Cell]()
    for cell in cells:
        if cell.kind == "setup":
            place = typed.put(dataclasses.replace(cell, id="")).id
            if place in last:
                yield last[place], cell
            last[place] = cell


def is_lasting(cell_id: str) -> bool:
    """Whether the id is the notebook's own and not one that `Cells` made up."""
    return bool(cell_id) and not _OWN_ID.match(cell_id)


def likeness(old: str, new: str) -> float:
    """Return how much of two cells' tokens is the same, from 0 to 1.

    `old` and `new` are two cells, unless the new one could stand in the old one's
    place: it must bind a name of the old one's and need none from it. `a = load("a")`
    and `b = load("b")` share most tokens and are two, as are `x = load()` and
    `x = prepare(x)`, or `pipe.use_slicing()` and `pipe.use_tiling()`.
    """
    if old == new:
        return 1.0
    if max(len(old), len(new)) > _LONGEST_COMPARED:
        return 0.0
    first, second = _bound(plain(old)), _bound(plain(new))
    if not first & second or first & _needed(plain(new)):
        return 0.0
    tokens = _tokens(old), _tokens(new)
    compared = difflib.SequenceMatcher(None, *tokens, autojunk=False)
    is_long = max(map(len, tokens)) > _MOST_TOKENS
    return compared.quick_ratio() if is_long else compared.ratio()


def _needed(text: str) -> set[str]:
    try:
        return free_names(text)
    except SyntaxError:
        return set()


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


def plain(text: str) -> str:
    """Return a cell's text with IPython's own syntax translated; as it is where that cannot be."""
    try:
        return translate(text).text
    except BadSyntax:
        return text


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
