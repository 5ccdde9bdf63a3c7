"""Homes as machines have them: each works, or is a sentence before anything is started."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import rpnb
from rpnb.agent import overlay
from rpnb.errors import BadTarget, CannotPrepare, NoSpace
from rpnb.jupyter.memory import for_worker
from tests.behaviour.cells import program, run
from tests.conftest import _end_processes

SAYS = program(handler="def handler(job):\n    print('ü')\n    return 1")


@pytest.fixture
def mounted(tmp_path):
    """Mount small disks below the test's folder."""
    mounts = []

    def mount(name, options):
        folder = tmp_path / name
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no right to mount a small disk here")
        mounts.append(folder)
        return folder

    yield mount
    for folder in mounts:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def works(home):
    """Run a job on this machine; give its worker's root while that lives."""
    session = rpnb.connect("local", name="limits", python=sys.executable)
    try:
        result = run(session, SAYS).result
        assert (result.output, result.logs) == (1, "ü\n")
        yield Path(session.reach.ready.root)
    finally:
        session.stop()
        _end_processes(home)


@pytest.mark.parametrize(
    "name", ["ein Ordner ü 漢 \"q' $x", f"{'x' * 90}/{'y' * 90}"], ids=["odd", "long"]
)
def test_home_of_any_name_and_length_works(tmp_path, monkeypatch, name):
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / name))
    # As a bare `ssh host command` has it.
    monkeypatch.setenv("LC_ALL", "C")
    with works(tmp_path / name):
        pass


def test_home_that_is_not_there_yet_is_made_private_whatever_the_umask(tmp_path, monkeypatch):
    monkeypatch.delenv("RPNB_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    before = os.umask(0)
    try:
        with works(tmp_path / "nobody/.cache/rpnb") as root:
            assert root == tmp_path / "nobody/.cache/rpnb"
            folders = [root, root.parent, root.parent.parent, root / "run", root / "values"]
            assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    finally:
        os.umask(before)


@pytest.fixture
def no_home(tmp_path, monkeypatch):
    """Take HOME away; give a function that says what the system's list of users has for us."""
    monkeypatch.delenv("RPNB_HOME", raising=False)
    monkeypatch.delenv("HOME")
    getent = tmp_path / "getent"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def entry(home):
        line = f"echo me:x:0:0::{home}:/bin/sh" if home else "exit 2"
        getent.write_text(f"#!/bin/sh\n{line}\n")
        getent.chmod(0o755)

    return entry


def test_home_that_is_not_in_the_environment_is_the_users_own(tmp_path, no_home):
    no_home(tmp_path / "own")
    with works(tmp_path / "own") as root:
        assert root == tmp_path / "own/.cache/rpnb"


def test_user_without_any_home_is_a_sentence(no_home):
    no_home(None)
    with pytest.raises(NoSpace, match="the user of local has no home: set RPNB_HOME there"):
        rpnb.connect("local", name="limits", python=sys.executable)


def test_user_without_any_home_here_has_no_ssh_and_remembers_nothing(no_home, monkeypatch):
    no_home(None)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with pytest.raises(BadTarget, match="this user has no home here.* set HOME"):
        rpnb.connect("root@127.0.0.1:1", name="limits")
    memory = for_worker("limits")
    memory.keep(cells=["a"])
    assert memory.cell_ids == ["a"]
    assert for_worker("limits").cell_ids == []


def test_home_that_allows_no_programs_works_where_nothing_compiled_is_added(mounted, monkeypatch):
    home = mounted("noexec", "size=64m,noexec")
    monkeypatch.setenv("RPNB_HOME", str(home))
    with works(home):
        pass


def test_compiled_packages_where_no_programs_are_allowed_are_a_sentence(mounted):
    site = mounted("noexec", "size=1m,noexec") / "site"
    site.mkdir()
    overlay._check_loadable(site)
    (site / "compiled.so").touch()
    with pytest.raises(CannotPrepare, match="noexec.*RPNB_HOME"):
        overlay._check_loadable(site)


def test_tiny_folder_for_temporary_files_does_not_matter(mounted, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(mounted("tmp", "size=64k,noexec")))
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / "rpnb"))
    with works(tmp_path / "rpnb"):
        pass


def test_home_that_cannot_be_written_is_a_sentence(mounted, tmp_path, monkeypatch):
    monkeypatch.delenv("RPNB_HOME", raising=False)
    read_only = mounted("read-only", "size=1m,ro")
    for home in (read_only, Path("/etc/passwd")):
        monkeypatch.setenv("HOME", str(home))
        with pytest.raises(NoSpace, match="read-only; set RPNB_HOME"):
            rpnb.connect("local", name="limits", python=sys.executable)
