"""The run directory: where files lie, locks, and what a full disk says."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rpnb.agent import directory as directories
from rpnb.agent.directory import RunDirectory, Settings, hold, is_locked, root, worker_path
from rpnb.errors import CannotPrepare, NoSpace, TargetError
from tests.agent.agents import until

HOLDER = """
import sys, time
from pathlib import Path
from rpnb.agent.directory import hold
held = hold(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def directory(tmp_path):
    directory = RunDirectory(tmp_path / "run" / "w")
    directory.create()
    return directory


def test_create_makes_a_private_folder(directory):
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    assert directory.app.is_dir() and directory.out.exists() and directory.values.is_dir()


def test_create_makes_nothing_for_others_whatever_the_umask(tmp_path):
    mask = os.umask(0)
    try:
        made = RunDirectory(tmp_path / "home" / "run" / "w")
        made.create()
    finally:
        os.umask(mask)
    folders = [made.path.parent, made.path, made.app, made.values]
    files = [path for path in made.path.iterdir() if path.is_file()]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    assert not any(stat.S_IMODE(file.stat().st_mode) & 0o077 for file in files), files


def test_create_again_keeps_what_is_there(directory):
    directory.out.write_text("kept")
    directory.create()
    assert directory.out.read_text() == "kept"


def test_create_with_a_long_path_puts_sockets_elsewhere(tmp_path):
    directory = RunDirectory(tmp_path / ("x" * 90) / "run" / "w")
    directory.create()
    try:
        assert len(os.fsencode(directory.socket)) < 100
        assert stat.S_IMODE(directory.socket.parent.stat().st_mode) == 0o700
        assert directory.control.parent == directory.socket.parent
    finally:
        directory.socket.parent.rmdir()


@pytest.mark.parametrize("trap", ["open", "link"])
def test_create_refuses_a_folder_for_sockets_that_somebody_else_laid_out(tmp_path, trap):
    path = tmp_path / ("x" * 90) / "run" / "w"
    RunDirectory(path).create()
    folder = RunDirectory(path).socket.parent
    folder.rmdir()
    shutil.rmtree(path)
    (tmp_path / "theirs").mkdir()
    folder.mkdir(mode=0o755) if trap == "open" else folder.symlink_to(tmp_path / "theirs")
    try:
        with pytest.raises(TargetError, match="not a private folder"):
            RunDirectory(path).create()
    finally:
        folder.rmdir() if trap == "open" else folder.unlink()


def test_create_where_sockets_work_keeps_them_inside(directory):
    # tmp_path is short enough in this test, unless TMPDIR is very long.
    assert directory.socket.parent == directory.path


def test_lock_held_by_a_process_is_seen_until_it_dies(tmp_path):
    lock = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    assert is_locked(lock)
    assert hold(lock, wait=False) is None
    holder.kill()
    # Not waited for: a zombie holds nothing.
    stat_file = Path(f"/proc/{holder.pid}/stat")
    until(lambda: stat_file.read_text().rpartition(")")[2].split()[0] == "Z", "its death")
    assert not is_locked(lock)
    holder.wait()
    holder.stdout.close()


def test_lock_nobody_took_is_free(tmp_path):
    assert not is_locked(tmp_path / "lock")
    held = hold(tmp_path / "lock", wait=False)
    assert held is not None
    os.close(held)
    assert not is_locked(tmp_path / "lock")


def test_settings_come_back_as_written(directory):
    settings = Settings("/usr/bin/python3", ["/a"], ["/b"], {"K": "v"}, "1.12.0")
    directory.write_settings(settings)
    assert directory.read_settings() == settings


def test_program_absent_or_torn_is_none(directory):
    assert directory.read_program() is None
    directory.program.write_bytes(b'{"text": ')
    assert directory.read_program() is None


def test_root_follows_rpnb_home(tmp_path, monkeypatch):
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / "a" / "b"))
    assert root() == tmp_path / "a" / "b"


def test_root_under_a_file_is_no_space(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(NoSpace, match="RPNB_HOME"):
        root()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_writing_turns_a_full_disk_into_no_space(tmp_path, number):
    with pytest.raises(NoSpace, match=os.strerror(number)), directories.writing(tmp_path):
        raise OSError(number, os.strerror(number))


def test_writing_leaves_other_errors_alone(tmp_path):
    with pytest.raises(InterruptedError), directories.writing(tmp_path):
        raise InterruptedError(errno.EINTR, "interrupted")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 300])
def test_worker_path_refuses_what_is_no_name(tmp_path, name):
    with pytest.raises(CannotPrepare):
        worker_path(tmp_path, name)
