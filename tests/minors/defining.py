"""The local side of a pair: defines the cases in a notebook, and builds what would travel.

Run by the local Python, with cloudpickle on its path and nothing else of rpnb's
needs: `python -m tests.minors.defining FOLDER 3.9 3.13 …` writes, for each target's
version, `FOLDER/3.9.json`: {case: {"value", "program", "blobs"} or {"error"}}.
"""

from __future__ import annotations

import base64
import itertools
import json
import linecache
import sys
import types
from pathlib import Path
from typing import Any

from rpnb.errors import ProgramError
from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.names import Names
from rpnb.program.provenance import Provenance
from rpnb.program.skew import There
from tests.minors.table import CASES

USE = "use"
_numbers = itertools.count()


class Notebook:
    """Cells run as a kernel runs them: in `__main__`, each with a file name of its own."""

    def __init__(self, folder: Path):
        self.folder, self.provenance = folder, Provenance()
        self.main = types.ModuleType("__main__")
        sys.modules["__main__"] = self.main
        self.namespace: dict[str, Any] = self.main.__dict__
        self._count = 0

    def cell(self, text: str) -> None:
        """Run an ordinary cell and note what it made."""
        self._count += 1
        name = f"/tmp/ipykernel_1/{next(_numbers)}.py"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec", dont_inherit=True), self.namespace)
        self.provenance.record(f"cell {self._count}", text, self.namespace)

    def program(self, case: str, use: str, python: str) -> Any:
        """Return the program of one remote cell that shows case and `use` as JSON."""
        text = f"import json as _json\n_json.dumps([{case!r}, {use}])"
        cell = Cell(USE, "setup", "", "the use", text, 1)
        path = [str(self.folder)]
        names = Names(self.namespace, self.provenance, self.folder, path, there=There(python))
        return build([cell], names)


def define(name: str, pythons: list[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Return what one case comes to for each target's version; nothing where it cannot be."""
    case = CASES[name]
    if sys.version_info[:2] < case.since:
        return {}
    for file, text in case.files:
        (folder / file).write_text(text, encoding="utf-8")
    notebook = Notebook(folder)
    for text in case.cells:
        notebook.cell(text)
    found = {python: _built(notebook, name, python) for python in pythons}
    # Last: a use may change what it looks at.
    value = json.loads(json.dumps(eval(case.use, notebook.namespace)))
    for file, _ in case.files:
        sys.modules.pop(file.partition(".")[0], None)
    return {python: {"value": value, **each} for python, each in found.items()}


def _built(notebook: Notebook, case: str, python: str) -> dict[str, Any]:
    try:
        program = notebook.program(case, CASES[case].use, python)
    except ProgramError as error:
        return {"error": str(error)}
    blobs = {key: base64.b64encode(data).decode() for key, data in program.blobs.items()}
    return {"program": program.to_wire(), "blobs": blobs}


def main(folder: str, *pythons: str) -> None:
    """Write one file for each target's version."""
    place = Path(folder)
    sys.path.insert(0, folder)
    found: dict[str, dict[str, Any]] = {python: {} for python in pythons}
    for name in CASES:
        for python, each in define(name, list(pythons), place).items():
            found[python][name] = each
    for python, cases in found.items():
        (place / f"{python}.json").write_text(json.dumps(cases), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
