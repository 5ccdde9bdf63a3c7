"""What the text of a local module tells: its state, and what its functions do with it."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Iterator, Sequence

from .calls import is_literal
from .facts import facts
from .methods import ACCESSORS
from .names import Names
from .routines import Routine, routines
from .statements import Statement, split

# Calls at module level that make nothing anybody changes.
_FIXED_CALLS = frozenset(
    {
        *("logging.getLogger", "re.compile", "Path", "pathlib.Path", "os.environ.get"),
        *("os.getenv", "os.path.join", "os.path.dirname", "os.path.abspath", "frozenset"),
        *("TypeVar", "typing.TypeVar", "str", "int", "float", "bool", "tuple"),
    }
)
_PLAIN_CALLS = _FIXED_CALLS | {
    *("print", "len", "list", "dict", "set", "range", "sorted", "zip", "enumerate", "open"),
    *("field", "dataclasses.field", "namedtuple", "collections.namedtuple", "json.load"),
    *("json.loads", "yaml.safe_load", "defaultdict", "collections.defaultdict", "Enum"),
}


class Source:
    """One file. What cannot be parsed tells nothing: its import will say what is wrong."""

    def __init__(self, text: str) -> None:
        try:
            statements = split(text)
        except (SyntaxError, ValueError):
            statements = []
        self.facts = [facts(each) for each in statements]
        self.identities = [each.identity for each in statements]
        self.names = Names(self.facts)
        # `lib.*` for each `from lib import *`.
        self.stars = [f.imports["*"] for f in self.facts if "*" in f.imports]
        self.bound = {name for found in self.facts for name in found.binds}
        self.defined = {n for f in self.facts for n in f.binds - set(f.imports)}
        # Top-level names of what it imports while it is imported, and of that and later.
        self.loads_at_once = {path.split(".")[0] for f in self.facts for path in f.loads}
        later = {path.split(".")[0] for f in self.facts for path in f.deferred_loads}
        self.loads = self.loads_at_once | later
        # Names of values that may be changed; "" stands for state without a name.
        self.state = {
            name
            for each, found in zip(statements, self.facts)
            if _keeps_state(each)
            for name in (found.binds | found.deferred_binds or {""})
        }
        # Whether importing it asks libraries for anything that their settings may decide.
        self.asks = any(_asks(each.node) for each in statements)
        self._keepers = {n.name: _kept(n) for e in statements for n in _classes(e.node)}
        self._routines = [r for each in statements for r in routines(each.text)]
        # Functions that keep something of their calls (a cache), and classes with such methods.
        self._memos = {r.cls or r.name for r in self._routines if r.keeps and not r.parent}

    def is_changed_by(self, path: Sequence[str]) -> bool:
        """Tell whether calls of the class or function at `path` change what it holds itself."""
        return path[0] in self._memos or (
            path[0] in self._keepers
            and any(
                _first(store.target) in self._keepers[path[0]]
                for routine in self._routines
                if routine.cls == path[0]
                for store in routine.stores
                if _base(store.target) in routine.params[:1]
            )
        )

    def is_shared(self, path: Sequence[str]) -> bool:
        """Tell whether what is at `path`, or what its call returns, is part of the state."""
        if path[0] in self._keepers:
            return bool(self._keepers[path[0]])
        made = [r for r in self._routines if r.name == path[0] and not r.cls]
        if not made:
            return path[0] in self.state or path[0] not in self.bound
        return any(
            _leads_to(value, routine) & self.state for routine in made for value in routine.returns
        )


def _leads_to(expr: ast.AST, routine: Routine) -> set[str]:
    """The globals in an expression, followed from local names; calls make new values."""
    found, seen, todo = set[str](), set[str](), [expr]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Name):
            if node.id in seen:
                continue
            seen.add(node.id)
            if routine.place(node.id) == "global":
                found.add(node.id)
            todo.extend(routine.sources.get(node.id, ()))
        else:
            todo.extend(ast.iter_child_nodes(node))
    return found


def _classes(node: ast.stmt) -> Iterator[ast.ClassDef]:
    return (part for part in ast.walk(node) if isinstance(part, ast.ClassDef))


def _kept(node: ast.ClassDef) -> set[str]:
    """Names of a class body that are bound to values which may be changed."""
    found = set[str]()
    for part in node.body:
        if isinstance(part, (ast.Assign, ast.AnnAssign)) and part.value is not None:
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            if not _is_fixed(part.value):
                found |= {t.id for t in targets if isinstance(t, ast.Name)}
    return found


def _first(target: ast.AST) -> str:
    """`kept` of `self.kept[k].x`."""
    name = ""
    while isinstance(target, (ast.Attribute, ast.Subscript)):
        name = target.attr if isinstance(target, ast.Attribute) else name
        target = target.value
    return name


def _base(target: ast.AST) -> str:
    while isinstance(target, (ast.Attribute, ast.Subscript)):
        target = target.value
    return target.id if isinstance(target, ast.Name) else ""


def _keeps_state(statement: Statement) -> bool:
    """Tell whether a module-level statement leaves anything that could be changed later."""
    node, found = statement.node, facts(statement)
    if found.deferred_binds or found.is_opaque_later:
        return True
    if found.is_definition or found.is_inert or _is_main_guard(node):
        return False
    if isinstance(node, ast.ClassDef):
        return not _is_plain_class(node)
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return found.has_star
    if isinstance(node, ast.Assign):
        return not _is_fixed(node.value)
    only_imports = found.binds <= set(found.imports) and not found.has_calls
    return not (only_imports and isinstance(node, (ast.If, ast.Try)))


def _is_fixed(value: ast.expr) -> bool:
    calls = [n for n in ast.walk(value) if isinstance(n, ast.Call)]
    made = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)
    return not any(isinstance(n, made) for n in ast.walk(value)) and all(
        ast.unparse(call.func) in _FIXED_CALLS for call in calls
    )


def _asks(node: ast.AST) -> bool:
    """Tell whether a value comes from a call that may depend on how a library is set."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return False
    if isinstance(node, ast.Call) and ast.unparse(node.func) not in _PLAIN_CALLS:
        return True
    # A call whose result is dropped is made for its effect.
    inner = node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else node
    return any(_asks(child) for child in ast.iter_child_nodes(inner))


def _is_plain_class(node: ast.ClassDef) -> bool:
    made = node.bases or node.keywords or node.decorator_list
    return not made and all(_is_plain_member(part) for part in node.body)


def _is_plain_member(part: ast.stmt) -> bool:
    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return {ast.unparse(each) for each in part.decorator_list} <= ACCESSORS
    if isinstance(part, (ast.AnnAssign, ast.Assign)):
        return part.value is None or is_literal(part.value)
    documents = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
    return documents or isinstance(part, ast.Pass)


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


@lru_cache(maxsize=5_000)
def source(text: str) -> Source:
    """Return what a module's text tells."""
    return Source(text)
