"""Functions as seen from a job that calls them: what they store into, call, pass on and return.

A *root* is what an access path starts from: a global, a parameter of a routine, or
a variable of an enclosing function.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Iterator, Sequence

from .access import decorator_name, is_literal
from .calls import SETTERS
from .effects import is_mutator
from .known import WRAPPERS
from .spelled import spelled

_Function = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
# Methods whose first argument says where the others go, or is itself what is stored.
_KEYED_METHODS = frozenset({"setdefault", "insert", "add", "discard", "remove", "pop"})


@dataclass(frozen=True)
class Store:
    """A store into what `target` leads to; `values` go there under `keys`.

    `sets` an attribute to another object, which leaves the one that was there as it is.
    """

    target: ast.expr
    values: tuple[ast.expr, ...]
    keys: tuple[ast.expr, ...]
    sets: bool = False


# Decorators that keep nothing of a call, by the last part of their names.
_FORGETFUL = frozenset(path.rpartition(".")[2] for path in WRAPPERS) | {
    *("property", "staticmethod", "classmethod"),
    *("setter", "getter", "deleter", "field_validator", "model_validator", "field_serializer"),
    *("overload", "abstractmethod", "override", "final", "deprecated"),
}


@dataclass(eq=False)
class Routine:
    """A function, a method, or a whole statement whose code runs when a job does.

    `name` is "" where nothing calls it by name; `cls` the class that it is a method of.
    """

    name: str
    cls: str = ""
    parent: Routine | None = None
    # A statement's names are the program's, not its own.
    is_whole: bool = False
    params: list[str] = field(default_factory=list)
    # Parameters that are not filled by position.
    others: list[str] = field(default_factory=list)
    # Those of them that take any number of arguments: what says where, and what is stored.
    packed: set[str] = field(default_factory=set)
    defaults: dict[str, ast.expr] = field(default_factory=dict)
    sort: str = ""
    # Decorators that may keep something of its calls (a cache), by the last parts of their names.
    wrappers: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    cells: set[str] = field(default_factory=set)
    sources: dict[str, list[ast.expr]] = field(default_factory=dict)
    stores: list[Store] = field(default_factory=list)
    # What `next()` moves by its name, or as an attribute.
    drawn: list[ast.Name | ast.Attribute] = field(default_factory=list)
    calls: list[ast.Call] = field(default_factory=list)
    # `x.m` that is not called here, but handed on.
    bound: list[ast.Attribute] = field(default_factory=list)
    returns: list[ast.expr] = field(default_factory=list)

    @property
    def keeps(self) -> bool:
        """Tell whether calls of it may be kept, with what they returned."""
        return bool(self.wrappers)

    def place(self, name: str) -> str:
        """Return what a name is in this routine: `global`, `param`, `local` or `cell`."""
        if name in self.globals or self.is_whole:
            return "global"
        if name in self.cells:
            return "cell"
        if name in self.params or name in self.others:
            return "param"
        if name in self.sources:
            return "local"
        outer = self.parent
        while outer is not None and not outer.is_whole:
            if name in outer.sources or name in outer.params or name in outer.others:
                return "cell"
            outer = outer.parent
        return "global"

    def is_filled(self, call: ast.Call) -> bool:
        """Tell whether a call shows all that it hands over: a callback's caller adds some."""
        asked = {*self.params, *self.others} - {*self.defaults, *self.packed}
        is_bound = bool(self.cls) and self.sort != "staticmethod"
        return len(call.args) + len(call.keywords) >= len(asked) - is_bound

    def argument(self, call: ast.Call, param: str, *, first: int = 0) -> Iterator[ast.expr]:
        """Yield what a call hands over as `param`; its first argument fills parameter `first`."""
        if param in self.params:
            place = self.params.index(param) - first
            if 0 <= place < len(call.args):
                yield call.args[place]
        elif self.others:
            yield from call.args[max(0, len(self.params) - first) :]
        for keyword in call.keywords:
            if keyword.arg in (param, None) or (
                param in self.others and keyword.arg not in self.params
            ):
                yield keyword.value


@lru_cache(maxsize=5_000)
def routines(text: str) -> tuple[Routine, ...]:
    """Return the routines of a statement."""
    finder = _Finder()
    finder.visit(ast.parse(spelled(text)))
    return tuple(finder.found)


@lru_cache(maxsize=500)
def whole(text: str) -> tuple[Routine, ...]:
    """Return a statement as a routine of its own, and the routines in it."""
    routine = Routine("", is_whole=True)
    finder = _Finder(routine)
    finder.visit(ast.parse(spelled(text)))
    return (routine, *finder.found)


