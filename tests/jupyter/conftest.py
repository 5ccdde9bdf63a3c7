"""A notebook without a front end: a real shell, a real worker on `local`."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.conftest import _end_processes

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Said:
    """What running a cell printed, and what it raised."""

    text: str
    error: BaseException | None
    result: object

    @property
    def line(self) -> str:
        """The last of the lines that begin with the target: a terminal prints them at the end."""
        found = [each for each in self.text.splitlines() if each.startswith("local │")]
        return found[-1] if found else ""


class Book:
    """Runs cells as a person does, in a shell of its own."""

    def __init__(self, shell, capsys, folder):
        self.shell, self._capsys, self.folder = shell, capsys, folder

    def run(self, text, cell_id=None):
        """Run one cell; return what it said."""
        self._capsys.readouterr()
        done = self.shell.run_cell(text, store_history=True, cell_id=cell_id)
        out, err = self._capsys.readouterr()
        error = done.error_in_exec or done.error_before_exec
        return Said(_COLOURS.sub("", out + err), error, done.result)

    @property
    def names(self):
        """The namespace here."""
        return self.shell.user_ns


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Homes of this test's own, for the worker and for what notebooks remember."""
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / "rpnb"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "book.ipynb"))
    monkeypatch.delenv("RPNB_HEADLESS", raising=False)
    monkeypatch.delenv("RPNB_TARGET", raising=False)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    _end_processes(tmp_path / "rpnb")


@pytest.fixture
def new_book(places, capsys, monkeypatch):
    """Make a fresh shell with the extension loaded, as after a kernel restart."""
    # InteractiveShell replaces __main__, which pytest-xdist pickles by name.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    opened = []

    def make():
        InteractiveShell.clear_instance()
        shell = InteractiveShell.instance()
        opened.append(shell)
        shell.run_cell("%load_ext rpnb", store_history=True)
        return Book(shell, capsys, places)

    yield make
    for shell in opened:
        shell.run_cell("%unload_ext rpnb")
    InteractiveShell.clear_instance()


@pytest.fixture
def book(new_book):
    """A notebook that is not connected yet."""
    return new_book()


@pytest.fixture
def connected(book):
    """A notebook connected to a fresh worker on `local`."""
    said = book.run("%runpod_connect local --python " + sys.executable)
    assert said.error is None, said.text
    return book
