"""execute: a whole notebook in a real kernel, and which cell ended it."""

import xml.etree.ElementTree as ET

import pytest

from rpnb.cli import headless, junit
from rpnb.cli.notebook import read
from rpnb.cli.progress import Progress
from tests.cli.books import book


def outcome(tmp_path, *sources, settings=None, **metadata):
    notebook = read(book(tmp_path / "n.ipynb", *sources, **metadata))
    return headless.execute(notebook, settings or {}, Progress())


def test_execute_passes_where_every_cell_does(tmp_path):
    found = outcome(tmp_path, "a = 1", "MD:# text", "", "assert a == 1")
    assert found.failed is None
    assert all(each.seconds is not None for each in found.cells)


def test_execute_names_the_cell_that_raised_and_stops_there(tmp_path):
    found = outcome(tmp_path, "a = 1", "MD:# text", "a / 0", "b = 2")
    assert (found.failed.cell.label, found.failed.kind) == ("cell 2", "ZeroDivisionError")
    assert found.failed.error == "ZeroDivisionError: division by zero"
    assert "----> 1 a / 0" in found.failed.traceback
    assert found.cells[2].seconds is None


def test_execute_notices_an_error_that_ipython_prints_to_stderr(tmp_path):
    found = outcome(tmp_path, "%no_such_magic")
    assert found.failed.kind == "UsageError"


def test_execute_lets_a_tagged_cell_raise(tmp_path):
    path = book(tmp_path / "n.ipynb", "1 / 0", "a = 1")
    notebook = read(path)
    notebook.node.cells[0].metadata["tags"] = ["raises-exception"]
    assert headless.execute(notebook, {}, Progress()).failed is None


def test_execute_of_a_kernel_that_dies_fails_in_that_cell(tmp_path):
    found = outcome(tmp_path, "a = 1", "import os; os._exit(3)")
    assert (found.failed.cell.label, found.failed.error) == ("cell 2", "the kernel died")


def test_execute_is_headless_in_the_notebooks_folder_and_knows_its_path(tmp_path):
    check = (
        "import os\nassert os.environ['RPNB_HEADLESS'] == '1'\n"
        f"assert os.environ['JPY_SESSION_NAME'] == {str(tmp_path / 'n.ipynb')!r}\n"
        f"assert os.getcwd() == {str(tmp_path)!r}\nassert os.environ['RPNB_TARGET'] == 'there'"
    )
    assert outcome(tmp_path, check, settings={"RPNB_TARGET": "there"}).failed is None


def test_execute_falls_back_to_this_python_for_an_unknown_kernel(tmp_path):
    assert outcome(tmp_path, "a = 1", kernel="somebody-elses-env").failed is None


@pytest.mark.parametrize(
    ("error", "unreached"), [("CannotReach", True), ("NoHandler", True), ("JobFailed", False)]
)
def test_outcome_knows_an_error_of_reaching_from_one_of_running(tmp_path, error, unreached):
    found = outcome(tmp_path, f"from rpnb import errors\nraise errors.{error}('why')")
    assert found.unreached is unreached


def test_junit_has_a_case_for_each_cell(tmp_path):
    found = outcome(tmp_path, "a = 1", "raise ValueError('\\x1b[0m<&>')", "b = 2")
    junit.write([found], tmp_path / "out" / "report.xml")
    suite = ET.parse(tmp_path / "out" / "report.xml").getroot()[0]
    assert {key: suite.get(key) for key in ("name", "tests", "failures", "skipped")} == {
        "name": "n.ipynb",
        "tests": "3",
        "failures": "1",
        "skipped": "1",
    }
    failure = suite[1][0]
    assert (failure.tag, failure.get("type")) == ("failure", "ValueError")
    assert failure.get("message").startswith("ValueError: ")


def test_junit_holds_text_that_xml_cannot(tmp_path):
    found = outcome(tmp_path, "raise ValueError('\\x00\\x08')")
    junit.write([found], tmp_path / "report.xml")
    assert "ValueError: ��" in ET.parse(tmp_path / "report.xml").getroot()[0][0][0].get("message")
