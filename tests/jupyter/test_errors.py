"""What goes wrong is said in a sentence: what happened, where, what to do; none of our frames."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from rpnb import errors
from tests import sshd as servers
from tests.conftest import _end_processes


def said_by(book, text, error):
    """Run a cell that must fail with this error; return what the person reads."""
    said = book.run(text)
    assert isinstance(said.error, error), said.text
    assert not re.search(r"rpnb/\w+/\w+\.py", said.text), "no frames of ours"
    assert "paramiko" not in said.text.lower()
    return said.text


def test_host_that_does_not_exist(book):
    text = said_by(book, "%runpod_connect root@no-such-host.invalid", errors.CannotReach)
    assert "cannot reach no-such-host.invalid" in text
    assert "should work here first" in text


@pytest.mark.ssh
def test_login_that_is_refused(book, sshd, tmp_path):
    stranger = servers.make_key(tmp_path / "stranger")
    text = said_by(book, f"%runpod_connect {sshd.target_of(stranger)}", errors.LoginRefused)
    assert "stranger" in text


@pytest.mark.ssh
def test_host_key_that_nobody_has_accepted(book, sshd, tmp_path, monkeypatch):
    monkeypatch.setenv("RPNB_HEADLESS", "1")  # nobody is there to be asked
    target = sshd.target_of(sshd.key, UserKnownHostsFile=str(tmp_path / "none"))
    text = said_by(book, f"%runpod_connect {target}", errors.HostKeyUnknown)
    assert "--accept-key SHA256:" in text


@pytest.mark.ssh
def test_host_key_that_has_changed(book, sshd, tmp_path):
    other = servers.make_key(tmp_path / "other").with_name("other.pub").read_text().split()[:2]
    known = tmp_path / "known_hosts"
    known.write_text(f"{sshd.name} {' '.join(other)}\n")
    target = sshd.target_of(sshd.key, UserKnownHostsFile=str(known))
    text = said_by(book, f"%runpod_connect {target}", errors.HostKeyChanged)
    assert "ssh-keygen" in text
    assert "-R" in text


@pytest.mark.ssh
def test_target_without_python(book, sshd, tmp_path):
    key = sshd.account("no_python", {"RPNB_HOME": str(tmp_path / "home")})
    text = said_by(
        book, f"%runpod_connect {sshd.target_of(key)} --python /nowhere/python3", errors.NoPython
    )
    assert "/nowhere/python3" in text


def test_target_with_too_old_a_python(book, tmp_path):
    old = tmp_path / "python3.8"
    # It answers the probe as a Python 3.8 does: fits, torch, version, path.
    old.write_text(f"#!/bin/sh\necho '0 0 3.8.10 {old}'\n")
    old.chmod(0o755)
    text = said_by(book, f"%runpod_connect local --python {old}", errors.NoPython)
    assert "3.8" in text
    assert "3.9" in text


def test_program_that_is_no_python(book):
    text = said_by(book, "%runpod_connect local --python /bin/echo", errors.NoPython)
    assert "/bin/echo" in text


def test_target_without_room(book, monkeypatch):
    monkeypatch.setenv("RPNB_HOME", "/proc/rpnb")  # nobody may write there, root neither
    text = said_by(book, "%runpod_connect local", errors.NoSpace)
    assert "/proc/rpnb" in text


def test_input_that_cannot_be_read(connected):
    connected.run("%%runpod_handler --no-run\ndef handler(job):\n    return 1")
    text = said_by(connected, '%runpod_run {"a": [1, 2}', errors.BadInput)
    line, caret = next(
        (a, b) for a, b in zip(text.splitlines(), text.splitlines()[1:], strict=False) if "^" in b
    )
    assert line[caret.index("^")] == "[", "the bracket that nothing closes"


MISTAKES = {
    "no handler": (
        "%%runpod_handler\nx = 1",
        errors.NoHandler,
        "defines no handler",
    ),
    "two candidates": (
        "%%runpod_handler\ndef a(job):\n    return 1\n\ndef b(job):\n    return 2",
        errors.NoHandler,
        "a, b",
    ),
    "missing name": (
        "%%runpod_handler --input {}\n\ndef handler(job):\n    return nowhere",
        errors.MissingName,
        "line 4: nothing defines `nowhere`",
    ),
    "syntax": (
        "%%runpod_setup\nx = 1\ny = (2",
        errors.BadSyntax,
        "line 3",
    ),
    "wrong place": (
        "x = 1\n%%runpod_setup\ny = 2",
        errors.WrongPlace,
        "first line",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_cell_with_a_mistake(connected, mistake):
    cell, error, expected = MISTAKES[mistake]
    assert expected in said_by(connected, cell, error)


def test_value_that_cannot_travel_is_named_with_the_path_inside_it(connected):
    connected.run(
        "import threading, types\n"
        "cfg = types.SimpleNamespace(session=types.SimpleNamespace(lock=threading.Lock()))"
    )
    text = said_by(
        connected,
        "%%runpod_handler --input {}\ndef handler(job):\n    return cfg.session.name",
        errors.CannotCapture,
    )
    assert "line 3" in text
    assert "`cfg.session.lock` is a thread lock" in text
    assert "create it in a remote cell" in text, "the remedy"


def test_handler_that_raises_shows_the_notebooks_line(connected):
    text = said_by(
        connected,
        '%%runpod_handler --input {}\ndef handler(job):\n    return job["input"]["prompt"]',
        errors.JobFailed,
    )
    number = len(connected.names["In"]) - 1
    assert f"KeyError 'prompt' — cell {number}, line 3" in text
    assert 'return job["input"]["prompt"]' in text
    assert "rp_job" not in text


def test_worker_python_of_the_tests_is_this_one(connected):
    """What the tests above talk to is a real worker."""
    said = connected.run("%%runpod_remote\nimport sys\nsys.version_info[:2]")
    assert str(tuple(sys.version_info[:2])) in said.text


@pytest.mark.ssh
def test_note_on_how_the_target_was_reached_stays_in_the_page(book, sshd, tmp_path):
    home = tmp_path / "there"
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    key = sshd.account("noted", {"RPNB_HOME": str(home), "PATH": path})
    known = tmp_path / "known_hosts"
    known.write_text((sshd.folder / "known_hosts").read_text() + "no line of a key\n")
    target = sshd.target_of(key, UserKnownHostsFile=str(known))
    said = book.run(f"%runpod_connect {target}")
    _end_processes(home)
    assert "skipped what cannot be read, line 2" in said.text


def test_value_of_a_class_that_the_targets_version_lacks(connected):
    connected.run(
        "import pydantic\nclass New: pass\nNew.__module__ = 'pydantic'\npydantic.New = New\n"
        "cfg = {'a': [New()]}"
    )
    try:
        cell = "%%runpod_setup\nx = len(cfg)"
        text = said_by(connected, cell, errors.RemoteError)
    finally:
        connected.run("del pydantic.New")
    assert "the target could not read `cfg`: `cfg['a'][0]` is of pydantic.New" in text
    remedy = r"%pip install pydantic==[\d.]+` into a set-up cell\s+cell \d+, line 2 uses it"
    assert re.search(remedy, text), text


@pytest.fixture
def shelves(book, sshd, tmp_path):
    """Two folders of installed packages: this machine's, and that of a target, connected."""
    here, there = (tmp_path / side / "site-packages" for side in ("here", "there"))
    here.mkdir(parents=True)
    there.mkdir(parents=True)
    home = tmp_path / "home"
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    settings = {"RPNB_HOME": str(home), "PATH": path, "PYTHONPATH": str(there)}
    (here / "shelf.py").write_text("class Book: pass\nclass Map: pass\n")
    book.run(f"%runpod_connect {sshd.target_of(sshd.account(tmp_path.name, settings))}")
    book.run(f"import sys; sys.path.append({str(here)!r}); sys.modules.pop('shelf', 0)")
    book.run("import shelf\nbooks, maps = [shelf.Book()], [shelf.Map()]")
    yield there
    book.run(f"sys.path.remove({str(here)!r})")
    _end_processes(home)


