"""Which names a piece of Python needs from outside: at once, or when it is called.

`planner.facts` answers what a step may change; here the question is narrower and
wants line numbers: what must be captured, and what nothing defines.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from ..planner.facts import Statement, split
from .evaluation import bound_first

__all__ = ["BUILTINS", "Statement", "Uses", "split", "uses"]

# What a file's module has of itself, beside the builtins. IPython adds its own
# (`display`, `get_ipython`) to the builtins here; a worker has none of them.
BUILTINS = frozenset(dir(builtins)) - {"display", "get_ipython", "exit_code"} | {
    *("__file__", "__name__", "__doc__", "__builtins__", "__spec__", "__loader__"),
    *("__package__", "__annotations__", "__cached__", "__class__"),
}
_COMPREHENSIONS = frozenset({"listcomp", "setcomp", "dictcomp", "genexpr", "lambda"}) - {"lambda"}
# Reading a name that is not there is expected under one of these handlers.
_TOLERANT = frozenset({"NameError", "Exception", "BaseException"})


@dataclass(frozen=True)
class Uses:
    """Names with the line of their first use; `binds` are the names it gives.

    `now` is needed when the text runs, `later` when a function in it is called;
    `optional` is used where it exists: guarded reads, lazy annotations, globals
    that a function itself sets (`sets`). `open` says that it may bind more than
    its text shows: `from x import *`, `exec`, `globals()`.
    """

    now: dict[str, int] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)
    optional: dict[str, int] = field(default_factory=dict)
    binds: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    open: bool = False

    @property
    def all(self) -> dict[str, int]:
        """Every name used, with its first line."""
        return {**self.optional, **self.later, **self.now}


def uses(statement: Statement, *, lazy_annotations: bool = False) -> Uses:
    """Return what one statement needs and binds; lines are those of the text it came from."""
    return _uses(statement.text, statement.first_line, lazy_annotations)


@lru_cache(maxsize=4096)
def _uses(text: str, first_line: int, lazy_annotations: bool) -> Uses:
    tree = ast.parse(text)
    lines = dict(_lines(tree, first_line))
    annotated = dict(_annotation_names(tree))
    source = ast.unparse(_Unannotated().visit(ast.parse(text))) if lazy_annotations else text
    found = _Found()
    _symbols(symtable.symtable(source, "<cell>", "exec"), found, deferred=False)
    found.now |= _augmented(tree)
    found.now -= bound_first(tree) & found.binds
    guarded = set(_guarded(tree)) | found.ambiguous | found.set_later
    optional = {*annotated, *guarded} - ((found.now | found.later) - guarded)
    return Uses(
        now={name: lines.get(name, first_line) for name in sorted(found.now - guarded)},
        later={
            name: lines.get(name, first_line) for name in sorted(found.later - found.now - guarded)
        },
        optional={name: lines.get(name, first_line) for name in sorted(optional)},
        binds=frozenset(found.binds),
        sets=frozenset(found.set_later),
        open=any(map(_is_open, ast.walk(tree))),
    )


def _is_open(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.names[0].name == "*"
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Name) and called.id in ("exec", "globals")


@dataclass
class _Found:
    now: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    # Names that a function declares global and sets: there once it has run.
    set_later: set[str] = field(default_factory=set)
    # Names that a class body both reads and binds: whose, only a run can tell.
    ambiguous: set[str] = field(default_factory=set)


def _symbols(table: symtable.SymbolTable, found: _Found, *, deferred: bool) -> None:
    kind = str(getattr(table.get_type(), "value", table.get_type()))
    for symbol in table.get_symbols():
        name = symbol.get_name()
        bound = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
        if kind == "module":
            outer = True
        else:
            outer = symbol.is_global()
            if kind == "class" and bound and symbol.is_referenced() and not outer:
                found.ambiguous.add(name)
        if not outer:
            continue
        if bound and deferred:
            found.set_later.add(name)
        elif bound:
            found.binds.add(name)
        if symbol.is_referenced():
            (found.later if deferred else found.now).add(name)
    for child in table.get_children():
        kind = str(getattr(child.get_type(), "value", child.get_type()))
        at_once = kind == "class" or "parameter" in kind or child.get_name() in _COMPREHENSIONS
        _symbols(child, found, deferred=deferred or not at_once)


def _lines(tree: ast.AST, first_line: int) -> Iterator[tuple[str, int]]:
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            line = node.lineno + first_line - 1
            found[node.id] = min(line, found.get(node.id, line))
    return iter(found.items())


def _augmented(tree: ast.Module) -> set[str]:
    """`x += 1` reads x, although the symbol table calls it a store only."""
    return {
        node.target.id
        for node in _outside_functions(tree)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
    }


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield from _outside_functions(child)


def _guarded(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(map(_is_tolerant, node.handlers)):
            for inner in node.body:
                yield from _loads(inner)


def _is_tolerant(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in _TOLERANT for kind in kinds)


def _loads(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            yield inner.id


def _annotation_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        for annotation in _annotations(node):
            for inner in ast.walk(annotation):
                if isinstance(inner, ast.Name):
                    yield inner.id, inner.lineno
                elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    yield from ((name, inner.lineno) for name in _quoted(inner.value))


def _annotations(node: ast.AST) -> Iterable[ast.expr]:
    if isinstance(node, (ast.arg, ast.AnnAssign)):
        return [node.annotation] if node.annotation else []
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return [node.returns] if node.returns else []
    return []


def _quoted(text: str) -> Iterator[str]:
    try:
        yield from _loads(ast.parse(text, mode="eval"))
    except (SyntaxError, ValueError):
        return


class _Unannotated(ast.NodeTransformer):
    """Take the annotations out: under `from __future__ import annotations` nothing reads them."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.annotation = ast.Constant(None)
        return node
