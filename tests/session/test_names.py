from rpnb.session.names import new_name, worker_name


def test_same_file_has_the_same_worker(tmp_path):
    assert worker_name(tmp_path / "a.ipynb") == worker_name(str(tmp_path / "." / "a.ipynb"))


def test_copy_of_a_notebook_has_a_worker_of_its_own(tmp_path):
    assert worker_name(tmp_path / "a.ipynb") != worker_name(tmp_path / "copy" / "a.ipynb")


def test_name_is_safe_as_a_directory_whatever_the_file_is_called(tmp_path):
    name = worker_name(tmp_path / "мой нотебук; rm -rf ~ $(x).ipynb")
    assert all(c.isascii() and (c.isalnum() or c in "-_") for c in name)


def test_new_names_differ():
    assert new_name("python") != new_name("python")
