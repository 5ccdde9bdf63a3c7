"""The person's own `runpod.serverless.start(...)`, and the handler that it names."""

from __future__ import annotations

import ast

from . import dotted

_START = "runpod.serverless.start"


def calls(text: str) -> list[ast.Call]:
    """Return the calls of `runpod.serverless.start`, under whatever name it was imported."""
    tree = ast.parse(text)
    imported = dotted.imported(tree)
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and dotted.name(node.func, imported) == _START
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
