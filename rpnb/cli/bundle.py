"""What a fresh kernel hands to the command line: plain files, nothing to unpickle.

`request.json` goes in; `bundle.json` and `blobs/DIGEST` come out, or
`error.json`. The pickled values stay bytes on this side.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import errors
from ..program.cells import Cell
from ..program.steps import Program


@dataclass(frozen=True)
class Request:
    """What to build in the kernel, and which typed inputs to read there."""

    cells: tuple[Cell, ...]
    env: dict[str, str]
    folder: str
    inputs: tuple[str, ...] = ()
    send: tuple[str, ...] = ()
    # The label of each ordinary cell that is executed, and its text as executed.
    labels: tuple[tuple[str, str], ...] = ()
    # The label of the cell that names the inputs.
    input_cell: str = ""

    def write(self, folder: Path) -> None:
        """Write the request to `folder`."""
        _write(folder / "request.json", dataclasses.asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Request:
        """Return the request that lies in `folder`."""
        found = json.loads((folder / "request.json").read_text(encoding="utf-8"))
        return cls(
            cells=tuple(Cell(**{**each, "send": tuple(each["send"])}) for each in found["cells"]),
            env=found["env"],
            folder=found["folder"],
            inputs=tuple(found["inputs"]),
            input_cell=found["input_cell"],
            send=tuple(found["send"]),
            labels=tuple((label, text) for label, text in found["labels"]),
        )


@dataclass(frozen=True)
class Bundle:
    """A program, the typed inputs' values, and each executed test's value."""

    program: Program
    inputs: tuple[Any, ...] = ()
    tests: dict[str, Any] = dataclasses.field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the bundle to `folder`."""
        blobs = folder / "blobs"
        blobs.mkdir()
        for digest, data in self.program.blobs.items():
            (blobs / digest).write_bytes(data)
        _write(
            folder / "bundle.json",
            {
                "program": self.program.to_wire(),
                "notes": list(self.program.notes),
                "inputs": list(self.inputs),
                "tests": self.tests,
            },
        )

    @classmethod
    def read(cls, folder: Path) -> Bundle:
        """Return the bundle in `folder`.

        Raises:
            RpnbError: the one that building it raised in the kernel.
        """
        failed = folder / "error.json"
        if failed.exists():
            raise _error(json.loads(failed.read_text(encoding="utf-8")))
        found = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        program = dataclasses.replace(
            Program.from_wire(found["program"]),
            blobs={path.name: path.read_bytes() for path in (folder / "blobs").iterdir()},
            notes=tuple(found["notes"]),
        )
        return cls(program, tuple(found["inputs"]), found["tests"])


def write_error(error: errors.RpnbError, folder: Path) -> None:
    """Write the error in place of a bundle."""
    _write(folder / "error.json", {"type": type(error).__name__, "message": str(error)})


def _error(said: dict[str, str]) -> errors.RpnbError:
    kind = getattr(errors, said["type"], errors.ProgramError)
    error: errors.RpnbError = kind(said["message"])
    return error


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
