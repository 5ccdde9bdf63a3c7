"""The person's own `runpod.serverless.start(...)`, and the handler that it names."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_START = "runpod.serverless.start"


def calls(text: str) -> list[ast.Call]:
    """Return the calls of `runpod.serverless.start`, under whatever name it was imported."""
    tree = ast.parse(text)
    imported = dict(_imports(tree))
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _resolved(node.func, imported) == _START
    ]


def config(call: ast.Call) -> ast.expr | None:
    """Return the expression of the worker's config."""
    if call.args:
        return call.args[0]
    return next((each.value for each in call.keywords if each.arg == "config"), None)


def handler_expression(call: ast.Call) -> ast.expr | None:
    """Return what stands under "handler" in the call's config, where it is written there."""
    given = config(call)
    if isinstance(given, ast.Dict):
        for key, value in zip(given.keys, given.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "handler":
                return value
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Name) and given.func.id == "dict":
        return next((each.value for each in given.keywords if each.arg == "handler"), None)
    return None


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


def _resolved(function: ast.expr, imported: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name):
        return ""
    # A cell may call it with `runpod` imported in another cell.
    return ".".join([imported.get(function.id, function.id), *reversed(parts)])
