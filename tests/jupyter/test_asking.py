"""What a person is asked in a cell when it connects over SSH, and what is left of the answers."""

from __future__ import annotations

import sys

import pytest

from tests import sshd as servers
from tests.conftest import _end_processes
from tests.jupyter.kernels import Kernel
from tests.showing import files_showing
from tests.sshd import PASSWORD, Sshd, User

pytestmark = pytest.mark.ssh


@pytest.fixture
def guarded(tmp_path):
    """A server with a user who has a password; its host key is not known here."""
    if not servers.is_available():
        pytest.skip(servers.HOW_TO_ENABLE)
    if not servers.may_have_users():
        pytest.skip(servers.NO_USERS)
    server = Sshd(
        tmp_path / "sshd",
        users=(User("guest"),),
        PasswordAuthentication="yes",
        PermitRootLogin="yes",
    )
    server.known_hosts.write_text("")
    yield server
    server.stop()
    _end_processes(server.home / ".cache/rpnb")


@pytest.fixture
def kernel(tmp_path):
    places = {"XDG_STATE_HOME": tmp_path / "state", "SSH_ASKPASS": ""}
    kernel = Kernel(tmp_path, {**places, "JPY_SESSION_NAME": tmp_path / "book.ipynb"})
    assert kernel.run("%load_ext rpnb").error is None
    yield kernel
    kernel.close()


def test_cell_asks_for_host_key_and_password_and_keeps_neither(guarded, kernel, tmp_path):
    connect = f"%runpod_connect {guarded.target_of(None, 'guest')} --python {sys.executable}"
    ran, asked = kernel.answer(connect, "y", "wrong", PASSWORD)
    assert ran.error is None
    assert [prompt.rpartition("Accept")[1:] for prompt, _ in asked[:1]] == [
        ("Accept", " it? [y/N] ")
    ]
    assert asked[1:] == [("Password of guest@127.0.0.1: ", True)] * 2
    assert kernel.run("%%runpod_remote\n6 * 7").text.endswith("42")
    assert files_showing(PASSWORD, [tmp_path]) == set()
    shown = ran.text + kernel.run("print(dict(globals()))").text
    assert PASSWORD not in shown


def test_cell_with_nobody_to_ask_says_what_answers(guarded, kernel):
    target = guarded.target_of(None, "guest")
    ran = kernel.run(f"%runpod_connect {target}")
    assert "accept it: --accept-key SHA256:" in ran.traceback
    fingerprint = ran.traceback.rpartition("--accept-key ")[2].split()[0]
    ran = kernel.run(f"%runpod_connect {target} --accept-key {fingerprint}")
    assert "SSH_ASKPASS may name a program that answers" in ran.traceback
