"""What a statement's stores and calls may change."""

# ast.NodeVisitor names the methods, and says what they get.
# ruff: noqa: D102

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Iterable

from .access import (
    IMPORTERS,
    access_path,
    called,
    function_name,
    is_made,
    is_modules,
    is_of_class,
    is_path,
    is_pure_builtin,
    makes_new,
    module_named,
    names_of,
    root_of,
)
from .effects import OPAQUE, OPAQUE_OUTSIDE, is_effect_verb, is_mutator

# Attributes that hold every name of the program.
_NAMESPACES = frozenset({"__globals__", "f_globals", "f_locals"})
# Functions that change their first argument, be it a library.
SETTERS = frozenset({"setattr", "delattr", "reload"})


@dataclass(frozen=True)
class Touch:
    """A store, call or load at `root` + `path`, which matters where `root` is an import."""

    root: str
    path: str
    form: str
    deferred: bool


@dataclass(frozen=True)
class Handed:
    """`root` + `path` is handed to a function as its argument `place`: a position, or a name."""

    function: str
    place: int | str
    root: str
    path: str
    deferred: bool


@dataclass
class Changes:
    """Names changed for sure, perhaps changed by a call, and changed through a result."""

    changes: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    results: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Flows:
    """`Changes` of function bodies, followed from their local names to the globals."""

    changes: frozenset[str]
    calls: frozenset[str]
    results: frozenset[str]


def _is_stored_into(target: ast.expr, loop: ast.For | ast.AsyncFor) -> bool:
    """Tell whether a loop stores into what its variables are."""
    names = set(names_of([target]))
    stores = (
        node
        for part in loop.body
        for node in ast.walk(part)
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store)
    )
    return any(not names.isdisjoint(names_of([root_of(node)])) for node in stores)


