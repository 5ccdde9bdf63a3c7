"""read: the code cells of a notebook, or one sentence about what the file is."""

import json

import pytest

from rpnb.cli.notebook import read
from rpnb.errors import BadNotebook
from tests.cli.books import book


def test_read_counts_code_cells_only(tmp_path):
    found = read(book(tmp_path / "n.ipynb", "a = 1", "MD:# text", "b = 2"))
    assert [(cell.id, cell.label, cell.source) for cell in found.cells] == [
        ("cell-1", "cell 1", "a = 1"),
        ("cell-3", "cell 2", "b = 2"),
    ]


def test_read_knows_the_kernel_and_the_absolute_path(tmp_path, monkeypatch):
    book(tmp_path / "n.ipynb", kernel="my-env")
    monkeypatch.chdir(tmp_path)
    found = read(type(tmp_path)("n.ipynb"))
    assert (found.kernel, found.path) == ("my-env", tmp_path / "n.ipynb")


def test_read_of_an_old_notebook_without_ids_numbers_its_cells(tmp_path):
    path = book(tmp_path / "n.ipynb", "a = 1", "b = 2")
    node = json.loads(path.read_text())
    node["nbformat_minor"] = 4
    for cell in node["cells"]:
        del cell["id"]
    path.write_text(json.dumps(node))
    assert len({cell.id for cell in read(path).cells}) == 2


WRONG = {
    "empty.ipynb": ("", "it is empty"),
    "text.ipynb": ("hello", "text that is not JSON"),
    "cut.ipynb": ('{"cells": [', "cut off"),
    "list.ipynb": ("[1, 2]", "without a notebook's cells"),
    "other.ipynb": ('{"a": 1}', "without a notebook's cells|damaged"),
    "script.py": ("import os\n", "it is a Python file"),
}


@pytest.mark.parametrize("name", WRONG)
def test_read_of_something_else_says_what_it_is(tmp_path, name):
    text, said = WRONG[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(BadNotebook, match=said):
        read(tmp_path / name)


def test_read_of_a_binary_file_says_so(tmp_path):
    (tmp_path / "n.ipynb").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(BadNotebook, match="binary"):
        read(tmp_path / "n.ipynb")


def test_read_of_a_missing_file_names_its_neighbours(tmp_path):
    book(tmp_path / "quickstart.ipynb")
    with pytest.raises(BadNotebook, match=r"no notebook .*quick\.ipynb.*quickstart"):
        read(tmp_path / "quick.ipynb")


def test_read_in_a_missing_folder_names_the_folder(tmp_path):
    with pytest.raises(BadNotebook, match="there is no folder"):
        read(tmp_path / "nowhere" / "n.ipynb")


def test_read_of_a_folder_says_so(tmp_path):
    with pytest.raises(BadNotebook, match="is a folder"):
        read(tmp_path)


def test_read_of_another_language_says_which(tmp_path):
    path = book(tmp_path / "n.ipynb", language_info={"name": "R"})
    with pytest.raises(BadNotebook, match="a notebook in R"):
        read(path)
