"""A program at one moment of its life, and what is served then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Version:
    """The program's statements, the files beside it, and what is asked of it once it stands.

    `hidden` are names whose values jobs fill: two workers that served different
    jobs may differ there. `again` is the number of a statement whose cell is run again.
    """

    steps: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    jobs: tuple[Any, ...] = ()
    hidden: frozenset[str] = frozenset()
    again: int | None = None

    @property
    def text(self) -> str:
        """The program as one text."""
        return "\n".join(self.steps)

    def shown(self) -> str:
        """The version for people."""
        parts = [self.text]
        for path, content in self.files.items():
            parts.append(f"# --- {path}\n{content.decode(errors='replace')}")
        if self.jobs:
            parts.append(f"# --- jobs {self.jobs}")
        if self.again is not None:
            parts.append(f"# --- again: statement {self.again}")
        return "\n".join(parts)