class Calls(ast.NodeVisitor):
    """Collects stores, calls and imports, apart for what runs now and what is deferred."""

    def __init__(self) -> None:
        self.now, self.later = Changes(), Changes()
        self.imports: dict[str, str] = {}
        self.loads: set[str] = set()
        self.deferred_loads: set[str] = set()
        self.paths: dict[str, str] = {}
        self.touches: list[Touch] = []
        self.handed: list[Handed] = []
        # What is used as a value, and called by nothing that the text shows.
        self.lent: list[Touch] = []
        # Names into whose values it stores, be they functions or classes.
        self.stored: set[str] = set()
        # What classes are made from, and whether anything asks a class for those made from it.
        self.bases: set[str] = set()
        self.lists_subclasses = False
        self.has_calls = self.has_operators = self.has_star = False
        # What may read and bind any name: something at once, something deferred.
        self.is_opaque = self.is_opaque_later = False
        # Paths of what is called at once; '' is any other code that may run.
        self.asks: set[str] = set()
        self._depth = 0
        self._bare: set[int] = set()
        # Expressions that are parts of an access path, called, or only looked at.
        self._within: set[int] = set()
        self._sources: dict[str, list[ast.AST]] = {}

    def flows(self, reads: set[str]) -> Flows:
        """Follow changed local names of function bodies to the globals (`reads`) they came from.

        What a plain access path leads to is changed for sure; what a call made
        of it only perhaps, as an argument of the call would be.
        """
        sure, _ = self._follow(self.later.changes, only_paths=True)
        perhaps, results = self._follow(self.later.changes | self.later.calls, only_paths=False)
        every = frozenset(reads)
        return Flows(every & sure, every & perhaps, every & (self.later.results | results))

    def altered(self) -> set[str]:
        """Return the names of functions' own, too, into which they store for sure."""
        return self._follow(self.later.changes, only_paths=True)[0]

    def settle(self) -> Changes:
        """Return what changes at once, followed from comprehensions' variables to names."""
        found = self.now
        changes, results = self._follow(found.changes, only_paths=False)
        calls, more = self._follow(found.calls, only_paths=False)
        return Changes(changes, calls, found.results | results | more)

    def _follow(self, names: set[str], *, only_paths: bool) -> tuple[set[str], set[str]]:
        todo, seen, results = list(names), set(names), set[str]()
        while todo:
            for value in self._sources.get(todo.pop(), []):
                found = names_of([value])
                if not only_paths:
                    results |= called([value])
                elif makes_new(value):
                    continue
                todo.extend(found - seen)
                seen |= found
        return seen, results

    @property
    def _here(self) -> Changes:
        return self.later if self._depth else self.now

    def _touch(self, node: ast.AST, form: str) -> None:
        root, path = access_path(node)
        if root.startswith("import "):
            self.imports[root] = root.partition(" ")[2]
        if root:
            self.touches.append(Touch(root, path, form, bool(self._depth)))

    def _lend(self, node: ast.Name | ast.Attribute) -> None:
        """Note an access path that nothing else is asked of: whoever gets the value may call it."""
        if isinstance(node.ctx, ast.Load) and id(node) not in self._within:
            self.lent.append(Touch(*access_path(node), "load", bool(self._depth)))

    def _blind(self) -> None:
        if self._depth:
            self.is_opaque_later = True
        else:
            self.is_opaque = True

    def visit_Subscript(self, node: ast.Subscript) -> None:
        is_named = isinstance(node.slice, ast.Constant) and node.slice.value != "__main__"
        if is_modules(node.value) and not is_named:
            # `sys.modules[__name__]` is the program itself.
            self._blind()
        elif isinstance(node.ctx, ast.Load):
            self._touch(node, "load")
        self.generic_visit(node)

    def _store(self, target: ast.AST) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            for element in target.elts:
                self._store(element)
        elif isinstance(target, ast.Starred):
            self._store(target.value)
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            self._change(target)
            self._stored(target.value)
            self._touch(target, "store")
            if not self._depth and is_of_class(target.value):
                # Of a library's object, for all that is known.
                self.imports["import type"] = "type"
                self.touches.append(Touch("import type", "", "store", deferred=False))

    def _stored(self, owner: ast.expr) -> None:
        """Note whose attributes or elements are stored: what a call returns has no name."""
        while isinstance(owner, (ast.Attribute, ast.Subscript)):
            owner = owner.value
        if isinstance(owner, ast.Name):
            self.stored.add(owner.id)

    def _change(self, target: ast.AST) -> None:
        # What a call has just made is not a part of what made it: `tok(text).to(device)`.
        found = self._here.calls if is_made(target) else self._here.changes
        found.update(names_of([root_of(target)]))
        self._here.results.update(called([target]))

    def _flow(self, target: ast.AST, value: ast.AST) -> None:
        if self._depth:
            for name in names_of([target]):
                self._sources.setdefault(name, []).append(value)

    # The methods below bear the names that ast.NodeVisitor looks for.
    def visit_Assign(self, node: ast.Assign) -> None:
        if not self._depth:
            self._alias(node)
        for target in node.targets:
            self._store(target)
            self._flow(target, node.value)
        self.generic_visit(node)

    def _alias(self, node: ast.Assign) -> None:
        """`s = lib.STATE`, `m = lib` and `m = import_module("lib")` give a library other names."""
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        module = module_named(node.value)
        if module:
            self.imports.update(dict.fromkeys(names, module))
        elif isinstance(node.value, (ast.Name, ast.Attribute, ast.Subscript)):
            root, path = access_path(node.value)
            self.paths.update(dict.fromkeys(names, f"{root}.{path}" if path else root))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._store(node.target)
        if node.value is not None:
            self._flow(node.target, node.value)
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._flow(node.target, node.value)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._change(node.target)
        self._flow(node.target, node.value)
        if not isinstance(node.target, ast.Name):
            self._touch(node.target, "store")
        self._runs()
        self.generic_visit(node)

    def _runs(self, path: str = "") -> None:
        """Note that code runs: of what a path leads to, or any."""
        if not self._depth:
            self.has_calls = True
            self.asks.add(path)

    def _operate(self, node: ast.AST) -> None:
        self.has_operators |= not self._depth
        self.generic_visit(node)

    visit_BinOp = visit_UnaryOp = visit_Compare = visit_FormattedValue = _operate  # noqa: N815

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._store(target)
        self.generic_visit(node)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._store(node.target)
        if isinstance(node.iter, (ast.Tuple, ast.List)) and _is_stored_into(node.target, node):
            for element in node.iter.elts:
                self._touch(element, "store")
        self._flow(node.target, node.iter)
        self.generic_visit(node)

    visit_AsyncFor = visit_For  # noqa: N815 (ast's naming)

    def visit_Match(self, node: ast.AST) -> None:
        # Python 3.9 has none.
        for case in node.cases:  # type: ignore[attr-defined]
            for part in ast.walk(case.pattern):
                for name in (getattr(part, "name", None), getattr(part, "rest", None)):
                    if name and self._depth:
                        self._sources.setdefault(name, []).append(node.subject)  # type: ignore[attr-defined]
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for name in names_of([node.target]):
            self._sources.setdefault(name, []).append(node.iter)
        self.generic_visit(node)

    def visit_withitem(self, node: ast.withitem) -> None:
        self._here.calls.update(names_of([node.context_expr]))
        self._runs()
        if node.optional_vars is not None:
            self._store(node.optional_vars)
            self._flow(node.optional_vars, node.context_expr)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        self._bare.add(id(value))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self._lend(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = function_name(node)
        self._within.add(id(node.func))
        self._within.update(map(id, node.args) if is_pure_builtin(node) else ())
        if isinstance(node.func, ast.Name):
            is_outside = name in OPAQUE_OUTSIDE and not (node.args or self._depth)
            if name in OPAQUE or is_outside:
                self._blind()
        verb = "verb" if is_effect_verb(name) else "use"
        self._touch(node.func, "bare" if id(node) in self._bare else verb)
        if name in IMPORTERS and node.args:
            self._load(node.args[0])
        if name in SETTERS and node.args:
            self._touch(node.args[0], "reload" if name == "reload" else "store")
            self._change(node.args[0])
            self._stored(node.args[0])
        if not is_pure_builtin(node):
            self._call(node, name)
        elif name != "print":
            # What an array is as a text, a setting decides.
            self.has_operators |= not self._depth
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _NAMESPACES:
            self._blind()
        self.lists_subclasses |= node.attr == "__subclasses__"
        if isinstance(node.ctx, ast.Load):
            self._touch(node, "load")
        self._lend(node)
        self._within.add(id(node.value))
        self.generic_visit(node)

    def _call(self, node: ast.Call, name: str) -> None:
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        here = self._here
        here.calls.update(names_of([node.func, *arguments]))
        here.results.update(called(arguments))
        if not isinstance(node.func, ast.Name):
            here.results.update(called([node.func]))
        if isinstance(node.func, ast.Attribute) and is_mutator(name):
            self._change(node.func)
        self._runs(ast.unparse(node.func) if is_path(node.func) else "")
        if isinstance(node.func, ast.Name):
            self._hand(name, [*enumerate(node.args), *((k.arg, k.value) for k in node.keywords)])

    def _hand(self, function: str, given: Iterable[tuple[int | str | None, ast.expr]]) -> None:
        """Note which access paths are handed to a function, and as what."""
        for place, value in given:
            if isinstance(value, ast.Starred):
                return
            if place is not None and isinstance(value, (ast.Name, ast.Attribute)):
                found = Handed(function, place, *access_path(value), bool(self._depth))
                self.handed.append(found)

    def _load(self, module: ast.expr) -> None:
        if isinstance(module, ast.Constant) and isinstance(module.value, str):
            (self.deferred_loads if self._depth else self.loads).add(module.value)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.split(".")[0]
            self.imports[alias.asname or top] = alias.name if alias.asname else top
            (self.deferred_loads if self._depth else self.loads).add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            # `from . import deep` is `.deep`, no `..deep`.
            path = f"{module}{alias.name}" if module[-1] == "." else f"{module}.{alias.name}"
            self.imports[alias.asname or alias.name] = path
            self.has_star = self.has_star or alias.name == "*"
        if module != "__future__":
            (self.deferred_loads if self._depth else self.loads).add(module)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
            self._runs()
        self._decorated(node.decorator_list)
        self._defaults(node.args)
        # Where annotations are lazy this is too much.
        for part in (*ast.walk(node.args), node):
            shown = getattr(part, "returns" if part is node else "annotation", None)
            if shown is not None:
                self.visit(shown)
        self._body(node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 (ast's naming)

    def _decorated(self, decorators: Iterable[ast.expr]) -> None:
        """A decorator is called: `@atexit.register` is a call named for its effect."""
        for decorator in decorators:
            self._here.calls.update(names_of([decorator]))
            if isinstance(decorator, ast.Attribute):
                self._touch(decorator, "verb" if is_effect_verb(decorator.attr) else "use")

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._defaults(node.args)
        self._body([node.body])

    def _defaults(self, arguments: ast.arguments) -> None:
        for default in [*arguments.defaults, *arguments.kw_defaults]:
            if default is not None:
                self.visit(default)

    def _body(self, nodes: Iterable[ast.AST]) -> None:
        self._depth += 1
        for node in nodes:
            self.visit(node)
        self._depth -= 1

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._decorated(node.decorator_list)
        # A base's __init_subclass__ or a metaclass runs code at once, and may keep the class.
        makers = names_of([*node.bases, *(keyword.value for keyword in node.keywords)])
        self._here.calls.update(makers)
        self.bases.update(makers)
        for maker in (*node.bases, *(keyword.value for keyword in node.keywords)):
            self._touch(maker, "use")
            self._within.add(id(maker))
        if node.decorator_list or node.bases or node.keywords:
            self._runs()
        self.generic_visit(node)