class _Finder(ast.NodeVisitor):
    """Fills a routine, and makes new ones for the functions in it."""

    def __init__(self, into: Routine | None = None, cls: str = "") -> None:
        self._into, self._cls = into, cls
        self.found: list[Routine] = []

    def _enter(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, name: str) -> None:
        args = node.args
        places = [*args.posonlyargs, *args.args]
        routine = Routine(name, self._cls, self._into, params=[a.arg for a in places])
        packed = [each for each in (args.vararg, args.kwarg) if each]
        routine.packed = {each.arg for each in packed}
        more = [*args.kwonlyargs, *packed]
        routine.others = [a.arg for a in more]
        given = [
            *zip(reversed(places), reversed(args.defaults)),
            *zip(args.kwonlyargs, args.kw_defaults),
        ]
        routine.defaults = {a.arg: d for a, d in given if d is not None and not is_literal(d)}
        if self._cls:
            marks = [ast.unparse(d) for d in getattr(node, "decorator_list", ())]
            routine.sort = next(
                (m for m in ("classmethod", "staticmethod") if m in marks), "method"
            )
        routine.wrappers = {
            decorator_name(d) for d in getattr(node, "decorator_list", ())
        } - _FORGETFUL
        body = node.body if isinstance(node.body, list) else [ast.Return(node.body)]
        inner = _Finder(routine)
        for part in body:
            inner.visit(part)
        self.found += [routine, *inner.found]

    # The methods below bear the names that ast.NodeVisitor looks for.
    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if self._into is not None:
            self._into.sources.setdefault(node.name, [])
        self._enter(node, node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 (ast's naming)

    def visit_Lambda(self, node: ast.Lambda, name: str = "") -> None:
        self._enter(node, name)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        inner = _Finder(self._into, node.name)
        for part in node.body:
            inner.visit(part)
        self.found += inner.found

    def visit_Global(self, node: ast.Global) -> None:
        if self._into is not None:
            self._into.globals.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        if self._into is not None:
            self._into.cells.update(node.names)

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.value, ast.Lambda) and isinstance(node.targets[0], ast.Name):
            self.visit_Lambda(node.value, node.targets[0].id)
        else:
            self.visit(node.value)
        for target in node.targets:
            self._store(target, (node.value,))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
            self._store(node.target, (node.value,))

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        self._store(node.target, (node.value,), sets=False)
        if isinstance(node.target, ast.Name) and self._into is not None:
            # `x += [1]` changes what x leads to, too.
            self._into.stores.append(Store(node.target, (node.value,), ()))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._store(node.target, (node.value,))

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._store(node.target, (node.iter,))
        self.generic_visit(node)

    visit_AsyncFor = visit_For  # noqa: N815 (ast's naming)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._store(node.target, (node.iter,))
        self.generic_visit(node)

    def visit_withitem(self, node: ast.withitem) -> None:
        self.visit(node.context_expr)
        if node.optional_vars is not None:
            self._store(node.optional_vars, (node.context_expr,))

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name and self._into is not None:
            self._into.sources.setdefault(node.name, [])
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names if self._into is not None else ():
            name = alias.asname or alias.name.split(".")[0]
            self._into.sources.setdefault(name, [])  # type: ignore[union-attr] # not None

    visit_ImportFrom = visit_Import  # noqa: N815 (ast's naming)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._store(target, (), sets=False)

    def visit_Return(self, node: ast.Return | ast.Yield) -> None:
        if node.value is not None and self._into is not None:
            self._into.returns.append(node.value)
        self.generic_visit(node)

    visit_Yield = visit_Return  # noqa: N815 (ast's naming)

    def visit_Call(self, node: ast.Call) -> None:
        if self._into is not None:
            self._into.calls.append(node)
            if isinstance(node.func, ast.Attribute) and is_mutator(node.func.attr):
                self._mutate(node, node.func)
            elif isinstance(node.func, ast.Name) and node.func.id in SETTERS and node.args:
                self._into.stores.append(Store(node.args[0], (*node.args[2:],), (*node.args[1:2],)))
            elif ast.unparse(node.func) == "next" and node.args:
                path = node.args[0]
                self._into.drawn += [path] if isinstance(path, (ast.Name, ast.Attribute)) else []
        if isinstance(node.func, ast.Attribute):
            self.visit(node.func.value)
        else:
            self.visit(node.func)
        for part in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.visit(part)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if self._into is not None and isinstance(node.ctx, ast.Load):
            self._into.bound.append(node)
        self.visit(node.value)

    def _mutate(self, node: ast.Call, func: ast.Attribute) -> None:
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        keyed = func.attr in _KEYED_METHODS
        keys = values[:1] if keyed else []
        store = Store(func.value, tuple(values[1:] if keyed else values), tuple(keys))
        self._into.stores.append(store)  # type: ignore[union-attr] # the caller looked

    def _store(self, target: ast.expr, values: tuple[ast.expr, ...], *, sets: bool = True) -> None:
        if self._into is None:
            return
        if isinstance(target, (ast.Tuple, ast.List)):
            for element in target.elts:
                self._store(element, values)
        elif isinstance(target, ast.Starred):
            self._store(target.value, values)
        elif isinstance(target, ast.Name):
            # Whether it is the routine's own shows when its `global` lines are known.
            self._into.sources.setdefault(target.id, []).extend(values)
        else:
            sets = sets and isinstance(target, ast.Attribute)
            self._into.stores.append(Store(target, values, tuple(_keys(target)), sets))
            for key in _keys(target):
                self.visit(key)


def _keys(target: ast.expr) -> Iterator[ast.expr]:
    while isinstance(target, (ast.Attribute, ast.Subscript)):
        if isinstance(target, ast.Subscript):
            yield target.slice
        target = target.value


def depends_on(routine: Routine, exprs: Sequence[ast.expr]) -> set[str]:
    """Return the parameters that the values of these expressions depend on."""
    found, seen, todo = set[str](), set[str](), list(exprs)
    while todo:
        for node in ast.walk(todo.pop()):
            if isinstance(node, ast.Name) and node.id not in seen:
                seen.add(node.id)
                if routine.place(node.id) == "param":
                    found.add(node.id)
                todo.extend(routine.sources.get(node.id, ()))
    return found
