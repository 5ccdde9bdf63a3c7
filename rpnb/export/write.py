"""Write a program as files, and never over somebody's own work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ExportError, NoHandler
from ..program import start_call
from . import record
from .files import files
from .portable import refuse_unportable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..program.steps import Program


@dataclass(frozen=True)
class Written:
    """What an export left on disk; `same` means that nothing had to change.

    `beside` are the modules and data files next to the handler, `starts` says
    whether the text calls `runpod.serverless.start`, `settings` are the program's
    plain settings, which its environment must have in production.
    """

    path: Path
    lines: int
    setup_steps: int
    starts: bool
    beside: tuple[Path, ...]
    same: bool
    settings: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The path as a person here would type it."""
        folder = Path.cwd()
        return str(self.path.relative_to(folder) if folder in self.path.parents else self.path)

    @property
    def summary(self) -> str:
        """One line, such as "wrote handler.py (41 lines, 2 set-up steps, handler, start)"."""
        parts = [_count(self.lines, "line")]
        if self.setup_steps:
            parts.append(_count(self.setup_steps, "set-up step"))
        parts += ["handler", "start"] if self.starts else ["handler"]
        verb = "unchanged:" if self.same else "wrote"
        beside = f" and {_count(len(self.beside), 'file')} beside it" if self.beside else ""
        settings = f" │ needs {', '.join(self.settings)} set where it runs" if self.settings else ""
        return f"{verb} {self.shown} ({', '.join(parts)}){beside}{settings}"


def write(
    program: Program, path: Path | str, *, force: bool = False, strays: Sequence[str] = ()
) -> Written:
    """Write the program's text to `path`, its modules and data files beside it.

    Each file is replaced at once, and none if one may not be. `strays` names
    cells of the program that the notebook no longer has.

    Raises:
        NoHandler: there is none in the program.
        ExportError: the text cannot stand in a file; a file there was edited
            since the last export, or is not rpnb's; there are strays. `force`
            overrules the last three.
    """
    if not program.handler:
        raise NoHandler("the program has no handler yet: run its cell, then export")
    refuse_unportable(program)
    _refuse_strays(strays, force=force)
    wanted = files(program, Path(path))
    changed = {place: data for place, data in wanted.items() if _content(place) != data}
    if not force:
        _refuse_foreign(changed)
    for place, data in changed.items():
        _put(place, data)
    record.remember(wanted)
    first, *beside = wanted
    return Written(
        path=first,
        lines=len(program.text.splitlines()),
        setup_steps=sum(cell.kind == "setup" for cell in program.cells),
        starts=bool(start_call.calls(program.text)),
        beside=tuple(beside),
        same=not changed,
        settings=tuple(f"{key}={value}" for key, value in sorted(program.env.items())),
    )


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}") from error


def _refuse_strays(strays: Sequence[str], *, force: bool) -> None:
    if strays and not force:
        raise ExportError(
            f"{', '.join(strays)} ran but is not in the notebook: save the notebook, drop it with "
            "%runpod_drop, or export it all the same with --force"
        )


def _refuse_foreign(changed: Mapping[Path, bytes]) -> None:
    known = record.remembered()
    for path in changed:
        there = _content(path)
        if there is None or known.get(str(path)) == record.digest(there):
            continue
        was = (
            "was edited since the last export" if str(path) in known else "was not written by rpnb"
        )
        raise ExportError(
            f"{path} {was} and differs: see what would change with `rpnb export --check`, "
            "overwrite it with --force"
        )


def _put(path: Path, data: bytes) -> None:
    try:
        record.replace(path, data)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}") from error


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
