"""sort: which cells run on the target, which here, and what the magics' lines ask for."""

import pytest

from rpnb.cli.notebook import read
from rpnb.cli.parts import secret_values, sort
from rpnb.errors import BadInput
from tests.cli.books import HANDLER, book


def parts(tmp_path, *sources):
    return sort(read(book(tmp_path / "n.ipynb", *sources)))


def test_sort_tells_remote_from_local_cells(tmp_path):
    found = parts(tmp_path, "a = 1", "%%runpod_setup model\nm = 1", "%%runpod_remote\nm", HANDLER)
    assert [(cell.kind, cell.name, cell.label) for cell in found.remote] == [
        ("setup", "model", "cell 2"),
        ("handler", "", "cell 4"),
    ]
    assert [each.text for each in found.local] == ["a = 1"]


def test_sort_reads_comment_cells_alike(tmp_path):
    found = parts(tmp_path, "# %%runpod_setup\nm = 1", "# %%runpod_test one\n{}")
    assert [cell.source for cell in found.remote] == ["m = 1"]
    assert [test.test for test in found.tests] == ["one"]


def test_sort_keeps_the_handlers_inputs_as_typed(tmp_path):
    line = '%%runpod_handler --input {"a": [1, 2]} --input one --input-file in.json'
    found = parts(tmp_path, f"{line}\ndef handler(job): ...")
    assert found.inputs == ('{"a": [1, 2]}', "one")
    assert found.input_files == (tmp_path / "in.json",)


def test_sort_reads_settings_and_the_names_of_secrets(tmp_path):
    found = parts(tmp_path, "%runpod_env MODE=fast HF_TOKEN\nx = 1")
    assert found.env == {"MODE": "fast"}
    assert found.secrets == ("HF_TOKEN",)


def test_sort_names_the_cell_of_a_line_it_cannot_read(tmp_path):
    with pytest.raises(BadInput, match="cell 2: %runpod_setup knows no --agan"):
        parts(tmp_path, "a = 1", "%%runpod_setup --agan\nm = 1")


def test_secret_values_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "t")
    assert secret_values(["HF_TOKEN"]) == {"HF_TOKEN": "t"}


def test_secret_that_is_not_there_is_named(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(BadInput, match="HF_TOKEN.*export HF_TOKEN"):
        secret_values(["HF_TOKEN"])
