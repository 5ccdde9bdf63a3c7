"""rpnb export: the file, the check for CI, the proof; and their exit codes."""

import pytest

from tests.cli.books import HANDLER, book
from tests.cli.shell import rpnb

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """The export's memory is this test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def notebook(tmp_path):
    """A notebook with set-up, an ordinary cell that is captured, a test and a handler."""
    (tmp_path / "project").mkdir()
    return book(
        tmp_path / "project" / "n.ipynb",
        "def twice(value):\n    return 2 * value",
        "%%runpod_setup\nbase = 10",
        "%%runpod_test t\n[{'n': 1}, {'n': 2}]",
        '%%runpod_handler\ndef handler(job):\n    return base + twice(job["input"]["n"])',
    )


def test_export_writes_beside_the_notebook_by_default(notebook):
    done = rpnb("export", notebook, cwd=notebook.parents[1])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("wrote project/handler.py (")
    assert "1 set-up step, handler, start)" in done.stdout
    assert "def twice(value):\n    return 2 * value\n" in (
        notebook.parent / "handler.py"
    ).read_text(encoding="utf-8")


def test_export_again_is_the_same_and_says_so(notebook):
    rpnb("export", notebook)
    done = rpnb("export", notebook)
    assert (done.returncode, done.stdout.split(":")[0]) == (0, "unchanged")


def test_export_writes_where_it_is_told(notebook, tmp_path):
    assert rpnb("export", notebook, "-o", tmp_path / "out" / "worker.py").returncode == 0
    assert (tmp_path / "out" / "worker.py").is_file()


def test_export_over_a_hand_edit_needs_force(notebook):
    rpnb("export", notebook)
    (notebook.parent / "handler.py").write_text("# mine\n")
    refused = rpnb("export", notebook)
    assert (refused.returncode, "--force" in refused.stderr) == (2, True)
    assert rpnb("export", notebook, "--force").returncode == 0


def test_export_check_is_silent_where_the_file_is_current(notebook):
    rpnb("export", notebook)
    done = rpnb("export", notebook, "--check")
    assert (done.returncode, done.stdout) == (0, "")


def test_export_check_prints_a_diff_and_writes_nothing(notebook):
    rpnb("export", notebook)
    path = notebook.parent / "handler.py"
    path.write_text(path.read_text().replace("base = 10", "base = 11"))
    done = rpnb("export", notebook, "--check")
    assert done.returncode == 1
    assert "-base = 11\n+base = 10\n" in done.stdout
    assert "base = 11" in path.read_text()


def test_export_check_of_a_program_that_cannot_be_built_is_exit_2(tmp_path):
    path = book(tmp_path / "n.ipynb", "%%runpod_handler\ndef handler(job):\n    return nowhere")
    done = rpnb("export", path, "--check")
    assert (done.returncode, "nowhere" in done.stderr) == (2, True)


def test_export_of_top_level_await_says_what_to_write(tmp_path):
    path = book(
        tmp_path / "n.ipynb", "%%runpod_setup\nimport asyncio\nawait asyncio.sleep(0)", HANDLER
    )
    done = rpnb("export", path)
    assert done.returncode == 2
    assert "cell 1, line 3 awaits at top level" in done.stderr


def test_export_verify_proves_the_file(notebook, target):
    done = rpnb("export", notebook, "--verify", "--target", target.text)
    assert done.returncode == 0, done.stderr
    proof = done.stdout.splitlines()[1]
    assert proof.startswith("verified: 2 of 2 recorded jobs equal in a fresh process (cold start ")


def test_export_verify_shows_what_differs(tmp_path, monkeypatch):
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / "home"))
    path = book(
        tmp_path / "n.ipynb",
        "%%runpod_setup\nimport uuid\nmark = uuid.uuid4().hex",
        "%%runpod_handler --input 1 --input 2\ndef handler(job):\n"
        '    return {"mark": mark if job["input"] == 2 else ""}',
    )
    done = rpnb("export", path, "--verify", "--target", "local")
    assert done.returncode == 1
    assert "not proved: 1 of 2 recorded jobs equal" in done.stdout
    assert ": output.mark: " in done.stdout


def test_export_verify_without_inputs_says_what_to_add(tmp_path):
    done = rpnb("export", book(tmp_path / "n.ipynb", HANDLER), "--verify", "--target", "local")
    assert (done.returncode, "--input" in done.stderr) == (2, True)
