import stat

import pytest

from rpnb.jupyter.memory import Memory, for_worker, worker_of


def test_memory_last_input_survives_a_restart(tmp_path):
    Memory(tmp_path / "a.json").keep(input={"prompt": "fox"}, target="my-gpu")
    again = Memory(tmp_path / "a.json")
    assert again.last_input == (True, {"prompt": "fox"})
    assert again.target == "my-gpu"


def test_memory_without_anything_has_no_input(tmp_path):
    assert Memory(tmp_path / "a.json").last_input == (False, None)


def test_memory_file_is_private(tmp_path):
    Memory(tmp_path / "a.json").keep(target="local")
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o600


def test_memory_huge_input_stays_off_the_disk(tmp_path):
    memory = Memory(tmp_path / "a.json")
    memory.keep(input="x" * 40_000_000)
    assert memory.last_input[0]
    assert not Memory(tmp_path / "a.json").last_input[0]


def test_memory_damaged_file_is_like_none(tmp_path):
    (tmp_path / "a.json").write_text("{")
    assert Memory(tmp_path / "a.json").target is None


def test_memory_unwritable_folder_costs_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    memory = Memory(tmp_path / "file" / "a.json")
    memory.keep(target="local")
    assert memory.target == "local"


def test_memory_remembers_seen_requests(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for_worker("w").saw("abc")
    assert for_worker("w").has_seen("abc")
    assert not for_worker("other").has_seen("abc")


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """Make a notebook's file; with a worker's name, one that is remembered with these cells."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def make(name, worker=None, cells="abc"):
        path = tmp_path / name
        path.write_text("{}")
        if worker:
            for_worker(worker).keep(path=str(path), cells=list(cells))
        return path

    return make


def test_new_notebook_has_the_worker_of_its_path(notebook):
    assert worker_of(notebook("new.ipynb"), "new-1", []) == "new-1"


def test_renamed_notebook_finds_its_worker_by_its_cells_and_keeps_it(notebook):
    notebook("old.ipynb", "old-1").unlink()
    new = notebook("new.ipynb")
    assert worker_of(new, "new-2", ["x"]) == "new-2"
    assert worker_of(new, "new-2", ["a", "b", "d"]) == "old-1"
    for_worker("old-1").keep(path=str(new))
    assert worker_of(new, "new-2", []) == "old-1"


def test_copied_notebook_has_another_worker(notebook):
    notebook("old.ipynb", "old-1")
    assert worker_of(notebook("copy.ipynb"), "copy-2", ["a", "b", "c"]) == "copy-2"


def test_notebook_that_gets_the_old_name_of_another_has_another_worker(notebook):
    notebook("renamed.ipynb", "book-1")
    book = notebook("book.ipynb")
    assert worker_of(book, "book-1", ["x"]) == "book-1-2"
    for_worker("book-1-2").keep(path=str(book))
    assert worker_of(book, "book-1", ["x"]) == "book-1-2"
