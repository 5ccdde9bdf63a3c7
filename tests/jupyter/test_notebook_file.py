"""The notebook and its worker over restarts, renames, copies and other ways to execute it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from rpnb.cli.progress import Progress
from rpnb.cli.source import Wanted, load
from tests.conftest import _end_processes
from tests.jupyter.front_ends import JupyterLab, VSCode
from tests.jupyter.kernels import Kernel

CONNECT = f"%load_ext rpnb\n%runpod_connect local --python {sys.executable}"
SETUP = "%%runpod_setup model\nimport os\nborn = os.getpid()"
LATER = "%%runpod_setup\nlater = [born, 1]"
HANDLER = "%%runpod_handler --no-form --input {}\ndef handler(job):\n    return born == later[0]"


@pytest.fixture
def opened(tmp_path):
    """Open a notebook of this folder in a front end, with a kernel of its own."""
    pages = []

    def open_in(front_end, name="book.ipynb", texts=(CONNECT, SETUP, LATER, HANDLER)):
        path = tmp_path / name
        environment = {"RPNB_HOME": tmp_path / "rpnb", "XDG_STATE_HOME": tmp_path / "state"}
        if front_end is JupyterLab:
            environment["JPY_SESSION_NAME"] = path
        page = front_end(Kernel(tmp_path, environment), path)
        pages.append(page)
        if front_end is VSCode:
            bind_path(page)
        if path.exists():
            page.reopened()
        else:
            page.cells = [page.new(text) for text in texts]
            page.save()
        return page

    yield open_in
    for page in pages:
        page.kernel.close()
    _end_processes(tmp_path / "rpnb")


def bind_path(page):
    bound = f'__vsc_ipynb_file__ = "{page.path}"'
    page.kernel.finish(page.kernel.start(bound, silent=True, store_history=False))


def restart(page):
    """Restart the kernel, as the front end's button does; the page stays."""
    page.kernel.manager.restart_kernel(now=True)
    page.kernel.client.wait_for_ready(timeout=60)
    if isinstance(page, VSCode):
        bind_path(page)


def rows(page):
    """The status' rows: what each cell is and how it is, without the cell's number."""
    lines = page.look("%runpod_status").text.splitlines()[1:]
    return [re.sub(r"^cell \d+ +", "", line).strip() for line in lines if "%%runpod" in line]


def states(page):
    """NAME or kind of each row, and its state."""
    words = [re.split(r" {2,}", row) for row in rows(page)]
    return [(each[0].removeprefix("%%runpod_"), each[1]) for each in words]


RAN = [("setup model", "ran"), ("setup", "ran"), ("handler", "ran")]
BEFORE = [(what, "from before") for what, _ in RAN]


@pytest.mark.parametrize("front_end", [JupyterLab, VSCode])
def test_restart_and_run_all_finds_every_cell_and_runs_none_again(opened, front_end):
    page = opened(front_end)
    page.run_all()
    assert states(page) == RAN
    restart(page)
    said = page.run(page.cells[0]).text
    assert "worker was warm │ from before: setup model, setup, handler" in said
    assert states(page) == BEFORE
    ran = [each.text for each in page.run_all()[1:]]
    assert [("unchanged" in text, "true" in text) for text in ran] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert states(page) == RAN


@pytest.mark.slow  # two kernels
def test_cell_edited_while_the_kernel_was_away_replaces_its_earlier_version(opened):
    first = opened(VSCode)
    first.run_all()
    first.kernel.close()
    # A cell above moves VS Code's numbers; neither edit is saved.
    page = opened(VSCode)
    page.insert(1, "import json")
    page.find("later").text = LATER.replace("1]", "2]")
    page.find("getpid").text = SETUP + "\nmore = 1"
    page.run(page.find("%load_ext"))
    assert "from before" in rows(page)[0]
    page.run("more = 1")
    page.run("later")
    page.run("handler")
    assert states(page) == RAN


@pytest.mark.slow  # four kernels
def test_renamed_notebook_keeps_its_worker_and_its_old_name_gets_another(opened, tmp_path):
    page = opened(JupyterLab)
    page.run_all()
    page.path = page.path.rename(tmp_path / "renamed.ipynb")
    # The kernel still has the old name: order and deletions come from the new file.
    page.delete("later")
    page.find("return born").text = HANDLER.replace("later[0]", "born")
    page.run("return born")
    page.save()
    assert states(page) == [RAN[0], RAN[2]]
    page.kernel.close()
    again = opened(JupyterLab, "renamed.ipynb")
    assert "from before: setup model, handler" in again.run(again.cells[0]).text
    other = opened(JupyterLab, "book.ipynb")
    assert "from before" not in other.run(other.cells[0]).text
    third = opened(JupyterLab, "renamed.ipynb")
    assert "from before: setup model, handler" in third.run(third.cells[0]).text


@pytest.mark.slow  # two kernels
def test_copied_notebook_has_a_worker_of_its_own(opened, tmp_path):
    page = opened(JupyterLab)
    page.run_all()
    shutil.copy(page.path, tmp_path / "copy.ipynb")
    copy = opened(JupyterLab, "copy.ipynb")
    assert "from before" not in copy.run(copy.cells[0]).text
    assert states(page) == RAN


