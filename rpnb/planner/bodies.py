"""Looks of a statement through functions of the program: `sample = chat("warm up")`.

A function whose whole body only asks is no more than what it asks: what it was given, the
globals that it names, and what it made of these itself.
"""

# ruff: noqa: N802 - methods bear the names that ast.NodeVisitor looks for
from __future__ import annotations

import ast
import builtins
from typing import Iterator, Mapping

from .access import decorator_name, names_of
from .effects import PURE_BUILTINS
from .known import LOOKUPS, OF_RESULTS, TEXTS
from .looks import GOING_THROUGH, Finder, Looks, makes_new, parts_of

# Functions that call each other are followed so deep.
_DEPTH = 4
# Methods of what a function has made itself: whoever else has it, nobody had it before.
_OF_MADE = LOOKUPS | OF_RESULTS | {"append", "extend", "insert", "add", "update", "pop", "sort"}
_PLAIN = (ast.Return, ast.Raise)
# What makes a value of nothing but what it is made of.
_NEW = (ast.Constant, ast.JoinedStr, ast.UnaryOp, ast.Compare)
_DISPLAYS = (ast.List, ast.Tuple, ast.Set, ast.BoolOp, ast.IfExp, ast.Dict)
Bodies = Mapping[str, ast.FunctionDef]


def is_body(node: ast.FunctionDef) -> bool:
    """Tell whether a call only runs a function, or enters a context that yields once."""
    return _yields(node) == [[], [True]][_is_context(node)]


def _yields(node: ast.FunctionDef) -> list[bool]:
    """Return for each place where a function hands control back whether it gives nothing."""
    every = (n for n in ast.walk(node) if isinstance(n, (ast.Yield, ast.YieldFrom, ast.Await)))
    return [isinstance(n, ast.Yield) and n.value is None for n in every]


def _is_context(node: ast.FunctionDef) -> bool:
    return "contextmanager" in map(decorator_name, node.decorator_list)


def looks_through(statement: ast.stmt, functions: Bodies) -> tuple[Looks, frozenset[str]]:
    """Return the looks of a statement and of the functions that it calls, and these functions.

    Nothing where anything does more.
    """
    found = _Finder(functions, 0)
    found.visit(statement)
    if found.does_more:
        return frozenset(), frozenset()
    return frozenset(found.looks | found.taken()), frozenset(found.entered)


