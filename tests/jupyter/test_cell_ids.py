from types import SimpleNamespace

from rpnb.jupyter import cell_ids


def shell(**metadata):
    return SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda: {"metadata": metadata}))


def test_current_id_comes_from_the_front_end():
    assert cell_ids.current(shell(cellId="abc")) == "abc"


def test_current_id_comes_from_ipython_where_no_kernel_is():
    assert cell_ids.current(SimpleNamespace(), SimpleNamespace(cell_id="c7")) == "c7"


def test_current_id_unknown_is_none():
    assert cell_ids.current(shell()) is None


def test_deleted_ids_are_read():
    assert cell_ids.deleted(shell(deletedCells=["a", 3])) == ["a"]
    assert cell_ids.deleted(SimpleNamespace()) == []


def test_notebook_path_of_each_front_end(monkeypatch, tmp_path):
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "a.ipynb"))
    assert cell_ids.notebook_path({}) == tmp_path / "a.ipynb"
    assert cell_ids.notebook_path({"__vsc_ipynb_file__": "/w/b.ipynb"}).name == "b.ipynb"


def test_notebook_path_of_a_console_is_none(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "3f1c-console")
    assert cell_ids.notebook_path({}) is None


def test_vs_codes_ids_are_addresses_of_the_window():
    assert cell_ids.is_address("vscode-notebook-cell:/w/b.ipynb#W2sZmlsZQ%3D%3D")
    assert not cell_ids.is_address("8f2c01aa")