@pytest.mark.slow  # two kernels
def test_cell_from_before_that_the_notebook_lacks_is_named_and_not_exported(opened, tmp_path):
    page = opened(JupyterLab)
    page.run_all()
    page.run(page.insert(2, "%%runpod_setup unsaved\nnever = 1"))
    page.kernel.close()
    # Closed without saving.
    page = opened(JupyterLab)
    page.run(page.cells[0])
    assert "not in the notebook" in next(row for row in rows(page) if "unsaved" in row)
    ran = page.look("%runpod_export")
    assert ran.error["ename"] == "ExportError"
    assert "(setup unsaved) ran but is not in the notebook" in ran.error["evalue"]
    assert not (tmp_path / "handler.py").exists()
    page.look("%runpod_export --force")
    assert "never = 1" in (tmp_path / "handler.py").read_text()
    page.look("%runpod_drop unsaved")
    assert page.look("%runpod_export").error is None
    assert "never = 1" not in (tmp_path / "handler.py").read_text()


@pytest.mark.slow  # two kernels
def test_notebook_opened_in_another_front_end_finds_its_cells(opened):
    page = opened(VSCode)
    page.run_all()
    page.kernel.close()
    page = opened(JupyterLab)
    page.run(page.cells[0])
    ran = [page.run(cell).text for cell in page.cells[1:3]]
    assert ["unchanged" in text for text in ran] == [True, True]
    page.run("handler")
    assert states(page) == RAN


PLAIN = "%%runpod_setup\npipe = {'steps': []}"
STEPS = ["%%runpod_setup\npipe['steps'].append('a')", "%%runpod_setup\npipe['steps'].append('b')"]
EXECUTE = """\
import sys, nbclient, nbformat
nb = nbformat.read(sys.argv[1], as_version=4)
for text in sys.argv[2:]:
    nb.cells.append(nbformat.v4.new_code_cell(text))
nbclient.NotebookClient(nb, timeout=60).execute()
print("".join(o.get("text", "") or o.get("data", {}).get("text/plain", "")
              for cell in nb.cells for o in cell.get("outputs", [])))
"""


def execute(path, *more, **environment):
    """Execute a notebook with nbclient in a process of its own; return what its cells show."""
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(path), *more],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        cwd=path.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def executed(tmp_path):
    """Write a notebook and execute it with nbclient; `shows` has what its cells show."""

    def run(*texts, name="book.ipynb", more=("%runpod_export kernel.py", "%runpod_stop")):
        page = JupyterLab(None, tmp_path / name)
        page.cells = [page.new(text) for text in texts]
        page.save()
        places = {"RPNB_HOME": str(tmp_path / "rpnb"), "XDG_STATE_HOME": str(tmp_path / "state")}
        return page, execute(page.path, *more, **places)

    yield run
    _end_processes(tmp_path / "rpnb")


@pytest.mark.slow  # a kernel in a process of its own
def test_nbclient_exports_what_the_command_line_does_and_alike_cells_are_two(executed, tmp_path):
    handler = HANDLER.replace("born == later[0]", "pipe")
    page, shows = executed(CONNECT, PLAIN, *STEPS, STEPS[1], handler)
    assert '{"steps": ["a", "b", "b"]}' in shows
    there = load(page.path, Wanted(none=True), Progress()).program.text
    assert (tmp_path / "kernel.py").read_text() == there


@pytest.mark.slow  # a kernel in a process of its own
def test_parameters_that_papermill_injects_are_what_the_program_has(executed, tmp_path):
    """papermill gives no ids and no path, and puts a cell below the one tagged `parameters`."""
    handler = HANDLER.replace("born == later[0]", "size")
    executed(CONNECT, "size = 1", "# Parameters\nsize = 4", handler)
    assert "size = 4" in (tmp_path / "kernel.py").read_text()


@pytest.mark.slow  # two kernels, one in a process of its own
def test_notebook_executed_from_another_one_is_not_that_one(opened, executed, tmp_path):
    page = opened(JupyterLab, "outer.ipynb")
    page.run_all()
    inner, _ = executed(CONNECT, more=())
    script = json.dumps(EXECUTE)
    ran = page.run(
        page.new(
            f"import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', {script}, "
            f"{str(inner.path)!r}, '%runpod_status', '%runpod_stop'], capture_output=True, "
            "text=True, check=True).stdout)"
        )
    )
    assert "worker ipython-" in ran.text
    assert states(page) == RAN


def test_terminal_takes_a_cell_typed_again_for_the_same(connected):
    connected.run("%%runpod_setup model\nm = {'size': 1, 'kind': 'a'}")
    connected.run("%%runpod_setup\nn = {'size': 1, 'kind': 'a'}")
    connected.run("%%runpod_setup\nn = {'size': 2, 'kind': 'a'}")
    connected.run("%%runpod_setup model\nm = 3")
    connected.run("%%runpod_setup\nm += 1")
    program = connected.run("%runpod_program").text.strip()
    assert program.endswith("m = 3\n\nn = {'size': 2, 'kind': 'a'}\n\nm += 1")
