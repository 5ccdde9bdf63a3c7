"""Names that a text needs from outside, in the order in which Python evaluates it."""

from __future__ import annotations

import ast
import contextlib
import symtable
from typing import Iterable, Iterator

# What every module has of its own.
MODULE_NAMES = frozenset(
    {
        *("__name__", "__file__", "__doc__", "__builtins__", "__spec__", "__loader__"),
        *("__package__", "__annotations__", "__class__", "__debug__", "__dict__"),
        *("__module__", "__qualname__", "__conditional_annotations__"),
    }
)
# What may read a name later than it stands there.
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.GeneratorExp, ast.ClassDef)
_COMPREHENSIONS = ("listcomp", "setcomp", "dictcomp", "genexpr")


def free_names(text: str) -> set[str]:
    """Return the names that `text` needs from outside; builtins that it uses are among them.

    A name that is bound before it is read is not needed, nor is one that a
    function reads and that the text binds anywhere.

    Raises:
        SyntaxError: the running Python cannot parse it.
    """
    tree = ast.parse(text)
    flow = _Flow(lazy_annotations=_has_lazy_annotations(tree))
    flow.visit_all(tree.body)
    later = {name for name in _deferred(text, augmented(tree)) if name not in flow.bound}
    return (flow.needed | later) - MODULE_NAMES


def looped(node: ast.stmt) -> set[str]:
    """Return the variables of a loop that are read nowhere but where it has bound them."""
    if not isinstance(node, (ast.For, ast.AsyncFor)):
        return set()
    every = [n for n in ast.walk(node.target) if isinstance(n, ast.Name)]
    targets = {n.id for n in every if isinstance(n.ctx, ast.Store)}
    outside = [node.iter, *node.orelse, *(n for n in ast.walk(node) if isinstance(n, _SCOPES))]
    return targets - {n.id for part in outside for n in ast.walk(part) if isinstance(n, ast.Name)}


def comprehension_names(node: ast.AST) -> tuple[set[str], set[str]]:
    """Return the names that live in the statement's comprehensions alone, and those bound outside.

    From 3.12 on symtable reports the former as the enclosing scope's, too, and
    does not report a walrus in a comprehension (PEP 709).
    """
    found = {
        name.id
        for part in ast.walk(node)
        if isinstance(part, ast.comprehension)
        for name in ast.walk(part.target)
        if isinstance(name, ast.Name)
    }
    if not found:
        return found, found
    flow = _Flow(lazy_annotations=False)
    flow.visit(node)
    return found - flow.needed - flow.bound, flow.bound - {"*"}


def parameters(node: ast.AST) -> tuple[str, ...]:
    """Return the parameters of a function that may be given by position, then the others."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return ()
    given = node.args
    return tuple(each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs))


def quoted(node: ast.AST) -> set[str]:
    """Return the names in quoted annotations of a class's fields.

    Libraries like pydantic look them up when the class is made, or first used.
    """
    found = set[str]()
    bodies = [each.body for each in ast.walk(node) if isinstance(each, ast.ClassDef)]
    for part in (part for body in bodies for part in body if isinstance(part, ast.AnnAssign)):
        for text in _quotes(part.annotation):
            with contextlib.suppress(SyntaxError):
                parsed = ast.parse(text, mode="eval")
                found |= {each.id for each in ast.walk(parsed) if isinstance(each, ast.Name)}
    return found


def _quotes(annotation: ast.expr) -> Iterator[str]:
    """Yield the texts in an annotation that stand for types: none of `Literal["a"]`."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        yield annotation.value
    elif isinstance(annotation, ast.Subscript):
        name = ast.unparse(annotation.value).rpartition(".")[2]
        parts = getattr(annotation.slice, "elts", [annotation.slice])
        # What follows the type in `Annotated` is no type.
        parts = {"Literal": [], "Annotated": parts[:1]}.get(name, parts)
        for part in parts:
            yield from _quotes(part)
    elif isinstance(annotation, ast.BinOp):
        yield from (*_quotes(annotation.left), *_quotes(annotation.right))


def _has_lazy_annotations(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )


