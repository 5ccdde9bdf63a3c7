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


def handler(text: str) -> str:
    """Return the handler that the text's start() names, as an expression; "" where none is seen.

    The config stands in the call, or in a variable that the text fills.
    """
    for call in calls(text):
        given = _config(call)
        found = [_under_handler(given)]
        if isinstance(given, ast.Name):
            found += [_named(node, given.id) for node in ast.walk(ast.parse(text))]
        named = [each for each in found if each is not None]
        if named:
            return ast.unparse(named[-1])
    return ""


def unseen_handler(text: str) -> str:
    """Return an expression of the handler in a config that something else made; "" without one."""
    given = [each for each in map(_config, calls(text)) if each is not None]
    return f'{ast.unparse(given[0])}["handler"]' if given else ""


def _config(call: ast.Call) -> ast.expr | None:
    if call.args:
        return call.args[0]
    return next((each.value for each in call.keywords if each.arg == "config"), None)


def _under_handler(given: ast.expr | None) -> ast.expr | None:
    if isinstance(given, ast.Dict):
        for key, value in zip(given.keys, given.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "handler":
                return value
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Name) and given.func.id == "dict":
        return next((each.value for each in given.keywords if each.arg == "handler"), None)
    return None


def _named(node: ast.AST, config: str) -> ast.expr | None:
    """What an assignment puts under "handler" in the variable `config`."""
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return None
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if ast.unparse(target) == config:
            return _under_handler(node.value)
        if ast.unparse(target) == f"{config}['handler']":
            return node.value
    return None