class _Finder(Finder):
    """Goes into functions; within one, tells what is made there from what was there before."""

    def __init__(self, functions: Bodies, depth: int) -> None:
        super().__init__()
        self.entered: set[str] = set()
        # Functions all of whose results are of their own making.
        self._fresh: dict[str, bool] = {}
        self._functions, self._depth = functions, depth
        # Locals that nothing else leads to; locals that stand for an expression somewhere.
        self._made: set[str] = set()
        self._given: dict[str, tuple[_Finder, ast.expr]] = {}
        # Locals that are copies: what they hold, others may hold, too.
        self._copies: set[str] = set()
        self._locals: frozenset[str] = frozenset()
        self.is_fresh = True

    def enter(self, call: ast.Call, node: ast.FunctionDef, outer: _Finder) -> None:
        """Look at a function's body, for the arguments of a call."""
        taken = node.args
        params = [*taken.posonlyargs, *taken.args]
        names = {each.arg for each in (*params, *taken.kwonlyargs)}
        starred = any(isinstance(each, ast.Starred) for each in call.args)
        more = [*call.args[len(params) :], *(k.value for k in call.keywords if k.arg not in names)]
        # Into `*args` and `**options` goes only what is made for them.
        if starred or not all(keyword.arg for keyword in call.keywords):
            self.does_more = True
        if not all(map(outer._is_made, more)):
            self.does_more = True
        given = dict(zip((each.arg for each in params), call.args))
        given.update({str(k.arg): k.value for k in call.keywords if k.arg in names})
        self._made |= {each.arg for each in (taken.vararg, taken.kwarg) if each is not None}
        for each in (*params, *taken.kwonlyargs):
            if each.arg in given:
                self._given[each.arg] = outer, given[each.arg]
            else:
                # A default, which is a literal or what `default` makes of it.
                self._made.add(each.arg)
        defaults = [*taken.defaults, *(d for d in taken.kw_defaults if d)]
        if not all(isinstance(each, ast.Constant) for each in defaults):
            self.does_more = True
        self._locals = frozenset(_bound(node)) | names | self._made
        for part in node.body if not self.does_more else ():
            self.visit(part)

    def visit(self, node: ast.AST) -> None:
        if self._depth and isinstance(node, _PLAIN):
            self.generic_visit(node)
            value = node.value if isinstance(node, ast.Return) else None
            self.is_fresh &= value is None or self._is_made(value)
        else:
            super().visit(node)

    def visit_withitem(self, node: ast.withitem) -> None:
        call = node.context_expr
        name = (
            call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else ""
        )
        if self._is_own(name) and _is_context(self._functions[name]):
            assert isinstance(call, ast.Call)
            self.does_more |= node.optional_vars is not None or not self._follow(call, name)
            for each in (*call.args, *(keyword.value for keyword in call.keywords)):
                self.visit(each)
        else:
            super().visit_withitem(node)

    def visit_Name(self, node: ast.Name) -> None:
        super().visit_Name(node)
        if id(node) not in self._called:
            self._use(node)

    def _use(self, value: ast.expr) -> None:
        """Note that a value stands somewhere else than before the brackets of a call."""
        for name in names_of([value]):
            self._used.add(name)
            if name in self._given:
                outer, given = self._given[name]
                outer._use(given)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets if self._depth else ():
            self._bind(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        if self._depth and node.value is not None:
            self._bind(node.target, node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.generic_visit(node)
        if self._depth:
            self._bind(node.target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        is_own = isinstance(node.target, ast.Name) and self._is_made(node.target)
        if self._depth and is_own and self._is_made(node.value):
            self.generic_visit(node)
        else:
            super().visit_AugAssign(node)

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._bind_name(target.id, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            values = value.elts if isinstance(value, ast.Tuple) else [value] * len(target.elts)
            for each, inner in zip(target.elts, values):
                self._bind(each.value if isinstance(each, ast.Starred) else each, inner)
        elif not self._is_made(value) or not (
            self._is_made(_root(target)) or self._is_of_copy(target)
        ):
            self.does_more = True

    def _bind_name(self, name: str, value: ast.expr) -> None:
        owner = _looked_up(value)
        if self._is_made(value):
            self._made.add(name)
        elif owner is None or (not _is_copy(value) and name in names_of([owner])):
            self.does_more = True
        elif name not in names_of([owner]):
            # A name for two things, one of which was there before, is not followed.
            self.does_more |= name in self._given and not self._is_made_name(name)
            self._given[name] = self, value if _is_copy(value) else owner
        if _is_copy(value):
            self._copies.add(name)

    def _is_made(self, value: ast.expr) -> bool:
        """Tell whether an expression's value, and all that it holds, is of its own making."""
        if isinstance(value, _NEW):
            return True
        if isinstance(value, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            return self._is_made(value.elt)
        if isinstance(value, ast.DictComp):
            return self._is_made(value.value)
        if isinstance(value, _DISPLAYS):
            return all(self._is_made(n) for n in _parts(value))
        if isinstance(value, ast.BinOp):
            # Two lists that are joined hold what these hold; a sum is new.
            return all(self._is_made(n) for n in ast.walk(value) if isinstance(n, _DISPLAYS))
        root = _root(value)
        called = value.func if isinstance(value, ast.Call) else None
        if isinstance(called, ast.Name) and not self._is_own(called.id):
            is_pure = called.id in PURE_BUILTINS
            if is_pure or called.id in GOING_THROUGH:
                return is_pure or all(map(self._is_made, value.args))  # type: ignore[attr-defined] # a Call
        if isinstance(root, ast.Name) and self._is_own(root.id):
            return self._fresh.get(root.id, False)
        if any(map(makes_new, parts_of(value))) or _is_text(value):
            return True
        return self._is_made_name(root.id) if isinstance(root, ast.Name) else self._is_new(root)

    def _is_of_copy(self, node: ast.expr) -> bool:
        """Tell whether an entry or attribute is a copy's own."""
        owner = node.value if isinstance(node, (ast.Attribute, ast.Subscript)) else None
        return isinstance(owner, ast.Name) and owner.id in self._copies

    def _is_new(self, root: ast.expr) -> bool:
        return isinstance(root, (*_NEW, *_DISPLAYS, ast.BinOp)) and self._is_made(root)

    def _is_made_name(self, name: str) -> bool:
        if name in self._given:
            outer, given = self._given[name]
            return outer._is_made(given)
        if name in self._elements:
            return self._is_made(self._elements[name])
        return name in self._made

    def _store(self, node: ast.Attribute | ast.Subscript) -> None:
        is_own = self._is_made(_root(node)) or self._is_of_copy(node)
        if isinstance(node.ctx, ast.Store) and self._depth and is_own:
            self.generic_visit(node)
        else:
            super()._store(node)

    def _ask(self, call: ast.Call) -> bool:
        function = call.func
        root = _root(function)
        if isinstance(function, ast.Name) and self._is_own(function.id):
            is_context = _is_context(self._functions[function.id])
            return not is_context and self._follow(call, function.id)
        if isinstance(function, ast.Name) and _is_exception(function.id):
            return True
        if isinstance(root, ast.Name) and root.id in self._given:
            outer, given = self._given[root.id]
            if not outer._is_made(given):
                self._called.add(id(root))
                return outer._ask(_with_root(call, given))
        if self._depth and isinstance(function, ast.Attribute) and self._is_made(function.value):
            parts = [*call.args, *(keyword.value for keyword in call.keywords)]
            grows = function.attr not in LOOKUPS | OF_RESULTS
            return function.attr in _OF_MADE and (not grows or all(map(self._is_made, parts)))
        return super()._ask(call) and not (isinstance(root, ast.Name) and root.id in self._made)

    def _is_own(self, name: str) -> bool:
        return name in self._functions and name not in self._locals | self._elements.keys()

    def _follow(self, call: ast.Call, name: str) -> bool:
        inner = _Finder(self._functions, self._depth + 1)
        inner.looks, inner.entered, inner._used = self.looks, self.entered, self._used
        inner._fresh = self._fresh
        if self._depth < _DEPTH:
            self.entered.add(name)
            inner.enter(call, self._functions[name], self)
            self._fresh[name] = self._fresh.get(name, True) and inner.is_fresh
        return self._depth < _DEPTH and not inner.does_more

    def _note(self, value: ast.expr, *, is_part: bool = False) -> None:
        *parts, root = parts_of(value)
        if isinstance(root, ast.Name) and root.id in self._given:
            outer, given = self._given[root.id]
            outer._note(given, is_part=is_part or bool(parts))
        elif not isinstance(root, ast.Name) or root.id not in self._made:
            super()._note(value, is_part=is_part)


def _looked_up(value: ast.expr) -> ast.expr | None:
    """Return what a part is taken of: a path, or what a look-up is asked of."""
    if isinstance(value, ast.Call):
        return value.func.value if isinstance(value.func, ast.Attribute) else None
    return value if isinstance(value, (ast.Name, ast.Attribute, ast.Subscript)) else None


def _is_copy(value: ast.expr) -> bool:
    called = value.func if isinstance(value, ast.Call) and not value.args else None
    return isinstance(called, ast.Attribute) and called.attr == "copy"


def _is_text(value: ast.expr) -> bool:
    """Tell whether a call gives a text or a number, whatever it is asked of."""
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in TEXTS
    )


def _is_exception(name: str) -> bool:
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException)


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    return (n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr))


def _root(node: ast.expr) -> ast.expr:
    return parts_of(node)[-1]


def _bound(node: ast.FunctionDef) -> Iterator[str]:
    return (
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    )


def _with_root(call: ast.Call, given: ast.expr) -> ast.Call:
    """Return a call of the same path of something else."""
    function, names = call.func, list[str]()
    while isinstance(function, ast.Attribute):
        names.append(function.attr)
        function = function.value
    for name in reversed(names):
        given = ast.Attribute(given, name, ast.Load())
    return ast.Call(given, call.args, call.keywords)
