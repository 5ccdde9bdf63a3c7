"""Which statement of an ordinary cell made the object that a name holds."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..planner.facts import split
from .passages import Passage
from .uses import uses


@dataclass(frozen=True)
class Definition:
    """The statements that made a value, the last of them as a syntax tree too."""

    name: str
    passages: tuple[Passage, ...]
    node: ast.stmt
    value: Any

    @property
    def is_import(self) -> bool:
        """Whether an import statement bound the name."""
        return isinstance(self.node, (ast.Import, ast.ImportFrom))


class Provenance:
    """What each ordinary cell's statements made; `record` after each cell that ran."""

    def __init__(self) -> None:
        self._definitions: dict[str, Definition] = {}

    def record(
        self, label: str, text: str, namespace: Mapping[str, Any], *, first_line: int = 1
    ) -> None:
        """Note what the statements of a cell made; `text` is what IPython compiled."""
        try:
            statements = split(text)
        except SyntaxError:
            return
        for statement in statements:
            passage = Passage.typed(
                statement.text, statement.first_line + first_line - 1, label=label
            )
            for name in uses(statement).binds:
                if name in namespace:
                    self._definitions[name] = Definition(
                        name, (passage,), statement.node, namespace[name]
                    )

    def source_of(self, name: str, value: Any) -> Definition | None:
        """Return what made `value`, if that is still the object that the cell left."""
        found = self._definitions.get(name)
        return found if found is not None and found.value is value else None
