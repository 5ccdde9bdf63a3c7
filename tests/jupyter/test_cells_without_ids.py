"""Front ends that give a kernel neither ids nor a file: plain IPython, and nbclient.

A terminal is a real `ipython` in a terminal of its own; what was typed there reaches the command
line as the exported handler.py, or as the notebook that IPython's `%notebook` saves. nbclient
executes the saved file from its first cell, after each edit, in one kernel.
"""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from pexpect.fdpexpect import fdspawn

from rpnb.cli.progress import Progress
from rpnb.cli.source import Wanted, load
from rpnb.errors import BadNotebook
from tests.conftest import _end_processes
from tests.jupyter.front_ends import JupyterLab

# The first case of each front end waits for a kernel and a worker.
pytestmark = pytest.mark.timeout(180)

CONNECT = f"%runpod_connect local --python {sys.executable}"
ONE = "%%runpod_setup one\nfirst = ['one']"
TWO = "%%runpod_setup two\nsecond = ['two']\nafter = 2"
UNNAMED = "%%runpod_setup\nthird = ['three', 3]"
SCALE = "SCALE = 2"
HANDLER = "%%runpod_handler --no-form --input {}\ndef handler(job):\n    return [first, SCALE]"
USUAL = (SCALE, ONE, TWO, UNNAMED, HANDLER)
# Forget the cells of the case before this one.
EMPTY = (
    "book = get_ipython()._rpnb_notebook; [book.cells.drop(each.id) for each in list(book.cells)]"
    "; book.page.ran.clear()"
)


def setups(text):
    """The lines of a program that its set-up cells made."""
    return re.findall(r"^(?:first|second|after|third) = .*$", text, re.MULTILINE)


# --- plain IPython


class IPython:
    """An `ipython` in a terminal, and a person who types cells there."""

    def __init__(self, folder):
        ours, theirs = pty.openpty()
        places = {"RPNB_HOME": "rpnb", "XDG_STATE_HOME": "state", "IPYTHONDIR": "ipython"}
        there = {key: str(folder / each) for key, each in places.items()}
        none = ("JPY_SESSION_NAME", "RPNB_TARGET", "RPNB_HEADLESS")
        inherited = {key: each for key, each in os.environ.items() if key not in none}
        plain = ["--simple-prompt", "--no-banner", "--no-confirm-exit", "--colors=NoColor"]
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", sys.executable, "-m", "IPython", *plain],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
            env={**inherited, **there, "TERM": "dumb", "COLUMNS": "200"},
        )  # fmt: skip
        os.close(theirs)
        self.folder, self.number = folder, 1
        self.screen = fdspawn(ours, timeout=120, encoding="utf-8", use_poll=True)
        self.screen.expect_exact("In [1]: ")

    def type(self, text):
        """Type a cell, and blank lines until IPython runs it; return what is said."""
        lines = text.split("\n")
        while self._asks_for_more(lines.pop(0) if lines else ""):
            pass
        return self.screen.before

    def saved(self, start):
        """What was typed from this number on, as `%notebook` saves it."""
        path = self.folder / "session.ipynb"
        self.type(f"%notebook {path.name}")
        whole = json.loads(path.read_text())
        whole["cells"] = whole["cells"][start:]
        path.write_text(json.dumps(whole))
        return path

    def close(self):
        self._process.kill()
        self._process.wait()
        self.screen.close()

    def _asks_for_more(self, line):
        self.screen.sendline(line)
        asked = self.screen.expect_exact(["   ...: ", f"In [{self.number + 1}]: "])
        self.number += asked
        return not asked


@pytest.fixture(scope="module")
def terminal(tmp_path_factory):
    """An `ipython` that is connected to a worker, for all its cases."""
    folder = tmp_path_factory.mktemp("terminal")
    shell = IPython(folder)
    try:
        shell.type("%load_ext rpnb")
        assert "worker ready" in shell.type(CONNECT)
        yield shell
    finally:
        shell.close()
        _end_processes(folder / "rpnb")


@dataclass(frozen=True)
class Typed:
    """What is typed below the usual cells; the set-up lines then, and what the command line says.

    `says` are beginnings of its notes; without any the saved session exports the same bytes.
    """

    cells: tuple[str, ...]
    setups: tuple[str, ...]
    says: tuple[str, ...] = ()


