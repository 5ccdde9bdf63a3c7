"""What a statement's stores and calls may change."""

# ast.NodeVisitor names the methods, and says what they get.
# ruff: noqa: D102

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Iterable, Mapping

from .effects import MUTATORS, OPAQUE, OPAQUE_OUTSIDE, PURE_BUILTINS, is_effect_verb

# Attributes that hold every name of the program.
_NAMESPACES = frozenset({"__globals__", "f_globals", "f_locals"})
# Functions that change their first argument, be it a library.
SETTERS = frozenset({"setattr", "delattr", "reload"})
_IMPORTERS = frozenset({"import_module", "__import__"})
# Functions that hand out a part of their first argument.
_PARTS_OF = ("getattr", "vars")
# Methods that hand out a part of what they are called on.
LOOKUPS = frozenset({"get", "values", "items", "setdefault", "__getitem__"})


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


def is_literal(node: ast.expr) -> bool:
    """Tell whether the expression is a literal that nothing can change."""
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return not any(isinstance(n, (ast.List, ast.Dict, ast.Set)) for n in ast.walk(node))


def path_of(node: ast.expr, imports: Mapping[str, str]) -> str:
    """Return what a name or an attribute path stands for, called with constants or not at all.

    '' where it is more than that; `imports` tells what names stand for.
    """
    if isinstance(node, ast.Call):
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if not all(isinstance(each, ast.Constant) for each in given):
            return ""
        node = node.func
    root, _, rest = ast.unparse(node).partition(".")
    path = imports.get(root, "")
    return f"{path}.{rest}" if rest else path


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    return {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}


def _called(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that stand in the function of a call inside these expressions."""
    calls = (n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Call))
    return _names(c.func for c in calls if not _is_pure_builtin(c))


def _is_pure_builtin(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in PURE_BUILTINS


def _makes_new(value: ast.AST) -> bool:
    """A call makes a new value, unless it only looks something up."""
    calls = (n.func for n in ast.walk(value) if isinstance(n, ast.Call))
    return not all(isinstance(f, ast.Attribute) and f.attr in LOOKUPS for f in calls)


def _is_made(target: ast.AST) -> bool:
    """Tell whether an access path goes through a call that makes a new value."""
    node: ast.AST | None = target
    while node is not None:
        is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if is_method and node.func.attr not in LOOKUPS:  # type: ignore[attr-defined] # a Call of an Attribute
            return True
        if isinstance(node, ast.Call) and isinstance(_inner(node), ast.Name):
            return _function_name(node) not in _PARTS_OF
        node = _inner(node)
    return False


def root_of(node: ast.AST) -> ast.AST:
    """What an access path starts from; `getattr(x, ...)` starts from x."""
    while True:
        inner = _inner(node)
        if inner is None:
            return node
        node = inner


def _inner(node: ast.AST) -> ast.AST | None:
    if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred, ast.Await)):
        return node.value
    if isinstance(node, ast.Call):
        by_name = isinstance(node.func, ast.Name) and node.func.id in _PARTS_OF and node.args
        return node.args[0] if by_name else node.func
    return None


def _access(node: ast.AST) -> tuple[str, str]:
    """Return the name that an access starts from, and its dotted path without subscripts and calls.

    A module that is looked up by its name starts an access, too, as `import NAME`.
    """
    parts: list[str] = []
    inner: ast.AST | None = node
    while inner is not None:
        node = inner
        module = _module_named(node)
        if module:
            return f"import {module}", ".".join(reversed(parts))
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        inner = _inner(node)
    return (node.id if isinstance(node, ast.Name) else ""), ".".join(reversed(parts))


def _is_of_class(node: ast.expr) -> bool:
    """Tell whether the expression is an object's class: `type(x)`, `x.__class__`."""
    if isinstance(node, ast.Call):
        return _function_name(node) == "type" and len(node.args) == 1
    return isinstance(node, ast.Attribute) and node.attr == "__class__"


def _is_stored_into(target: ast.expr, loop: ast.For | ast.AsyncFor) -> bool:
    """Tell whether a loop stores into what its variables are."""
    names = set(_names([target]))
    stores = (
        node
        for part in loop.body
        for node in ast.walk(part)
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store)
    )
    return any(not names.isdisjoint(_names([root_of(node)])) for node in stores)


def _module_named(node: ast.AST) -> str:
    """`lib` of `import_module("lib")` and `sys.modules["lib"]`, '' of anything else."""
    key: ast.AST | None = None
    if isinstance(node, ast.Call) and node.args:
        key = node.args[0] if _function_name(node) in _IMPORTERS else None
    elif isinstance(node, ast.Subscript) and _is_modules(node.value):
        key = node.slice
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""


