"""What one statement does with a name first, in the order in which Python evaluates it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def bound_first(tree: ast.AST) -> set[str]:
    """Return the names that the code binds before it reads them: `for i in …: print(i)`.

    Branches count as taken, so a name that only one of them binds is among these.
    """
    first: dict[str, bool] = {}
    for name, is_bound in _events(tree):
        first.setdefault(name, is_bound)
    return {name for name, is_bound in first.items() if is_bound}


def _events(node: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield (name, whether it is bound) in the order of evaluation, functions' bodies left out."""
    if isinstance(node, ast.Name):
        yield node.id, isinstance(node.ctx, ast.Store)
        return
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield node.target.id, False
    for child in _in_order(node):
        yield from _events(child)
    for name in _binds(node):
        yield name, True


def _in_order(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, _FUNCTIONS):
        arguments = node.args
        before = [*arguments.defaults, *filter(None, arguments.kw_defaults)]
        return [*getattr(node, "decorator_list", []), *before]
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [*([node.value] if node.value else []), *targets]
    if isinstance(node, (ast.For, ast.AsyncFor)):
        return [node.iter, node.target, *node.body, *node.orelse]
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
        return [*node.generators, node.elt]
    if isinstance(node, ast.DictComp):
        return [*node.generators, node.key, node.value]
    if isinstance(node, ast.comprehension):
        return [node.iter, node.target, *node.ifs]
    if isinstance(node, ast.ExceptHandler):
        # Its name is bound before its body: `_binds` would come too late.
        name = [ast.Name(node.name, ast.Store())] if node.name else []
        return [*([node.type] if node.type else []), *name, *node.body]
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords, *node.body]
    return list(ast.iter_child_nodes(node))


def _binds(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest
