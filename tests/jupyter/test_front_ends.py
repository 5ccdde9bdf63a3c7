"""What a person does with cells, in each front end: the program, its order, and both exports.

After every operation the kernel's `%runpod_export` and `rpnb export` of the saved file either
give the same bytes, or the kernel's names each cell that differs.
"""

from __future__ import annotations

import itertools
import re
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from rpnb.cli.progress import Progress
from rpnb.cli.source import Wanted, load
from rpnb.errors import ProgramError
from tests.conftest import _end_processes
from tests.jupyter.front_ends import JupyterLab, VSCode
from tests.jupyter.kernels import Kernel

CONNECT = f"%load_ext rpnb\n%runpod_connect local --python {sys.executable}"
ONE = "%%runpod_setup one\nfirst = ['one']"
TWO = "%%runpod_setup two\nsecond = ['two']\n\nafter = 2"
THREE = "%%runpod_setup three\nthird = ['three']"
HANDLER = "%%runpod_handler --no-form --input {}\ndef handler(job):\n    return 1"
BASE = (CONNECT, ONE, TWO, THREE, HANDLER)
# Ordinary cells, and a handler that uses what they make.
SCALE = "SCALE = 2"
SCALED = "def scaled(n):\n    return n * SCALE\n\nTABLE = [scaled(1)]"
USING = HANDLER.replace("return 1", "return [scaled(3), TABLE]")
_ROW = re.compile(r"^(?:cell \d+|not run) +%%runpod_(\w+)(?: (\w+))?  +(\S.*)$", re.MULTILINE)
_exports = itertools.count()


@dataclass(frozen=True)
class Case:
    """What a person does, then the NAMEs in order, and words of what the export says.

    `says` is "" where both exports are to be equal; `later` are the NAMEs once the page is
    saved, where both are equal in any case. A dictionary has a value for each front end.
    """

    do: Any
    names: Any
    says: Any = ""
    later: Any = None

    def of(self, what, page):
        found = getattr(self, what)
        return found[page.name] if isinstance(found, dict) else found


def edited(page):
    page.find("second").text = TWO.replace("'two'", "'zwei'")


def then(*steps):
    """These operations, one after the other."""

    def do(page):
        for step in steps:
            step(page)

    return do


def run(word):
    return lambda page: page.run(word)


def save(page):
    page.save()


def inserted(at, text, *, ran=True):
    def do(page):
        cell = page.insert(at, text)
        if ran:
            page.run(cell)

    return do


def split_two(page):
    parts = ["%%runpod_setup two\nsecond = ['two']", "%%runpod_setup rest\nafter = 2"]
    for cell in page.split("second", parts):
        page.run(cell)


def merged(page):
    page.run(page.merge("second", "third"))


def copied(page):
    page.run(page.copy("second", 3))


def without_magic(page):
    page.find("second").text = "second = ['two']"
    page.run("second")


def unreadable(page):
    page.find("second").text = "%%runpod_setup two\nsecond = ("
    page.run("second")


def other_handler(page):
    page.insert(5, HANDLER.replace("return 1", "return 2"))
    page.run(page.cells[5])
    page.run(page.cells[4])


def using(*steps):
    """Ordinary cells that the handler uses, run and saved; then these operations."""

    def do(page):
        for at, text in enumerate((SCALE, SCALED), 4):
            page.run(page.insert(at, text))
        page.find("def handler").text = USING
        page.run("def handler")
        page.save()
        then(*steps)(page)

    return do


def changed(word, text):
    def do(page):
        page.find(word).text = text

    return do


