"""What a dotted expression stands for, under whatever name its module was imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping


def imported(tree: ast.AST) -> dict[str, str]:
    """Return the names that a text imports, each with the dotted name that it stands for."""
    return dict(_imports(tree))


def name(expression: ast.expr, imports: Mapping[str, str]) -> str:
    """Return "runpod.serverless.start" for whatever the text calls it; "" if it is no such name."""
    parts: list[str] = []
    while isinstance(expression, ast.Attribute):
        parts.append(expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name):
        return ""
    # A cell may use a module that another cell imports.
    return ".".join([imports.get(expression.id, expression.id), *reversed(parts)])


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                # `import runpod.serverless` binds `runpod`; with `as` the module itself.
                bound = alias.asname or alias.name.partition(".")[0]
                yield bound, alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"
