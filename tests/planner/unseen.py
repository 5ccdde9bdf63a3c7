"""Serving notebooks as people write them, and everyday edits of each: the files of `notebooks/`.

A file has parts, each after a line `== NAME`: `jobs` (one input a line), `hidden` (names
whose values are never the same twice, or filled by jobs), `program`, `file PATH`, `edits`.
An edit is a line `# ABOUT`, then the text that goes (`- `) and what comes (`+ `); without
`+ ` the lines go wholly. `=> NAMES` is what must load again because of it, `~> NAMES` what
does although it would come out the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from tests.planner.version import Version

_FOLDER = Path(__file__).parent / "notebooks"


@dataclass(frozen=True)
class Edit:
    """One edit of a notebook, and what it loads again: because it must, or in vain."""

    notebook: str
    about: str
    before: Version
    after: Version
    loads: tuple[str, ...]
    is_in_vain: bool


def edits() -> list[Edit]:
    """Return the edits of all notebooks."""
    return [edit for file in sorted(_FOLDER.glob("*.txt")) for edit in _of(file)]


def _of(file: Path) -> list[Edit]:
    _, *parts = re.split(r"^== (.+)\n", file.read_text(), flags=re.MULTILINE)
    named = dict(zip(parts[::2], parts[1::2], strict=True))
    jobs = tuple(json.loads(line) for line in named.get("jobs", "").splitlines())
    files = {n.split()[1]: text.encode() for n, text in named.items() if n.startswith("file ")}
    hidden = frozenset(named.get("hidden", "").split())
    version = Version((named["program"],), files, jobs, hidden)
    _, *edits = re.split(r"^# (.+)\n", named["edits"], flags=re.MULTILINE)
    pairs = zip(edits[::2], edits[1::2], strict=True)
    return [_edit(file.stem, version, about, body) for about, body in pairs]


def _edit(notebook: str, version: Version, title: str, body: str) -> Edit:
    about, mark, expected = re.fullmatch(r"(.*?)(?: ([=~])> (.*))?", title).groups("")  # type: ignore[union-attr] # matches anything
    lines = body.splitlines()
    old = "\n".join(line[2:] for line in lines if line[:1] == "-")
    new = "\n".join(line[2:] for line in lines if line[:1] == "+")
    if not any(line[:1] == "+" for line in lines):
        old = f"{old}\n" if f"{old}\n" in _whole(version) else old
    count = _whole(version).count(old)
    assert count == 1, f"{notebook}: {about}: found {count} times"
    after = replace(
        version,
        steps=(version.text.replace(old, new),),
        files={p: c.decode().replace(old, new).encode() for p, c in version.files.items()},
    )
    return Edit(notebook, about, version, after, tuple(expected.split()), mark == "~")


def _whole(version: Version) -> str:
    return "\n\0".join([version.text, *(content.decode() for content in version.files.values())])
