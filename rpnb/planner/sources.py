"""What the text of a local module tells: its state, and what its functions do with it."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Collection, Iterable, Iterator, Sequence

from .access import is_literal
from .facts import facts
from .keeping import FIXED_CALLS, assigned, decorators, is_fixed, keeping, kept
from .masks import bits
from .methods import ACCESSORS
from .names import Names
from .routines import Routine, routines
from .statements import Statement, split

_PLAIN_CALLS = FIXED_CALLS | {
    *("print", "len", "list", "dict", "set", "range", "sorted", "zip", "enumerate", "open"),
    *("field", "dataclasses.field", "namedtuple", "collections.namedtuple", "json.load"),
    *("json.loads", "yaml.safe_load", "defaultdict", "collections.defaultdict", "Enum"),
}
_ITERATORS = frozenset({"iter", "map", "filter", "zip", "enumerate", "reversed", "count", "cycle"})


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
        # What each statement's functions keep from one call to the next.
        self.keeping = [keeping(each.text) for each in statements]
        # Names of values that may be changed; `state`: also of what keeps something. "" stands
        # for state without a name.
        self.values = _bound(each for each in statements if _makes_value(each))
        self.state = self.values | _bound(each for each in statements if _keeps_state(each))
        # Whether importing it asks libraries for anything that their settings may decide.
        self.asks = any(_asks(each.node) for each in statements)
        self.classes = {n.name: n for e in statements for n in _classes(e.node)}
        self.attributes = {name for each in self.classes.values() for name, _ in assigned(each)}
        self.routines = [r for each in statements for r in routines(each.text)]
        # Attributes that run code when they are read.
        descriptors = {name for name, each in self.classes.items() if _is_descriptor(each)}
        every = self.classes.values()
        self.properties = {n for each in every for n in _properties(each, descriptors)}
        self._makers: dict[str, list[int]] = {}
        for number, each in enumerate(self.facts):
            for name in each.binds:
                self._makers.setdefault(name, []).append(number)
        self._parts = [_parts(each) for each in statements]
        self.iterators = {
            n for e, f in zip(statements, self.facts) if _makes_iterator(e.node) for n in f.binds
        }

    def makers(self, name: str) -> set[str]:
        """Return the names that the value of a name is made with."""
        return set[str]().union(*(self._parts[number] for number in self._makers.get(name, ())))

    def reached(self, name: str) -> Iterator[int]:
        """Yield the statements that a name leads to: its own, and those of all that they read."""
        found, seen, todo = self.names.code([name]), {name}, [name]
        while todo:
            for number in self._makers.get(todo.pop(), ()):
                each = self.facts[number]
                found |= 1 << number
                todo += (each.reads | each.deferred_reads) - seen
                seen |= each.reads | each.deferred_reads
        return bits(found)

    def is_class(self, unit: int) -> bool:
        """Tell whether a statement makes a class."""
        return not self.classes.keys().isdisjoint(self.facts[unit].binds)

    def is_shared(self, path: Sequence[str]) -> bool:
        """Tell whether what is at `path`, or what its call returns, is part of the state."""
        if path[0] in self.classes:
            return bool(kept(self.classes[path[0]])) or path[0] in self.values
        made = [r for r in self.routines if r.name == path[0] and not r.cls]
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


def _is_descriptor(node: ast.ClassDef) -> bool:
    return any(isinstance(n, ast.FunctionDef) and n.name == "__get__" for n in node.body)


def _properties(node: ast.ClassDef, descriptors: Collection[str]) -> Iterator[str]:
    """Yield the attributes of a class that are properties, or made by a descriptor's class."""
    for part in node.body:
        marks = [ast.unparse(each) for each in getattr(part, "decorator_list", ())]
        is_own = any("property" in mark or mark in descriptors for mark in marks)
        if isinstance(part, ast.FunctionDef) and is_own:
            yield part.name
    for name, value in assigned(node):
        if isinstance(value, ast.Call) and ast.unparse(value.func) in descriptors:
            yield name


def _bound(statements: Iterable[Statement]) -> set[str]:
    every = map(facts, statements)
    return {name for each in every for name in (each.binds | each.deferred_binds or {""})}


def _keeps_state(statement: Statement) -> bool:
    """Tell whether what a statement defines keeps something of its calls."""
    found = facts(statement)
    is_kept = found.deferred_binds or found.deferred_changes - set(found.imports)
    return bool(is_kept) or found.is_opaque_later or keeping(statement.text).always


def _makes_value(statement: Statement) -> bool:
    """Tell whether a module-level statement leaves anything that could be changed later."""
    node, found = statement.node, facts(statement)
    if found.is_definition or found.is_inert or _is_main_guard(node):
        return False
    if isinstance(node, ast.ClassDef):
        return not _is_plain_class(node)
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return found.has_star
    if isinstance(node, ast.Assign):
        return not is_fixed(node.value)
    only_imports = found.binds <= set(found.imports) and not found.has_calls
    return not (only_imports and isinstance(node, (ast.If, ast.Try)))


def _parts(statement: Statement) -> Iterable[str]:
    """Return the names that a value is made with; of a function or class, its decorators."""
    node = statement.node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return facts(statement).reads
    return {n.id for each in decorators(node) for n in ast.walk(each) if isinstance(n, ast.Name)}


def _makes_iterator(node: ast.stmt) -> bool:
    """Tell whether a statement binds an iterator, which any reading moves."""
    value = getattr(node, "value", None)
    if isinstance(value, ast.Call):
        called = ast.unparse(value.func)
        return called in _ITERATORS or called.startswith("itertools.")
    return isinstance(value, ast.GeneratorExp)


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