FOUR = "%%runpod_setup four\nfourth = 4"
ALL = ["one", "two", "three", "handler"]
# What an earlier case left unsaved stays in the program: nothing tells that it is gone.
EMPTY = """book = get_ipython()._rpnb_notebook
for cell in list(book.cells): book.cells.drop(cell.id)
book.page.ran.clear()"""
CASES = {
    "nothing": Case(lambda page: None, ALL),
    "run again unchanged": Case(run("second"), ALL),
    "edited and run, not saved": Case(
        then(edited, run("second")), ALL, "two.*another text"),
    "edited and run, saved": Case(then(edited, run("second"), save), ALL),
    "edited, not run, saved": Case(then(edited, save), ALL, "two.*another text"),
    "edited, not run, not saved": Case(edited, ALL),
    "moved, saved": Case(
        then(lambda page: page.move("second", 1), save), ["two", "one", "three", "handler"]),
    "moved, not saved": Case(
        lambda page: page.move("second", 1), ALL, later=["two", "one", "three", "handler"]),
    "run out of order": Case(
        then(run("def handler"), run("third"), run("second"), run("first")), ALL),
    "deleted, saved": Case(
        then(lambda page: page.delete("second"), save), ["one", "three", "handler"]),
    "deleted, not saved": Case(
        lambda page: page.delete("second"),
        {"jupyterlab": ["one", "three", "handler"], "vscode": ALL},
        {"jupyterlab": "two.*was deleted", "vscode": ""},
        later=["one", "three", "handler"]),
    "copied and run, not saved": Case(
        copied, ["one", "two", "three", "two", "handler"], "two.*not in the saved notebook yet",
        later=["one", "two", "two", "three", "handler"]),
    "copied and run, saved": Case(
        then(copied, save), ["one", "two", "two", "three", "handler"]),
    "copied, not run, saved": Case(
        then(lambda page: page.copy("second", 3), save), ALL, "two.*has not run"),
    "cut and pasted, saved": Case(
        then(lambda page: page.cut("second", 1), save), ["two", "one", "three", "handler"]),
    "cut and pasted, not saved": Case(
        lambda page: page.cut("second", 1),
        {"jupyterlab": ["one", "three", "handler"], "vscode": ALL},
        {"jupyterlab": "two.*was deleted", "vscode": ""},
        later=["two", "one", "three", "handler"]),
    "cut, pasted and run, not saved": Case(
        then(lambda page: page.cut("second", 1), run("second")),
        {"jupyterlab": ALL, "vscode": ["one", "two", "three", "two", "handler"]},
        {"jupyterlab": "", "vscode": "two.*not in the saved notebook yet"},
        later=["two", "one", "three", "handler"]),
    "cut, pasted, all run, not saved": Case(
        then(lambda page: page.cut("second", 1), lambda page: page.run_all()),
        {"jupyterlab": ALL, "vscode": ["two", "one", "two", "three", "handler"]},
        {"jupyterlab": "", "vscode": "two.*not in the saved notebook yet"},
        later=["two", "one", "three", "handler"]),
    "split, both run, saved": Case(
        then(split_two, save), ["one", "two", "rest", "three", "handler"]),
    "split, both run, not saved": Case(
        split_two,
        {"jupyterlab": ["one", "rest", "three", "two", "handler"],
         "vscode": ["one", "two", "rest", "three", "handler"]},
        # One below the other, the parts are what was in one cell.
        {"jupyterlab": "(?s)(?=.*two)(?=.*rest)", "vscode": ""},
        later=["one", "two", "rest", "three", "handler"]),
    "merged and run, not saved": Case(
        merged,
        {"jupyterlab": ["one", "two", "three", "two", "handler"], "vscode": ALL},
        "two", later=["one", "two", "handler"]),
    "merged and run, saved": Case(then(merged, save), ["one", "two", "handler"]),
    "made markdown, saved": Case(
        then(lambda page: page.to_markdown("second"), save), ["one", "three", "handler"]),
    "made markdown, not saved": Case(
        lambda page: page.to_markdown("second"), ALL, later=["one", "three", "handler"]),
    "magic line removed and run, not saved": Case(
        without_magic, ["one", "three", "handler"], "two.*ordinary cell here"),
    "magic line removed and run, saved": Case(
        then(without_magic, save), ["one", "three", "handler"]),
    "dropped": Case(
        lambda page: page.look("%runpod_drop two"), ["one", "three", "handler"],
        "two.*was dropped here"),
    "dropped and run again": Case(
        then(lambda page: page.look("%runpod_drop two"), run("second")), ALL),
    "dropped, run again as an ordinary cell, not saved": Case(
        then(lambda page: page.look("%runpod_drop two"), run("second"), without_magic),
        ["one", "three", "handler"], "two.*ordinary cell here"),
    "new cell, run, not saved": Case(
        inserted(2, FOUR), ["one", "two", "three", "four", "handler"],
        "four.*not in the saved notebook yet", later=["one", "four", "two", "three", "handler"]),
    "new cell, not run, saved": Case(
        then(inserted(2, FOUR, ran=False), save), ALL, "four.*has not run"),
    "edited so that it cannot be read, run, not saved": Case(unreadable, ALL),
    "two handlers, the upper run last, saved": Case(
        then(other_handler, save), [*ALL, "handler"], "handler.*ran last"),
    "ordinary cells used": Case(using(), ALL),
    "ordinary cell edited and run, not saved": Case(
        using(changed("SCALE = 2", "SCALE = 3"), run("SCALE = 3"), run("scaled"), run("handler")),
        ALL, "`SCALE = 2` ran with another text"),
    "ordinary cell edited, saved, not run": Case(
        using(changed("SCALE = 2", "SCALE = 3"), save), ALL,
        # VS Code's file has no cell any more that says what ran.
        {"jupyterlab": "`SCALE = 3` ran with another", "vscode": "`SCALE = 3` .* not run here"}),
    "ordinary cell edited and run, what it made before is used still": Case(
        using(changed("SCALE = 2", "SCALE = 3"), run("SCALE = 3"), save), ALL,
        "`def scaled.*` ran before the cell `SCALE = 3`"),
    "ordinary cells run out of order": Case(
        using(lambda page: page.insert(5, "SCALE = 4"), save, run("SCALE = 4"), run("scaled"),
              run("SCALE = 2"), run("handler")),
        ALL, "`SCALE = 2` ran after the cell `SCALE = 4`"),
    "ordinary cell deleted, saved": Case(
        using(lambda page: page.delete("SCALE = 2"), save), ALL,
        "`SCALE` is made in cell .*, which is not saved"),
    "ordinary cell run again unchanged": Case(using(run("SCALE = 2")), ALL),
    "ordinary cell of no use edited, not run, saved": Case(
        using(lambda page: page.insert(4, "print('look')"), save), ALL),
}  # fmt: skip


