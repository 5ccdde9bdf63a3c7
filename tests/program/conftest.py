"""A real IPython shell whose ordinary cells are recorded, and programs that really run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.names import Names
from rpnb.program.provenance import Provenance


class Notebook:
    """Runs ordinary cells in IPython, builds programs from remote ones, runs these."""

    def __init__(self, shell, folder: Path):
        self.shell, self.folder = shell, folder
        self.provenance = Provenance()
        self.count = 0
        self.remote: list[Cell] = []

    def reset(self) -> None:
        """Begin anew, as after a restart of the kernel."""
        self.shell.reset(new_session=False)
        # IPython goes on compiling with what a cell's `from __future__` line asked for.
        self.shell.compile.reset_compiler_flags()
        self.provenance, self.remote, self.count = Provenance(), [], 0

    def cell(self, text: str) -> None:
        """Run an ordinary cell, as a kernel does, and record it."""
        self.count += 1
        result = self.shell.run_cell(text, store_history=True)
        assert result.success, text
        self.provenance.record(
            f"cell {self.count}", self.shell.transform_cell(text), self.shell.user_ns
        )

    def setup(self, text: str) -> None:
        self._add("setup", text)

    def handler(self, text: str) -> None:
        self._add("handler", text)

    def _add(self, kind: str, text: str) -> None:
        self.count += 1
        self.remote.append(Cell(f"id-{self.count}", kind, "", f"cell {self.count}", text, 2))

    def names(self, **options) -> Names:
        return Names(
            self.shell.user_ns,
            self.provenance,
            self.folder,
            [str(self.folder)],
            hidden=dict(self.shell.user_ns_hidden),
            **options,
        )

    def build(self, base=None, env=None, **options):
        return build(self.remote, self.names(**options), base=base, env=env)

    def value(self, expression: str):
        """The expression's value here."""
        return eval(expression, self.shell.user_ns)

    def remote_value(self, expression: str):
        """The expression's value in a fresh process that has run the built program."""
        return run_program(self.build(), self.folder / "app", expression)


def run_program(program, folder: Path, expression: str):
    """Write the program as an export does, run it in a fresh process, evaluate there."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, (_, size) in program.files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(program.content(path))
        assert place.stat().st_size == size
    tail = f"\nimport json as _json\nprint(_json.dumps({expression}))\n"
    # A worker's `start` would never return: the value is asked for before it.
    text = program.text.partition('if __name__ == "__main__":')[0] + tail
    (folder / "handler.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(folder / "handler.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, program.text + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    main = sys.modules["__main__"]
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    try:
        yield Notebook(shell, tmp_path)
    finally:
        sys.modules["__main__"] = main
