"""Requirements files that `%pip install -r FILE` and `-c FILE` name, read here for the target.

What a line of such a file asks for counts as if the cell had named it. Constraints are
handed on as `--constraint=LINE`. The form is pip's: comments, continued lines, `${VARIABLE}`,
options with files relative to the file that names them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ProgramError
from .pip_lines import FILES, INDEXES, Named, options_of

_COMMENT = re.compile(r"(^|\s)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
# Behind a requirement: `numpy==2.0 --hash=sha256:…`.
_OF_ONE = re.compile(r"\s--?[A-Za-z].*$")
_PLACE = re.compile(r"[./~]|file:")


@dataclass
class Read:
    """What files ask for, in pip's words; the `files` themselves by their path in the folder."""

    requirements: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def with_more(self, more: Read) -> Read:
        """Return this and what other files ask for."""
        return Read(
            self.requirements + more.requirements,
            self.notes + more.notes,
            {**self.files, **more.files},
        )


def read(named: Named, folder: Path) -> Read:
    """Return what the file that a cell's line names asks for, and those that it names itself.

    Raises:
        ProgramError: one of them is not there, or is no text; says who names it.
    """
    found = Read()
    _read(named, folder, folder, found, set())
    return found


def _read(named: Named, start: Path, folder: Path, found: Read, seen: set[Path]) -> None:
    path = Path(os.path.normpath(start / Path(named.path).expanduser()))
    if path in seen:
        return
    seen.add(path)
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise ProgramError(
            f"{named.place}: `{named.option} {named.path}` names a file that is not there: {path}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ProgramError(f"{named.place}: {path} cannot be read: {error}") from None
    if path.is_relative_to(folder):
        found.files[path.relative_to(folder).as_posix()] = data
    for number, line in _lines(text):
        place = f"{path.name}, line {number} (which {named.place} reads)"
        if line.startswith("-"):
            _option(line, place, named, path, folder, found, seen)
        elif _PLACE.match(line):
            found.notes.append(f"{place}: `{line}` lies here only and is left out")
        else:
            wanted = _OF_ONE.sub("", line).strip()
            is_constraint = named.option in ("-c", "--constraint")
            found.requirements.append(f"--constraint={wanted}" if is_constraint else wanted)


def _option(
    line: str, place: str, named: Named, path: Path, folder: Path, found: Read, seen: set[Path]
) -> None:
    options = options_of(line)
    if not options and line.split(maxsplit=1)[0] == "--pre":
        found.requirements.insert(0, "--pre")
    elif not options:
        found.notes.append(f"{place}: `{line}` is not read here and is left out")
    for name, value in options:
        if name in FILES and name not in ("-e", "--editable"):
            # What a constraints file includes are constraints, too.
            option = named.option if named.option in ("-c", "--constraint") else name
            _read(Named(option, value, place), path.parent, folder, found, seen)
        elif name in INDEXES:
            found.requirements.insert(0, f"{INDEXES[name]}={value}")
        else:
            found.notes.append(f"{place}: `{line}` is not read here and is left out")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, each with the number of its first."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first or number
        part = _COMMENT.sub("", line)
        if part.endswith("\\"):
            joined += part[:-1]
            continue
        whole = _VARIABLE.sub(lambda m: os.environ.get(m[1], m[0]), joined + part).strip()
        if whole:
            yield first, whole
        joined, first = "", 0
