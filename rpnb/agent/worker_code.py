"""Statements to code: compiled as lines of the file, run in the one namespace."""

from __future__ import annotations
import __future__

import ast
import asyncio
import inspect
import types
from typing import Any, Iterable

from .worker_cancel import Cancellation

_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def future_flags(nodes: Iterable[ast.stmt]) -> int:
    """Return the compiler flags that the `from __future__` lines among the statements set."""
    flags = 0
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for name in node.names:
                feature = getattr(__future__, name.name, None)
                flags |= feature.compiler_flag if feature else 0
    return flags


def compile_statement(node: ast.stmt, file: str, flags: int) -> types.CodeType:
    """Return the code of one top-level statement; an expression's code has its value."""
    if isinstance(node, ast.Expr):
        tree: ast.AST = ast.Expression(node.value)
        return _compile(tree, file, "eval", flags)
    return _compile(ast.Module([node], []), file, "exec", flags)


def compile_docstring(node: ast.stmt, file: str, flags: int) -> types.CodeType:
    """Return the code of the file's first statement, which may set `__doc__`."""
    return _compile(ast.Module([node], []), file, "exec", flags)


def _compile(tree: Any, file: str, mode: str, flags: int) -> types.CodeType:
    code: types.CodeType = compile(tree, file, mode, flags | _AWAIT, dont_inherit=True)
    return code


class Executor:
    """Runs code of the person's on the main thread, with the loop stopped."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cancellation: Cancellation) -> None:
        self.loop, self._cancellation = loop, cancellation
        cancellation.entries |= {_call.__code__, Executor._await.__code__}

    def run(self, code: types.CodeType, namespace: dict[str, Any]) -> Any:
        """Return the code's value; a top-level `await` runs on the worker's loop."""
        try:
            if code.co_flags & inspect.CO_COROUTINE:
                return self._await_on_loop(types.FunctionType(code, namespace)())
            return _call(code, namespace)
        finally:
            # asyncio.run in a step takes the loop away from the thread.
            asyncio.set_event_loop(self.loop)

    def _await_on_loop(self, coroutine: Any) -> Any:
        task = self.loop.create_task(self._await(coroutine))
        self._cancellation.tasks.add(task)
        try:
            return self.loop.run_until_complete(task)
        finally:
            self._cancellation.tasks.discard(task)

    async def _await(self, coroutine: Any) -> Any:
        return await coroutine


def _call(code: types.CodeType, namespace: dict[str, Any]) -> Any:
    return eval(code, namespace)