CATALOGUE = "%%runpod_setup\nprint('ran'); count = len(books), len(maps)"


@pytest.mark.ssh
def test_value_of_a_module_that_the_target_lacks_is_not_sent(book, shelves):
    text = said_by(book, CATALOGUE, errors.CannotCapture)
    assert "`books[0]` is of shelf.Book, and the target has no module shelf" in text
    assert "`maps[0]` is of shelf.Map, and the target has no module shelf" in text

    # Installed by hand there, it is there.
    (shelves / "shelf.py").write_text("class Book: pass\nclass Map: pass\n")
    found = book.run(CATALOGUE)
    assert found.error is None, found.text
    assert "ran" in found.text


@pytest.mark.ssh
def test_value_of_a_class_that_the_targets_version_lacks_is_not_sent(book, shelves, tmp_path):
    (shelves / "shelf.py").write_text("class Map: pass\n")
    values = tmp_path / "home" / "values"
    text = said_by(book, CATALOGUE, errors.CannotCapture)
    assert "`books` holds shelf.Book, and the target's shelf has no such thing" in text
    assert "Remedy: make `books` in a remote cell" in text
    assert re.search(r"cell \d+, line 2 uses it", text), text
    assert "`maps`" not in text
    assert not list(values.glob("*")), "nothing was sent"

    book.run("books = [shelf.Map()]")
    mended = book.run(CATALOGUE)
    assert mended.error is None, mended.text
    assert "ran" in mended.text
    assert list(values.glob("*"))


def test_file_that_did_not_travel(connected):
    (connected.folder / "labels.txt").write_text("fox\n")
    text = said_by(
        connected,
        '%%runpod_handler --input {"n": 0}\n'
        'def handler(job): return open("labels.txt").read().split()[job["input"]["n"]]',
        errors.JobFailed,
    )
    assert "`labels.txt` lies beside the notebook and did not travel" in text
    assert '`pathlib.Path(__file__).parent / "labels.txt"`' in text


@pytest.mark.ssh
def test_secret_is_there_again_after_the_worker_was_stopped(book, sshd, tmp_path, monkeypatch):
    home = tmp_path / "there"
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    target = sshd.target_of(sshd.account("secret", {"RPNB_HOME": str(home), "PATH": path}))
    monkeypatch.setenv("HF_TOKEN", "hf_" + "a1" * 15)
    try:
        book.run(f"%runpod_connect {target}")
        book.run("%runpod_env HF_TOKEN")
        book.run("%%runpod_setup\nimport os\nmade = [1]")
        handler = (
            "%%runpod_handler --input {}\ndef handler(job): return len(os.environ['HF_TOKEN'])"
        )
        assert book.run(handler).text.rstrip().endswith("33")
        book.run("%runpod_stop")
        said = book.run("%runpod_run")
        assert said.text.rstrip().endswith("33"), said.text
        book.run("%runpod_disconnect")
        book.run("%runpod_connect")
        again = book.run("%runpod_run")
        assert again.text.rstrip().endswith("33"), again.text
        assert "set-up" not in again.text, "the worker was warm"

        exported = book.run("%runpod_export").text
        command = next(x for x in exported.splitlines() if "try it" in x).split("try it: ")[1]
        assert shlex.split(command)[-1] == target
    finally:
        _end_processes(home)