LINES = ("first = ['one']", "second = ['two']", "after = 2", "third = ['three', 3]")
# The usual cells are cells 2 to 6 of what is saved.
BOTH = "cell {0} (setup{1}) and cell 7 (setup{1}) are both in the program."
CASES = {
    "nothing": Typed((), LINES),
    "run again unchanged": Typed((ONE,), LINES, (BOTH.format(3, " one"),)),
    "edited": Typed(
        (TWO.replace("'two'", "'zwei'"),),
        (LINES[0], "second = ['zwei']", *LINES[2:]), (BOTH.format(4, " two"),)),
    "edited, without a NAME": Typed(
        (UNNAMED.replace(", 3", ", 4"),),
        (*LINES[:3], "third = ['three', 4]"), (BOTH.format(5, ""),)),
    "edited, the handler": Typed((HANDLER.replace("first", "second"),), LINES),
    "edited, an ordinary cell": Typed(("SCALE = 3",), LINES),
    "moved: typed again, once it is dropped": Typed(
        ("%runpod_drop one", ONE), (*LINES[1:], LINES[0]),
        (BOTH.format(3, " one").replace("7", "8"), "cell 7 drops cell 3 (setup one), which")),
    "deleted: dropped": Typed(
        ("%runpod_drop two",), (LINES[0], LINES[3]), ("cell 7 drops cell 4 (setup two), which",)),
    "duplicated under another NAME": Typed(
        (TWO.replace("two\n", "copy\n"),), (*LINES, *LINES[1:3])),
    "split": Typed(
        (TWO.replace("\nafter = 2", ""), "%%runpod_setup rest\nafter = 2"),
        (*LINES[:2], LINES[3], LINES[2]), (BOTH.format(4, " two"),)),
    "merged": Typed(
        (f"{ONE}\nsecond = ['two']\nafter = 2", "%runpod_drop two"), LINES,
        (BOTH.format(3, " one"), "cell 8 drops cell 4 (setup two), which")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_typed_is_exported_as_saved_or_the_command_line_names_the_cell(terminal, case):
    expected, start = CASES[case], terminal.number
    for text in (EMPTY, *USUAL, *expected.cells):
        said = terminal.type(text)
        assert "Error" not in said, said
    name = f"handler_{start}.py"
    assert f"wrote {name}" in terminal.type(f"%runpod_export {name}")
    here = (terminal.folder / name).read_text()
    assert setups(here) == list(expected.setups)
    assert exported(terminal.folder / name) == (here, ())
    there, notes = exported(terminal.saved(start - 1))
    assert len(notes) == len(expected.says), notes
    assert all(map(str.startswith, notes, expected.says)), notes
    assert expected.says or there == here


def exported(path):
    """What `rpnb export` makes of a file, and what it says."""
    found = load(path, Wanted(none=True), Progress())
    return found.program.text, found.notes


def test_session_saved_as_text_is_told_what_exports_it(tmp_path):
    path = tmp_path / "session.ipy"
    path.write_text(f"%load_ext rpnb\n{ONE}\n{HANDLER}\n")
    with pytest.raises(BadNotebook, match="`%notebook session.ipynb` saves what was typed"):
        exported(path)


# --- nbclient


class Executed(JupyterLab):
    """A notebook's file that nbclient executes whole, in a kernel that forgot the time before."""

    def __init__(self, manager, path):
        super().__init__(None, path)
        self.manager = manager

    def export(self):
        """Execute the file, with an export in a cell below; return the bytes."""
        self.save()
        book = nbformat.read(self.path, as_version=4)
        book.cells.insert(1, nbformat.v4.new_code_cell(EMPTY))
        book.cells.append(nbformat.v4.new_code_cell("%runpod_export kernel.py --force"))
        client = NotebookClient(book, km=self.manager, timeout=60)
        try:
            client.execute()
        finally:
            client.kc.stop_channels()
        return (self.path.parent / "kernel.py").read_text()


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A notebook's page, and one kernel in which nbclient executes it for all cases."""
    folder = tmp_path_factory.mktemp("nbclient")
    with (
        tempfile.TemporaryDirectory(prefix="rpnb-kernel-") as sockets,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.delenv("JPY_SESSION_NAME", raising=False)
        patch.setenv("RPNB_HOME", str(folder / "rpnb"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.chdir(folder)
        manager = AsyncKernelManager(transport="ipc", ip=f"{sockets}/kernel")
        try:
            yield Executed(manager, folder / "book.ipynb")
        finally:
            run_sync(manager.shutdown_kernel)(now=True)
            _end_processes(folder / "rpnb")


def edited(page):
    page.find("second").text = TWO.replace("'two'", "'zwei'")


def split(page):
    page.split("second", [TWO.replace("\nafter = 2", ""), "%%runpod_setup rest\nafter = 2"])


# What is done to the usual cells, and the set-up lines then.
EDITS = {
    "nothing, run again": (lambda page: page.export(), LINES),
    "edited": (edited, (LINES[0], "second = ['zwei']", *LINES[2:])),
    "moved": (lambda page: page.move("second", 1), (*LINES[1:3], LINES[0], LINES[3])),
    "deleted": (lambda page: page.delete("second"), (LINES[0], LINES[3])),
    "duplicated": (lambda page: page.copy("second", 5), (*LINES, *LINES[1:3])),
    "split": (split, LINES),
    "merged": (lambda page: page.merge("first", "second"), LINES),
}


@pytest.mark.parametrize("case", EDITS)
def test_notebook_that_nbclient_executes_is_exported_as_by_the_command_line(executed, case):
    executed.cells = [executed.new(each) for each in (f"%load_ext rpnb\n{CONNECT}", *USUAL)]
    edit, expected = EDITS[case]
    edit(executed)
    here = executed.export()
    assert setups(here) == list(expected)
    assert exported(executed.path)[0] == here
