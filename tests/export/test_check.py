"""check: a unified diff of what an export would change."""

import pytest

from rpnb.errors import ExportError
from rpnb.export.check import check
from rpnb.export.write import write
from tests.export.programs import HANDLER, program


def test_check_after_write_finds_nothing(folder):
    both = program(files={"kit.py": b"X = 1\n", "data/v.pkl": b"\x80\x00"})
    write(both, folder / "handler.py")
    assert check(both, folder / "handler.py") == ""


def test_check_shows_the_change_as_a_unified_diff(folder):
    (folder / "handler.py").write_text(HANDLER)
    changed = program(HANDLER.replace('job["input"]', "None"))
    found = check(changed, folder / "handler.py")
    assert found.startswith("--- a/handler.py\n+++ b/handler.py\n@@")
    assert '-    return job["input"]\n+    return None\n' in found


def test_check_of_a_missing_file_adds_every_line(folder):
    found = check(program(), folder / "handler.py")
    assert found.startswith("--- /dev/null\n")
    assert found.count("\n+") == HANDLER.count("\n") + 1


def test_check_looks_at_the_files_beside_it(folder):
    (folder / "handler.py").write_text(HANDLER)
    (folder / "kit.py").write_text("X = 1\n")
    found = check(
        program(files={"kit.py": b"X = 2\n", "v.pkl": b"\x80\xff"}), folder / "handler.py"
    )
    assert "-X = 1\n+X = 2\n" in found
    assert "Binary files a/v.pkl and b/v.pkl differ\n" in found


def test_check_shows_a_missing_last_newline(folder):
    (folder / "handler.py").write_text(HANDLER.rstrip("\n"))
    assert "\\ No newline at end of file\n" in check(program(), folder / "handler.py")


def test_check_shows_changed_line_ends(folder):
    (folder / "handler.py").write_bytes(HANDLER.replace("\n", "\r\n").encode())
    assert check(program(), folder / "handler.py") != ""


def test_check_writes_nothing(folder):
    check(program(), folder / "handler.py")
    assert list(folder.iterdir()) == []


def test_check_of_what_cannot_be_exported_is_an_error(folder):
    with pytest.raises(ExportError, match="awaits"):
        check(program("x = await y\n" + HANDLER), folder / "handler.py")
