"""A notebook's cells by where they run: on the target, or here."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BadInput
from ..program import options
from ..program.cells import Cell, Cells, Magic, parse_magic, retyped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from .notebook import CodeCell, Notebook

    Found = Sequence[tuple[CodeCell, Magic | None]]

_SETTING = re.compile(r"^[ \t]*%runpod_env[ \t]+(.*)$", re.MULTILINE)
_DROP = re.compile(r"^[ \t]*%runpod_drop[ \t]+(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Local:
    """A cell that runs here: an ordinary one, or the body of the test named `test`."""

    cell: CodeCell
    text: str
    first_line: int = 1
    test: str | None = None
    expects_error: bool = False


@dataclass(frozen=True)
class Parts:
    """What a notebook says about the program.

    `inputs` are the handler cell's own, as typed; `input_files` those of its
    `--input-file`; `input_cell` is that cell's label. `env` holds plain settings,
    `secrets` the names of those that are taken from here and never written. `notes` say
    where a kernel that ran these cells one by one may have another program.
    """

    path: Path
    remote: tuple[Cell, ...]
    local: tuple[Local, ...]
    inputs: tuple[str, ...] = ()
    input_files: tuple[Path, ...] = ()
    input_cell: str = ""
    env: Mapping[str, str] | None = None
    secrets: tuple[str, ...] = ()
    send: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def tests(self) -> list[Local]:
        """The test cells, in order."""
        return [each for each in self.local if each.test is not None]


def sort(notebook: Notebook) -> Parts:
    """Return the notebook's cells by where they run; scratch cells are left out.

    Raises:
        BadInput: a magic's line cannot be read; names its cell.
    """
    found = [(cell, parse_magic(cell.source)) for cell in notebook.cells]
    lines = {cell.id: _line(cell, magic) for cell, magic in found if magic}
    # Of several handler cells the last is the program's.
    own = [cell for cell, magic in found if magic and magic.kind == "handler"][-1:]
    handlers = [lines[cell.id] for cell in own]
    settings = dict(_settings(notebook.cells))
    folder = notebook.path.parent
    remote = tuple(_remote(found, lines))
    return Parts(
        path=notebook.path,
        remote=remote,
        local=tuple(_local(found, lines)),
        inputs=tuple(each.text for line in handlers for each in line.all("input")),
        input_files=tuple(
            folder / each.word for line in handlers for each in line.all("input-file")
        ),
        input_cell=own[0].label if own else "",
        env={key: value for key, value in settings.items() if value is not None},
        secrets=tuple(key for key, value in settings.items() if value is None),
        send=tuple(each.word for line in lines.values() for each in line.all("send")),
        notes=(*_retyped(remote), *_dropped(notebook.cells, remote)),
    )


@contextlib.contextmanager
def in_cell(label: str) -> Iterator[None]:
    """Say of what cannot be read in which cell it stands."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{label}: {error}") from None


def _line(cell: CodeCell, magic: Magic) -> options.Options:
    with in_cell(cell.label):
        return options.parse(f"runpod_{magic.kind}", magic.line)


def _remote(found: Found, lines: Mapping[str, options.Options]) -> Iterator[Cell]:
    for cell, magic in found:
        if magic and magic.kind in ("setup", "handler"):
            name = lines[cell.id].word or ""
            yield Cell(cell.id, magic.kind, name, cell.label, magic.body, magic.first_line)


def _local(found: Found, lines: Mapping[str, options.Options]) -> Iterator[Local]:
    for cell, magic in found:
        if magic is None:
            yield Local(cell, cell.source)
        elif magic.kind == "test":
            line = lines[cell.id]
            fails = line.has("expect-error")
            yield Local(cell, magic.body, magic.first_line, line.word, expects_error=fails)


def _settings(cells: Sequence[CodeCell]) -> Iterator[tuple[str, str | None]]:
    """What `%runpod_env` sets, the value None where it is taken from here."""
    for cell in cells:
        for line in _SETTING.findall(cell.source):
            with in_cell(cell.label):
                words = options.parse("runpod_env", line).words
            for word in words:
                key, equals, value = word.word.partition("=")
                yield key, value if equals else None


def _retyped(remote: Sequence[Cell]) -> Iterator[str]:
    for first, second in retyped(remote):
        yield (
            f"{first.title} and {second.title} are both in the program. If the second is the "
            f"first one typed again, delete {first.label}"
        )


def _dropped(cells: Sequence[CodeCell], remote: Sequence[Cell]) -> Iterator[str]:
    """A kernel drops cells that ran; what the notebook has is in its program."""
    for number, cell in enumerate(cells):
        above = {each.id for each in cells[:number]}
        known = Cells(each for each in remote if each.id in above)
        for line in _DROP.findall(cell.source):
            for each in known.called(_dropped_name(line)):
                yield f"{cell.label} drops {each.title}, which is in the program: delete its cell"


def _dropped_name(line: str) -> str:
    with contextlib.suppress(BadInput):  # a line that drops nothing is the kernel's to refuse
        return options.parse("runpod_drop", line).word or ""
    return ""


def secret_values(names: Sequence[str]) -> dict[str, str]:
    """Return the values of the secrets, from this environment.

    Raises:
        BadInput: one is not there; says how to set it.
    """
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise BadInput(
            f"the notebook asks for {', '.join(missing)}, which this environment does not have: "
            f"export {missing[0]}=… first"
        )
    return {name: os.environ[name] for name in names}
