"""Scratch cells: a look around in names of their own, which the program never sees."""

from __future__ import annotations

import ast
import linecache
import os
import types
from typing import Any, Collection, Mapping

from . import worker_display
from .directory import RunDirectory
from .worker_code import Executor, compile_statement, future_flags
from .worker_encode import VALUE_MIME, CannotEncode, encode_value
from .worker_events import Events
from .worker_failure import RequestFailed, failure_of, refused
from .worker_prelude import Prelude
from .worker_spoil import spoiled_names
from .worker_sync import ends_with_semicolon
from .worker_trace import syntax_details


class Scratch:
    """The names of earlier scratch cells over a shallow copy of the program's."""

    def __init__(
        self,
        directory: RunDirectory,
        program: dict[str, Any],
        executor: Executor,
        events: Events,
    ) -> None:
        self._app = os.fspath(directory.app)
        self._program, self._executor, self._events = program, executor, events
        # One dictionary for good: it is the globals of functions made in scratch cells.
        module = types.ModuleType("__main__")
        self._namespace = module.__dict__
        self._namespace.clear()
        self._prelude = Prelude(module, directory.path / "scratch", directory.values)
        self._copied: dict[str, Any] = {}
        self._flags = 0

    def run(self, cell: Mapping[str, Any]) -> list[str]:
        """Run a scratch cell, as `Submit.scratch` has it, and show what it ends with.

        Returns the names of the program's objects that it surely changed.

        Raises:
            RequestFailed: in phase "scratch", or "cancelled".
        """
        self._refresh()
        text, name = str(cell["text"]), str(cell.get("label") or "scratch")
        skipped = max(0, int(cell.get("first_line") or 1) - 1)
        nodes = self._parse(text, name, skipped)
        value, to = None, cell.get("to")
        try:
            with self._prelude.around(cell):
                self._prelude.run(cell, self._executor)
                for node in nodes:
                    code = compile_statement(node, name, self._flags)
                    value = self._executor.run(code, self._namespace)
            is_shown = bool(to) or _is_shown(nodes, "\n" * skipped + text)
            self._show(value if is_shown else None, to, has_value=_has_value(nodes))
        except CannotEncode as error:
            raise refused("scratch", error) from None
        except BaseException as error:  # noqa: BLE001 - a cell may raise anything; it is reported
            raise failure_of(error, "scratch", self._app) from None
        return spoiled_names(nodes, self._copied)

    def let_go(self, ids: Collection[int]) -> None:
        """Forget the values with these ids, under whatever names scratch cells gave them."""
        for name in [name for name, value in self._namespace.items() if id(value) in ids]:
            del self._namespace[name]
        self._copied = {n: v for n, v in self._copied.items() if n in self._namespace}

    def _refresh(self) -> None:
        """Bring the copied names up to date; what scratch cells bound themselves stays."""
        for name, value in list(self._copied.items()):
            if self._namespace.get(name) is value:
                del self._namespace[name]
        self._prelude.forget(self._program)
        self._copied = {k: v for k, v in self._program.items() if k not in self._namespace}
        self._namespace.update(self._copied)

    def _parse(self, text: str, name: str, skipped: int) -> list[ast.stmt]:
        try:
            tree = ast.parse(text, name)
        except SyntaxError as error:
            error.lineno = (error.lineno or 1) + skipped
            raise RequestFailed("scratch", syntax_details(error, name), None) from None
        for node in tree.body:
            # Lines as the person sees them: the magic's own counts.
            ast.increment_lineno(node, skipped)
        lines = [*["\n"] * skipped, *text.splitlines(keepends=True)]
        linecache.cache[name] = (len(text), None, lines, name)
        self._flags |= future_flags(tree.body)
        return tree.body

    def _show(self, value: Any, to: str | None, *, has_value: bool) -> None:
        if to:
            if not has_value:
                raise CannotEncode(f"there is no last expression to bind to `{to}`")
            encoded = encode_value(value, to)
            body: dict[str, Any] = {"mimes": [VALUE_MIME], "to": to, "encoding": encoded.encoding}
            self._events.emit("shown", body, encoded.data)
            return
        for mimes in (worker_display.bundle(value), *worker_display.figures(close=True)):
            if mimes:
                body = {"mimes": list(mimes), "to": None, "encoding": None}
                self._events.emit("shown", body, *mimes.values())


def _has_value(nodes: list[ast.stmt]) -> bool:
    return bool(nodes) and isinstance(nodes[-1], ast.Expr)


def _is_shown(nodes: list[ast.stmt], text: str) -> bool:
    return _has_value(nodes) and not ends_with_semicolon(text, nodes[-1])