def _is_modules(node: ast.AST) -> bool:
    """Tell whether the expression is `sys.modules`."""
    of_sys = isinstance(node, ast.Attribute) and node.attr == "modules"
    return of_sys and isinstance(node.value, ast.Name) and node.value.id == "sys"  # type: ignore[attr-defined] # an Attribute


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
        # Names into whose values it stores, be they functions or classes.
        self.stored: set[str] = set()
        # What classes are made from, and whether anything asks a class for those made from it.
        self.bases: set[str] = set()
        self.lists_subclasses = False
        self.has_calls = self.has_star = False
        # What may read and bind any name: something at once, something deferred.
        self.is_opaque = self.is_opaque_later = False
        self._depth = 0
        self._bare: set[int] = set()
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
                found = _names([value])
                if not only_paths:
                    results |= _called([value])
                elif _makes_new(value):
                    continue
                todo.extend(found - seen)
                seen |= found
        return seen, results

    @property
    def _here(self) -> Changes:
        return self.later if self._depth else self.now

    def _touch(self, node: ast.AST, form: str) -> None:
        root, path = _access(node)
        if root.startswith("import "):
            self.imports[root] = root.partition(" ")[2]
        if root:
            self.touches.append(Touch(root, path, form, bool(self._depth)))

    def _blind(self) -> None:
        if self._depth:
            self.is_opaque_later = True
        else:
            self.is_opaque = True

    def visit_Subscript(self, node: ast.Subscript) -> None:
        is_named = isinstance(node.slice, ast.Constant) and node.slice.value != "__main__"
        if _is_modules(node.value) and not is_named:
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
            if not self._depth and _is_of_class(target.value):
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
        found = self._here.calls if _is_made(target) else self._here.changes
        found.update(_names([root_of(target)]))
        self._here.results.update(_called([target]))

    def _flow(self, target: ast.AST, value: ast.AST) -> None:
        if self._depth:
            for name in _names([target]):
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
        module = _module_named(node.value)
        if module:
            self.imports.update(dict.fromkeys(names, module))
        elif isinstance(node.value, (ast.Name, ast.Attribute, ast.Subscript)):
            root, path = _access(node.value)
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
        if not self._depth:
            self.has_calls = True
        self.generic_visit(node)

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
        for name in _names([node.target]):
            self._sources.setdefault(name, []).append(node.iter)
        self.generic_visit(node)

    def visit_withitem(self, node: ast.withitem) -> None:
        self._here.calls.update(_names([node.context_expr]))
        if not self._depth:
            self.has_calls = True
        if node.optional_vars is not None:
            self._store(node.optional_vars)
            self._flow(node.optional_vars, node.context_expr)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        self._bare.add(id(value))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _function_name(node)
        if isinstance(node.func, ast.Name):
            is_outside = name in OPAQUE_OUTSIDE and not (node.args or self._depth)
            if name in OPAQUE or is_outside:
                self._blind()
        verb = "verb" if is_effect_verb(name) else "use"
        self._touch(node.func, "bare" if id(node) in self._bare else verb)
        if name in _IMPORTERS and node.args:
            self._load(node.args[0])
        if name in SETTERS and node.args:
            self._touch(node.args[0], "reload" if name == "reload" else "store")
            self._change(node.args[0])
            self._stored(node.args[0])
        if not _is_pure_builtin(node):
            self._call(node, name)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _NAMESPACES:
            self._blind()
        self.lists_subclasses |= node.attr == "__subclasses__"
        if isinstance(node.ctx, ast.Load):
            self._touch(node, "load")
        self.generic_visit(node)

    def _call(self, node: ast.Call, name: str) -> None:
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        here = self._here
        here.calls.update(_names([node.func, *arguments]))
        here.results.update(_called(arguments))
        if not isinstance(node.func, ast.Name):
            here.results.update(_called([node.func]))
        if isinstance(node.func, ast.Attribute) and name in MUTATORS:
            self._change(node.func)
        if not self._depth:
            self.has_calls = True
        if isinstance(node.func, ast.Name):
            self._hand(name, [*enumerate(node.args), *((k.arg, k.value) for k in node.keywords)])

    def _hand(self, function: str, given: Iterable[tuple[int | str | None, ast.expr]]) -> None:
        """Note which access paths are handed to a function, and as what."""
        for place, value in given:
            if isinstance(value, ast.Starred):
                return
            if place is not None and isinstance(value, (ast.Name, ast.Attribute)):
                found = Handed(function, place, *_access(value), bool(self._depth))
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
            if not self._depth:
                self.has_calls = True
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
            self._here.calls.update(_names([decorator]))
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
        makers = _names([*node.bases, *(keyword.value for keyword in node.keywords)])
        self._here.calls.update(makers)
        self.bases.update(makers)
        if not self._depth:
            self.has_calls = self.has_calls or bool(
                node.decorator_list or node.bases or node.keywords
            )
        self.generic_visit(node)


def _function_name(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""
