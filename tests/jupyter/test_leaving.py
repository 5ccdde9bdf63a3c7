"""What leaves the program with its line or its cell, over a restart of the kernel, too."""

from __future__ import annotations

import sys

import nbformat
import pytest

CONNECT = "%runpod_connect local --python " + sys.executable
ENV = "%runpod_env RPNB_TEST_MODE=fast RPNB_TEST_SIZE=2"
HANDLER = """%%runpod_handler --input {} --no-form
import os
def handler(job):
    return [os.environ.get("RPNB_TEST_MODE"), os.environ.get("RPNB_TEST_SIZE")]"""
SETUP = "%%runpod_setup extra\nextra = 1"


@pytest.fixture
def save(places):
    """Save the notebook with these cells: id to text."""

    def write(**cells):
        book = nbformat.v4.new_notebook()
        book.cells = [nbformat.v4.new_code_cell(text, id=key) for key, text in cells.items()]
        nbformat.write(book, places / "book.ipynb")

    return write


def run_all(book, **cells):
    """Run the cells; return the result that the last of them left."""
    for key, text in cells.items():
        said = book.run(text, key)
        assert said.error is None, said.text
    return book.names["_result"].output


ALL = {"c1": CONNECT, "c2": ENV, "c3": HANDLER}


EDITED = {**ALL, "c2": "%runpod_env RPNB_TEST_SIZE=3"}
REST = {"c1": CONNECT, "c3": HANDLER}


@pytest.mark.parametrize("restarted", [False, True])
def test_setting_goes_with_its_word_and_with_its_cell(new_book, save, restarted):
    book = new_book()
    for cells, found in ((ALL, ["fast", "2"]), (EDITED, [None, "3"]), (REST, [None, None])):
        save(**cells)
        assert run_all(book, **cells) == found
        if restarted:
            book.run("%runpod_disconnect")
            book = new_book()


def test_setting_stays_while_its_cell_stands_unsaved_or_has_not_run_again(new_book, save):
    save(c1=CONNECT, c3=HANDLER)
    book = new_book()
    run_all(book, **ALL)
    book.run("%runpod_disconnect")
    book = new_book()
    assert run_all(book, c1=CONNECT, c3=HANDLER) == ["fast", "2"]
    save(**ALL)
    assert run_all(book, c3=HANDLER) == ["fast", "2"]


def test_setting_of_a_remote_cell_goes_with_its_line(new_book, save):
    setup = "%%runpod_setup\n%env RPNB_TEST_MODE=slow\nx = 1"
    book = new_book()
    assert run_all(book, c1=CONNECT, c2=setup, c3=HANDLER) == ["slow", None]
    book.run("%runpod_disconnect")
    book = new_book()
    edited = "%%runpod_setup\nx = 1"
    assert run_all(book, c1=CONNECT, c2=edited, c3=HANDLER) == [None, None]


@pytest.mark.parametrize("ids", [True, False])
def test_dropped_cell_does_not_come_back_with_its_worker(new_book, ids):
    texts = [CONNECT, SETUP, HANDLER]
    names = ["c1", "c2", "c3"] if ids else [None] * 3
    book = new_book()
    for text, key in zip(texts, names, strict=True):
        assert book.run(text, key).error is None
    assert "dropped" in book.run("%runpod_drop extra").line
    book.run("%runpod_disconnect")
    assert "extra" not in book.run(CONNECT).text
    assert "extra" not in book.run("%runpod_program").text
    book.run("%runpod_disconnect")
    book = new_book()
    said = book.run(CONNECT, names[0]).text
    assert "from before: handler" in said
    assert "extra = 1" not in book.run("%runpod_program").text
    # Run again it is back, and stays.
    assert book.run(SETUP, names[1]).error is None
    book.run("%runpod_disconnect")
    assert "setup extra" in new_book().run(CONNECT, names[0]).text