def augmented(tree: ast.AST) -> set[str]:
    """Return the names in `name += ...`: symtable does not count these as read."""
    targets = (node.target for node in ast.walk(tree) if isinstance(node, ast.AugAssign))
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _deferred(text: str, also: set[str]) -> set[str]:
    """Globals that function bodies read or delete; symtable knows Python's scopes exactly."""
    found: set[str] = set()
    todo = list(symtable.symtable(text, "<text>", "exec").get_children())
    while todo:
        table = todo.pop()
        todo.extend(table.get_children())
        if table.get_type() != "function" or table.get_name() in _COMPREHENSIONS:
            continue
        for symbol in table.get_symbols():
            name = symbol.get_name()
            if symbol.is_global() and (symbol.is_referenced() or name in also):
                found.add(name)
    return found


class _Flow(ast.NodeVisitor):
    """Walks module level in evaluation order; branches count as bound once one binds."""

    def __init__(self, *, lazy_annotations: bool) -> None:
        self.needed: set[str] = set()
        self.bound: set[str] = set()
        self._lazy = lazy_annotations

    def visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    # The methods below bear the names that ast.NodeVisitor looks for.
    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)
        elif node.id not in self.bound:
            self.needed.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit_all([node.value, *node.targets])

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit_all([node.value, node.target])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.bound:
            self.needed.add(node.target.id)
        self.visit_all([node.value, node.target])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if not self._lazy:
            self.visit(node.annotation)
        self.visit_all([node.value])
        if node.value is not None or not isinstance(node.target, ast.Name):
            self.visit(node.target)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit_all([node.iter, node.target, *node.body, *node.orelse])

    visit_AsyncFor = visit_For  # noqa: N815 (ast's naming)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.visit_all([node.type])
        self.bound.update([node.name] if node.name else [])
        self.visit_all(node.body)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound.update(alias.asname or alias.name.split(".")[0] for alias in node.names)

    visit_ImportFrom = visit_Import  # noqa: N815 (ast's naming)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.visit_all(node.decorator_list)
        self._signature(node.args, node, [node.returns])
        self.bound.add(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 (ast's naming)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._signature(node.args, node, [])

    def _signature(self, args: ast.arguments, node: ast.AST, more: list[ast.expr | None]) -> None:
        """Defaults and, unless lazy, annotations are evaluated where the function is defined."""
        self.visit_all([*args.defaults, *args.kw_defaults])
        if not self._lazy:
            every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
            inner = self._inner(node)
            inner.visit_all([arg.annotation for arg in every if arg is not None] + more)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.visit_all(node.decorator_list)
        inner = self._inner(node)
        inner.visit_all([*node.bases, *(keyword.value for keyword in node.keywords), *node.body])
        self.bound.add(node.name)

    def visit_TypeAlias(self, node: ast.AST) -> None:
        self._inner(node).visit_all([getattr(node, "value", None)])
        self.visit_all([getattr(node, "name", None)])

    def _inner(self, node: ast.AST) -> _Flow:
        """A scope of its own that sees what is bound so far, and the type parameters."""
        inner = _Flow(lazy_annotations=self._lazy)
        inner.needed = self.needed
        inner.bound = set(self.bound)
        for parameter in getattr(node, "type_params", ()):
            inner.bound.add(parameter.name)
            inner.visit_all([getattr(parameter, "bound", None)])
        return inner

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
    ) -> None:
        inner = self._inner(node)
        for generator in node.generators:
            inner.visit_all([generator.iter, generator.target, *generator.ifs])
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        inner.visit_all(parts)
        # A walrus inside binds outside.
        walruses = (n for n in ast.walk(node) if isinstance(n, ast.NamedExpr))
        self.visit_all(n.target for n in walruses)

    visit_ListComp = _comprehension  # noqa: N815 (ast's naming)
    visit_SetComp = _comprehension  # noqa: N815 (ast's naming)
    visit_DictComp = _comprehension  # noqa: N815 (ast's naming)
    visit_GeneratorExp = _comprehension  # noqa: N815 (ast's naming)

    def generic_visit(self, node: ast.AST) -> None:
        """Names that the `match` patterns bind are strings in the tree."""
        super().generic_visit(node)
        if type(node).__name__ in ("MatchAs", "MatchStar", "MatchMapping"):
            name = getattr(node, "rest", None) or getattr(node, "name", None)
            self.bound.update([name] if name else [])
