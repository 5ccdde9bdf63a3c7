"""The program of a plain Python script: its functions and texts as cells."""

from __future__ import annotations

import itertools
import textwrap
from collections import ChainMap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NoHandler
from .marks import marked

if TYPE_CHECKING:
    from ..program.cells import Cell
    from ..program.names import Names
    from ..program.steps import Program

# The name under which a handler is captured that the script's own text does not define.
_GIVEN = "_handler"


class Script:
    """The cells that a session's methods have added, and the program they make.

    `info` gives what the session's worker says of its machine.
    """

    def __init__(self, info: Callable[[], Mapping[str, Any]]) -> None:
        from ..program.cells import Cells

        self._info = info

        self._setups = Cells()
        self._handler: Cell | None = None
        self._given: dict[str, Any] = {}
        self._numbers = itertools.count(1)

    def add_setup(self, code: str | Callable[[], Any], namespace: dict[str, Any]) -> Program:
        """Return the program with one more set-up cell, or that cell's new version."""
        from ..program.cells import Cell

        if callable(code):
            self._setups.put(self._setup_cell(code, self._names(namespace)))
        else:
            text = textwrap.dedent(code).strip("\n")
            label = f"set-up {next(self._numbers)}"
            self._setups.put(Cell("", "setup", "", label, text))
        return self.program(namespace)

    def with_handler(self, handler: Any, namespace: dict[str, Any]) -> Program | None:
        """Return the program with this handler; None where nothing says what it is.

        A path is an existing handler file, a function is one of the script's or
        any other; None is what the script marks with `@rpnb.handler`.

        Raises:
            NoHandler: neither the script nor an earlier call has one.
        """
        names = self._names(namespace)
        for function in marked(namespace, "setup"):
            self._setups.put(self._setup_cell(function, names))
        own = marked(namespace, "handler")
        if handler is None and own:
            handler = own[-1]
        if isinstance(handler, str | Path):
            return _of_file(Path(handler))
        if handler is not None:
            self._handler = self._handler_cell(handler, names)
        if self._handler is None and not self._setups:
            return None
        if self._handler is None:
            raise NoHandler(
                "no handler is named. Mark one with @rpnb.handler, or pass handler=… "
                "(a function, or the path of a handler.py)"
            )
        return self.program(namespace)

    def program(self, namespace: dict[str, Any]) -> Program:
        """Return the program of the cells there are, with what they use of the script."""
        from ..program.build import build

        cells = [*self._setups, *([self._handler] if self._handler else [])]
        return build(cells, self._names(namespace))

    def _handler_cell(self, function: Any, names: Names) -> Cell:
        from ..program.cells import Cell

        found = _definition(function, names)
        if found is None:
            self._given[_GIVEN] = function
            return Cell("handler", "handler", "", "the handler", f"handler = {_GIVEN}")
        text, label, first_line = found
        return Cell("handler", "handler", "", label, text, first_line)

    def _setup_cell(self, function: Any, names: Names) -> Cell:
        from ..program.cells import Cell

        name = function.__name__
        found = _definition(function, names)
        if found is None:
            self._given[name] = function
            return Cell(f"setup:{name}", "setup", name, name, f"{name}()")
        text, label, first_line = found
        return Cell(f"setup:{name}", "setup", name, label, f"{text}\n\n{name}()", first_line)

    def _names(self, namespace: dict[str, Any]) -> Names:
        from ..program.names import Names
        from ..program.provenance import Provenance
        from ..program.skew import There

        provenance, folder = Provenance(), Path.cwd()
        file = Path(namespace.get("__file__") or "")
        if file.suffix == ".py" and file.is_file():
            folder = file.resolve().parent
            text = file.read_text(encoding="utf-8", errors="replace")
            provenance.record(file.name, text, namespace)
        there = There.of(self._info())
        return Names(ChainMap(self._given, namespace), provenance, folder, there=there)


def _of_file(path: Path) -> Program:
    from ..program.build import build
    from ..program.handler_file import from_file, names_for

    return build(from_file(path), names_for(path))


def _definition(function: Any, names: Names) -> tuple[str, str, int] | None:
    """Return the text of a function's own `def`, its file's name and first line."""
    name = getattr(function, "__name__", "")
    if name not in names or names[name] is not function:
        return None
    found = names.definition(name)
    if found is None or not hasattr(found.node, "decorator_list"):
        return None
    passage = found.passages[-1]
    return passage.text, passage.label, passage.places[0]
