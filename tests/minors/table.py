"""The cases of `cases/*.txt`: what people define in ordinary cells, and a use of it.

A case begins with `=== NAME`, perhaps `[since 3.12]`; `---` begins its next cell,
`--- FILE.py` a module beside the notebook; `-->` is an expression of its names that
JSON can hold, the same under every Python.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_HEAD = re.compile(r"=== (?P<name>.+?)(?: \[since 3\.(?P<since>\d+)\])?")
_OLDEST = 9


@dataclass(frozen=True)
class Case:
    """Ordinary cells, modules beside the notebook, and an expression.

    `since` is the first Python that can run the cells: an older target must refuse them.
    """

    cells: tuple[str, ...]
    use: str
    since: tuple[int, int] = (3, _OLDEST)
    files: tuple[tuple[str, str], ...] = ()


def _read(text: str) -> dict[str, Case]:
    found = {}
    for part in re.split(r"^(?==== )", text, flags=re.MULTILINE)[1:]:
        head, _, rest = part.partition("\n")
        match = _HEAD.fullmatch(head)
        assert match, head
        body, _, use = rest.rpartition("\n--> ")
        first, *more = re.split(r"^---(.*)\n", "---\n" + body, flags=re.MULTILINE)
        assert not first, first
        pieces = [
            (name.strip(), cell.rstrip("\n"))
            for name, cell in zip(more[::2], more[1::2], strict=True)
        ]
        found[match["name"]] = Case(
            cells=tuple(cell for name, cell in pieces if not name and cell),
            use=use.strip(),
            since=(3, int(match["since"] or _OLDEST)),
            files=tuple(piece for piece in pieces if piece[0]),
        )
    return found


CASES: dict[str, Case] = {}
for _file in sorted((Path(__file__).parent / "cases").glob("*.txt")):
    CASES.update(_read(_file.read_text(encoding="utf-8")))