@pytest.fixture(scope="module", params=[JupyterLab, VSCode], ids=lambda kind: kind.name)
def front_end(request, tmp_path_factory):
    """A page with a kernel that is connected to a worker, for all its cases."""
    folder = tmp_path_factory.mktemp(request.param.name)
    path = folder / "book.ipynb"
    environment = {"RPNB_HOME": folder / "rpnb", "XDG_STATE_HOME": folder / "state"}
    if request.param is JupyterLab:
        environment["JPY_SESSION_NAME"] = path
    page = request.param(Kernel(folder, environment), path)
    if request.param is VSCode:
        bound = f'__vsc_ipynb_file__ = "{path}"'
        page.kernel.finish(page.kernel.start(bound, silent=True, store_history=False))
    page.insert(0, CONNECT)
    page.save()
    assert page.run(page.cells[0]).error is None
    yield page
    page.kernel.close()
    _end_processes(folder / "rpnb")


@pytest.fixture
def page(front_end):
    """The page with the usual cells, all run and saved."""
    connect = front_end.find("%load_ext")
    front_end.cells = [connect, *(front_end.new(text) for text in BASE[1:])]
    front_end.deleted.clear()
    front_end.save()
    front_end.look(EMPTY)
    for cell in front_end.cells[1:]:
        assert front_end.run(cell).error is None, cell.text
    return front_end


def names(page):
    """NAME (else the kind) of each cell of the program, as the status has them."""
    rows = _ROW.findall(page.look("%runpod_status").text)
    return [name or kind for kind, name, _ in rows]


def exports(page):
    """What the kernel's export says, its bytes, and those of the command line."""
    place = page.path.with_name(f"handler_{next(_exports)}.py")
    ran = page.look(f"%runpod_export {place.name}")
    try:
        there = load(page.path, Wanted(none=True), Progress()).program.text
    except ProgramError:
        there = None
    return ran, place.read_text() if place.exists() else None, there


@pytest.mark.parametrize("case", CASES)
def test_cells_are_the_program_in_order_and_the_export_names_what_differs(page, case):
    expected = CASES[case]
    expected.do(page)
    assert names(page) == expected.of("names", page)
    ran, here, there = exports(page)
    says = expected.of("says", page)
    assert there is not None or says
    assert page.look("%runpod_program").text.strip() == (here or "").strip()
    if says:
        assert re.search(says, ran.text), ran.text
    else:
        assert (here, "not what" in ran.text) == (there, False), ran.text
    if expected.later:
        page.save()
        ran, here, there = exports(page)
        assert names(page) == expected.of("later", page)
        assert (here, "not what" in ran.text) == (there, False), ran.text
