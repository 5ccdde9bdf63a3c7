"""Whether a module has a name is told from its text, or not at all."""

from __future__ import annotations

import json
import sys
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.protocol.defined import defines

FILES = {
    "plain.py": "class Book: pass\nMap, Atlas = Book, None\nfrom os import path as ways\n",
    "shelf/__init__.py": "",
    "shelf/books.py": "class Book: pass\n",
    "shelf/stars.py": "from .books import *\n",
    "shelf/lazy.py": "def __getattr__(name): ...\n",
    "shelf/made.py": "globals().update(Book=1)\n",
    "moves/__init__.py": "import sys\nsys.modules['moves.away'] = sys\n",
    "moves/near.py": "Book = 1\n",
    "many/books.py": "Book = 1\n",
    "broken.py": b"# coding: utf-8\nBook = '\xff'\n",
}
CASES = {
    "plain:Book": True,
    "plain:Map": True,
    "plain:ways": True,
    "plain:Boo": False,
    "plain.inner:Book": None,
    "shelf.books:Book": True,
    "shelf.books:Map": False,
    "shelf.gone:Book": False,
    "shelf.gone.deeper:Book": False,
    "shelf.stars:Map": None,
    "shelf.lazy:Map": None,
    "shelf.made:Map": None,
    "moves.near:Book": True,
    "moves.near:Map": False,
    "moves.away:Map": None,
    "many.books:Book": None,
    "broken:Map": None,
    "nowhere:Book": None,
    "_json:scanner": None,
    "sys:path": None,
    "a b:c": None,
    ":": None,
    ".relative:x": None,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("path")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder)


@pytest.mark.parametrize("wanted", CASES)
def test_name_is_there_or_not_or_nobody_can_tell(folder, wanted):
    module, _, name = wanted.partition(":")
    before = set(sys.modules)
    assert defines(module, name, [folder]) is CASES[wanted]
    assert set(sys.modules) == before, "nothing is imported"


def test_archive_is_looked_into_as_well(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("shelf/__init__.py", "")
        archive.writestr("shelf/books.py", "class Book: pass\n")
    path = [str(tmp_path / "a.zip")]
    assert defines("shelf.books", "Book", path) is True
    assert defines("shelf.books", "Map", path) is False


# What the import system binds.
MADE = {name for name in vars(json.decoder) if name.startswith("__")}


@given(st.sampled_from(sorted(set(vars(json.decoder)) - MADE)))
def test_what_a_module_of_this_python_has_is_never_denied(name):
    assert defines("json.decoder", name, sys.path) is not False
