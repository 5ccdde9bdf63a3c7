import stat

from rpnb.jupyter.memory import Memory, for_worker, worker_of_renamed


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


def test_renamed_notebook_finds_its_worker_a_copy_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    old = tmp_path / "old.ipynb"
    old.write_text("{}")
    for_worker("old-1").keep(path=str(old), cells=["a", "b", "c"])
    assert worker_of_renamed("new-2", ["a", "b", "d"]) is None
    old.unlink()
    assert worker_of_renamed("new-2", ["a", "b", "d"]) == "old-1"
    assert worker_of_renamed("new-2", ["x"]) is None
    for_worker("new-2").keep(target="local")
    assert worker_of_renamed("new-2", ["a", "b"]) is None
