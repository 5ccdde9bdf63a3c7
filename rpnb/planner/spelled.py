"""Names that stand in a string: `globals()["model"]` is `model`, `getattr(lib, "x")` `lib.x`.

People ask `if "model" not in globals():` before they load, and look functions up by
name. Written as the names that they are, such lines read and bind these alone; any
other use of the namespace may read and bind whatever there is.
"""

from __future__ import annotations

import ast
import re
import symtable
from functools import lru_cache
from typing import Iterator, TypeVar

from .effects import OPAQUE_OUTSIDE

_LOOKS_UP = re.compile(r"\b((globals|locals|vars|dir)\(\)|getattr\()")
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_Comprehension = TypeVar(
    "_Comprehension", ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp
)
_Function = TypeVar("_Function", ast.FunctionDef, ast.AsyncFunctionDef)


@lru_cache(maxsize=20_000)
def spelled(text: str) -> str:
    """Return `text` with the names that it looks up by constant strings written as names."""
    if not _LOOKS_UP.search(text):
        return text
    speller = _Speller()
    tree = speller.visit(ast.parse(text))
    if not speller.has_found:
        return text
    found = ast.unparse(ast.fix_missing_locations(tree))
    try:
        symtable.symtable(found, "<step>", "exec")
    except SyntaxError:
        # `global` goes with no annotation, `nonlocal` or later `global` of the name.
        return text
    return found


class _Speller(ast.NodeTransformer):
    """Replaces look-ups by names; in functions it says that they are the program's."""

    def __init__(self) -> None:
        self.has_found = False
        # Of the functions and classes around: the names found, and those that hide them.
        self._around: list[tuple[set[str], set[str]]] = []

    def _name(self, namespace: ast.expr, key: ast.expr, ctx: ast.expr_context) -> ast.Name | None:
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            return None
        if not self._is_namespace(namespace) or not key.value.isidentifier():
            return None
        if any(key.value in hiding for _, hiding in self._around):
            return None
        self.has_found = True
        for found, _ in self._around[-1:]:
            found.add(key.value)
        return ast.Name(key.value, ctx)

    def _is_namespace(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Call) or node.args or node.keywords:
            return False
        outside = () if self._around else OPAQUE_OUTSIDE
        return isinstance(node.func, ast.Name) and node.func.id in ("globals", *outside)

    # The methods below bear the names that ast.NodeTransformer looks for.
    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        return self._name(node.value, node.slice, node.ctx) or node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if len(node.ops) > 1 or not isinstance(node.ops[0], (ast.In, ast.NotIn)):
            return node
        return self._name(node.comparators[0], node.left, ast.Load()) or node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "getattr":
            return self._attribute(node) or node
        asks = isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args
        if not asks or node.keywords:
            return node
        found = self._name(node.func.value, node.args[0], ast.Load())  # type: ignore[attr-defined] # an Attribute
        return _either(found, node.args[1:]) if found is not None else node

    def _attribute(self, node: ast.Call) -> ast.expr | None:
        """Return what `getattr` is asked for by a constant string, written as an attribute."""
        if node.keywords or len(node.args) not in (2, 3):
            return None
        value, key, *default = node.args
        name = key.value if isinstance(key, ast.Constant) else None
        # Within a class, a name with two underscores would be another.
        if not isinstance(name, str) or not name.isidentifier() or name[:2] == "__":
            return None
        self.has_found = True
        return _either(ast.Attribute(value, name, ast.Load()), default)

    def visit_FunctionDef(self, node: _Function) -> _Function:
        found = self._inside(node, {each.arg for each in _parameters(node.args)})
        if found:
            node.body.insert(0, ast.Global(sorted(found)))
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 (ast's naming)

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        self._inside(node, {each.arg for each in _parameters(node.args)})
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self._inside(node, {n.id for n in ast.walk(node) if isinstance(n, ast.Name)})
        return node

    def _visit_comprehension(self, node: _Comprehension) -> _Comprehension:
        targets = [each.target for each in node.generators]
        hiding = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        self._inside(node, hiding)
        return node

    visit_ListComp = visit_SetComp = _visit_comprehension  # noqa: N815 (ast's naming)
    visit_DictComp = visit_GeneratorExp = _visit_comprehension  # noqa: N815 (ast's naming)

    def _inside(self, node: ast.AST, hiding: set[str]) -> set[str]:
        found = set[str]()
        self._around.append((found, hiding))
        self.generic_visit(node)
        self._around.pop()
        if isinstance(node, (ast.Lambda, *_COMPREHENSIONS)) and self._around:
            self._around[-1][0].update(found)
        return found


def _either(found: ast.expr, default: list[ast.expr]) -> ast.expr:
    """Return `found`, or what stands in its place where it is not there."""
    return ast.IfExp(ast.Constant(value=True), found, default[0]) if default else found


def _parameters(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (each for each in (arguments.vararg, arguments.kwarg) if each)
