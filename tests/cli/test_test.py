"""rpnb test: whole notebooks, their exit code and report."""

import xml.etree.ElementTree as ET

import pytest

from tests.cli.books import HANDLER, book
from tests.cli.shell import rpnb

pytestmark = pytest.mark.timeout(120)
CONNECT = "%load_ext rpnb\n%runpod_connect nowhere.invalid"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The workers of this test live in a folder of its own."""
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / "home"))


def test_test_passes_and_overrules_the_notebooks_target(tmp_path):
    path = book(
        tmp_path / "n.ipynb",
        CONNECT,
        "%%runpod_test t\n{'a': 1}",
        HANDLER,
        "assert _result.output == {'a': 1}",
    )
    done = rpnb("test", path, "--target", "local")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("✓ n.ipynb │ 4 cells │ ")


def test_test_of_a_notebook_that_loads_no_extension_says_so(tmp_path):
    done = rpnb("test", book(tmp_path / "n.ipynb", "%%runpod_setup\nx = 1"), "--target", "local")
    assert "not found. No cell before it says %load_ext rpnb." in done.stdout


def test_test_names_the_failing_cell_and_goes_on_to_the_next_notebook(tmp_path):
    bad = book(tmp_path / "bad.ipynb", "a = 1", "assert a == 2")
    good = book(tmp_path / "good.ipynb", "a = 1")
    done = rpnb("test", bad, good, "--junit", tmp_path / "report.xml")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "✗ bad.ipynb │ cell 2 │ AssertionError"
    assert done.stdout.splitlines()[1].startswith("✓ good.ipynb")
    suites = ET.parse(tmp_path / "report.xml").getroot()
    assert [suite.get("failures") for suite in suites] == ["1", "0"]


def test_test_does_not_depend_on_what_ran_before(tmp_path):
    sources = [
        CONNECT,
        "%%runpod_test t\n{'a': 1}",
        "%%runpod_test bad --expect-error\n{'b': 1}",
        "%%runpod_handler\ndef handler(job):\n    return job['input']['a']",
        "%runpod_run {'a': 2}\nassert _result.output == 2",
    ]
    path = book(tmp_path / "n.ipynb", *sources)
    first = rpnb("test", path, "--target", "local")
    again = rpnb("test", path, "--target", "local")
    assert (first.returncode, again.returncode) == (0, 0), again.stdout + again.stderr
    sources[3] = sources[3].replace("['a']", "['b']")
    book(path, *sources)
    assert "cell 4 │ JobFailed: KeyError: 'b'" in rpnb("test", path, "--target", "local").stdout


def test_test_of_a_failing_job_is_exit_1(tmp_path):
    path = book(
        tmp_path / "n.ipynb",
        CONNECT,
        "%%runpod_handler --input {}\ndef handler(job):\n    return job['input']['prompt']",
    )
    done = rpnb("test", path, "--target", "local")
    assert (done.returncode, "cell 2" in done.stdout) == (1, True), done.stderr


def test_test_of_a_target_that_is_not_there_is_exit_2(tmp_path):
    path = book(tmp_path / "n.ipynb", CONNECT)
    done = rpnb("test", path, "--target", "127.0.0.1:1")
    assert done.returncode == 2, done.stdout


def test_test_leaves_no_worker_behind(tmp_path):
    path = book(tmp_path / "n.ipynb", CONNECT, "%%runpod_setup\na = 1")
    assert rpnb("test", path, "--target", "local").returncode == 0
    assert rpnb("ps", "--target", "local").stdout == "local │ no workers\n"


def test_test_of_a_missing_notebook_runs_none(tmp_path):
    done = rpnb("test", book(tmp_path / "n.ipynb", "print('ran')"), tmp_path / "missing.ipynb")
    assert (done.returncode, done.stdout) == (2, "")


def test_two_cells_that_are_nearly_alike_are_two(tmp_path):
    """nbclient gives no cell ids: the saved notebook has them."""
    path = book(
        tmp_path / "alike.ipynb",
        "%load_ext rpnb\n%runpod_connect local",
        "%%runpod_setup\ndef f(x):\n    return x\n\nK = 1",
        "%%runpod_setup\ndef f(x):\n    return x\n\nK = K + 1",
        '%%runpod_handler --input {"x": 1}\ndef handler(job):\n    return K',
        "assert _result.output == 2",
    )
    done = rpnb("test", path)
    assert done.returncode == 0, done.stderr
