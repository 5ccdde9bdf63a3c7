from types import SimpleNamespace

import pytest

from rpnb.jupyter.complete import completions, remote_names

NOTEBOOK = SimpleNamespace(
    tests={"fox": None, "frog": None},
    cells=[SimpleNamespace(name="model"), SimpleNamespace(name="")],
    session=SimpleNamespace(names={"pipe": "Pipe", "path": "str", "x": "int"}),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%%runpod_setup --a", ["--again"]),
        ("%%runpod_setup --again --", ["--send"]),
        ("%runpod_run f", ["fox", "frog"]),
        ("r = %runpod_run fo", ["fox"]),
        ("%%runpod_handler --input fr", ["frog"]),
        ("# %%runpod_handler --no-r", ["--no-run"]),
        ("%runpod_drop ", ["model"]),
        ("%runpod_connect l", ["local"]),
        ("print(f", []),
        ("%matplotlib --", []),
    ],
)
def test_completions_of_a_magic_line(text, expected):
    assert completions(NOTEBOOK, text) == expected


def test_remote_names_complete_in_remote_cells_only():
    assert remote_names(NOTEBOOK, "y = p", "%%runpod_remote\ny = p") == ["path", "pipe"]
    assert remote_names(NOTEBOOK, "y = p", "y = p") == []
    assert remote_names(NOTEBOOK, "y = a.p", "%%runpod_remote\ny = a.p") == []
