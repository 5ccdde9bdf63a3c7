"""The documents: their links lead somewhere, and their Python is Python."""

import ast
import re
from pathlib import Path

import pytest

from rpnb.program.options import SYNTAX

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_document_links_to_files_that_exist(path):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_document_samples_parse(path):
    blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.S | re.M)
    for block in blocks:
        ast.parse(re.sub(r"^%.*$", "pass", block, flags=re.M))


def test_texts_and_documents_name_only_magics_that_exist():
    said = {
        (named(path), name)
        for path in [*DOCUMENTS, *(ROOT / "rpnb").rglob("*.py")]
        for name in re.findall(r"%(runpod_[a-z]+)\b", path.read_text(encoding="utf-8"))
    }
    assert [each for each in sorted(said) if each[1] not in SYNTAX] == []


def test_readme_names_only_make_targets_that_exist():
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.M))
    said = set()
    for path in DOCUMENTS:
        said |= set(re.findall(r"\bmake ([a-z]+)\b(?=`|   )", path.read_text(encoding="utf-8")))
    assert said <= targets
