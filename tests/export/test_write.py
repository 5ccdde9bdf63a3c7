"""write: the files, exactly, and never over somebody's own work."""

import pytest

from rpnb.errors import ExportError, NoHandler
from rpnb.export import record
from rpnb.export.write import write
from rpnb.program.cells import Cell
from tests.export.programs import HANDLER, program


def test_write_gives_exactly_the_program_text(folder):
    text = HANDLER.replace('job["input"]', '"größer\\r"  # \u2028 é')
    write(program(text), folder / "handler.py")
    assert (folder / "handler.py").read_bytes() == text.encode()


def test_write_puts_modules_and_data_beside_the_handler(folder):
    written = write(
        program(files={"kit/words.py": b"A = 1\n", "data/w-1.pkl": b"\x80\x05\x00"}),
        folder / "out" / "handler.py",
    )
    assert (folder / "out/kit/words.py").read_bytes() == b"A = 1\n"
    assert (folder / "out/data/w-1.pkl").read_bytes() == b"\x80\x05\x00"
    assert [path.name for path in written.beside] == ["words.py", "w-1.pkl"]


def test_write_summary_counts_lines_steps_and_start(folder, monkeypatch):
    monkeypatch.chdir(folder)
    setups = tuple(Cell(f"s{n}", "setup", "", f"cell {n}", "x = 1", 2) for n in (1, 2))
    written = write(program(setups=setups), folder / "handler.py")
    assert written.summary == "wrote handler.py (8 lines, 2 set-up steps, handler, start)"


def test_write_summary_names_the_file_as_one_would_type_it(folder, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(folder)
    assert write(program(), folder / "out" / "h.py").summary.startswith("wrote out/h.py (")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "h.py"
    assert write(program(), elsewhere).summary.startswith(f"wrote {elsewhere} (")


def test_write_again_changes_nothing_and_says_so(folder):
    write(program(), folder / "handler.py")
    before = (folder / "handler.py").stat().st_mtime_ns
    again = write(program(), folder / "handler.py")
    assert again.same
    assert (folder / "handler.py").stat().st_mtime_ns == before


def test_write_replaces_its_own_earlier_export(folder):
    write(program(), folder / "handler.py")
    write(program(HANDLER + "# more\n"), folder / "handler.py")
    assert (folder / "handler.py").read_text().endswith("# more\n")


def test_write_over_hand_edit_is_refused_without_force(folder):
    path = folder / "handler.py"
    write(program(), path)
    path.write_text("# mine\n")
    with pytest.raises(ExportError, match="edited since the last export.*--force"):
        write(program(), path)
    assert path.read_text() == "# mine\n"


def test_write_over_foreign_file_is_refused_without_force(folder):
    path = folder / "handler.py"
    path.write_text("# somebody else's\n")
    with pytest.raises(ExportError, match="not written by rpnb"):
        write(program(), path)


def test_write_with_force_overwrites_both(folder):
    path = folder / "handler.py"
    path.write_text("# mine\n")
    write(program(), path, force=True)
    assert path.read_text() == HANDLER


def test_write_over_equal_foreign_file_needs_no_force(folder):
    path = folder / "handler.py"
    path.write_text(HANDLER)
    assert write(program(), path).same


def test_write_refused_for_one_file_writes_none(folder):
    (folder / "kit.py").write_text("# my own module\n")
    with pytest.raises(ExportError, match=r"kit\.py"):
        write(program(files={"kit.py": b"X = 1\n"}), folder / "handler.py")
    assert not (folder / "handler.py").exists()


def test_write_leaves_no_draft_behind(folder):
    write(program(), folder / "handler.py")
    assert [path.name for path in folder.iterdir()] == ["handler.py"]


def test_write_keeps_the_mode_of_an_existing_file(folder):
    path = folder / "handler.py"
    write(program(), path)
    path.chmod(0o755)
    write(program(HANDLER + "# more\n"), path)
    assert path.stat().st_mode & 0o777 == 0o755


def test_write_through_a_symlink_keeps_the_link(folder):
    (folder / "real.py").write_text(HANDLER)
    (folder / "handler.py").symlink_to("real.py")
    write(program(HANDLER + "# more\n"), folder / "handler.py", force=True)
    assert (folder / "handler.py").is_symlink()
    assert (folder / "real.py").read_text().endswith("# more\n")


def test_write_into_a_folder_names_the_file_to_write(folder):
    with pytest.raises(ExportError, match=r"is a folder: name the file, such as .*handler\.py"):
        write(program(), folder)


@pytest.mark.parametrize("name", ["../outside.py", "/etc/passwd", ""])
def test_write_outside_the_folder_is_refused(folder, name):
    with pytest.raises(ExportError, match="outside"):
        write(program(files={name: b""}), folder / "handler.py", force=True)


def test_write_over_a_module_of_the_program_is_refused(folder):
    with pytest.raises(ExportError, match="another name"):
        write(program(files={"handler.py": b"X = 1\n"}), folder / "handler.py", force=True)


def test_write_without_handler_is_refused(folder):
    with pytest.raises(NoHandler, match="no handler yet"):
        write(program("x = 1\n", handler=""), folder / "handler.py")


def test_write_of_cells_not_in_the_notebook_needs_force(folder):
    with pytest.raises(ExportError, match=r"cell 4 ran but is not in the notebook.*--force"):
        write(program(), folder / "handler.py", strays=["cell 4"])
    assert write(program(), folder / "handler.py", strays=["cell 4"], force=True).lines == 8


def test_write_of_a_value_that_is_not_here_says_where_it_is(folder):
    adopted = program(files={"data/w-1.pkl": b"1"})
    adopted.blobs.clear()
    with pytest.raises(ExportError, match="only on the target"):
        write(adopted, folder / "handler.py")


def test_write_where_nothing_may_be_written_is_a_sentence(folder):
    (folder / "file").write_text("")
    with pytest.raises(ExportError, match="cannot (read|write)"):
        write(program(), folder / "file" / "handler.py")


def test_write_without_a_place_for_its_memory_still_writes(folder, monkeypatch):
    (folder / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "file"))
    write(program(), folder / "handler.py")
    assert (folder / "handler.py").is_file()


def test_damaged_memory_only_makes_it_careful(folder, state):
    write(program(), folder / "handler.py")
    record.place().write_text("{damaged")
    with pytest.raises(ExportError, match="--force"):
        write(program(HANDLER + "# more\n"), folder / "handler.py")


def test_memory_holds_digests_and_no_text(folder):
    write(program('SECRET = "hunter2"\n' + HANDLER), folder / "handler.py")
    assert "hunter2" not in record.place().read_text()
    assert list(record.remembered()) == [str(folder / "handler.py")]


def test_write_names_the_settings_that_the_file_does_not_hold(folder):
    written = write(program(env={"MODEL": "xl"}), folder / "handler.py")
    assert written.summary.endswith(" │ needs MODEL=xl set where it runs")
