"""What a scratch cell surely changed of the program's objects: these load anew at the next run."""

from __future__ import annotations

import ast
from typing import Collection, Iterable, Iterator


def spoiled_names(nodes: Iterable[ast.AST], program: Collection[str]) -> list[str]:
    """Return the program's names whose objects the statements store into.

    Only sure stores count: `pipe.x = …`, `cfg["a"] = …`, `del d[k]`. Calls are
    trusted, and so are the bodies of functions, which need not run.
    """
    own: set[str] = set()
    found: dict[str, None] = {}
    for node in nodes:
        for target in _targets(node):
            root = _root(target)
            if isinstance(target, ast.Name):
                own.add(target.id)
            elif root is not None and root in program and root not in own:
                found[root] = None
    return list(found)


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return
    context = getattr(node, "ctx", None)
    if isinstance(node, ast.expr) and isinstance(context, (ast.Store, ast.Del)):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _targets(child)


def _root(target: ast.expr) -> str | None:
    value: ast.expr = target
    while isinstance(value, (ast.Attribute, ast.Subscript, ast.Starred)):
        value = value.value
    return value.id if isinstance(value, ast.Name) else None
