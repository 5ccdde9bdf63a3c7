"""What a person is asked in a terminal when the command connects, and that it can be read."""

from __future__ import annotations

import pytest

from tests import sshd as servers
from tests.cli.shell import rpnb
from tests.cli.terminal import Terminal
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


def test_questions_stay_readable_until_they_are_answered(guarded):
    """A spinner that goes on turning wipes out the line it turns on."""
    terminal = Terminal("ps", "--target", guarded.target_of(None, "guest"))
    try:
        for question, answer in (
            ("Accept it? [y/N]: ", "y"),
            ("Password of guest@127.0.0.1: ", "wrong"),
            ("Password of guest@127.0.0.1: ", PASSWORD),
        ):
            terminal.expect(question)
            assert terminal.is_still(0.4)
            terminal.type(answer)
        assert terminal.end() == 0
    finally:
        terminal.close()
    assert "127.0.0.1 │ no workers" in terminal.shown
    assert PASSWORD not in terminal.shown
    assert guarded.name in guarded.known_hosts.read_text()


def test_questions_with_nobody_there_become_errors_that_name_the_answer(guarded, tmp_path):
    target = guarded.target_of(None, "guest")
    done = rpnb("ps", "--target", target, SSH_ASKPASS="")
    assert done.returncode == 2
    assert "If it is the right one, accept it: --accept-key SHA256:" in done.stderr
    fingerprint = done.stderr.rpartition("--accept-key ")[2].strip()
    done = rpnb("ps", "--target", target, "--accept-key", fingerprint, SSH_ASKPASS="")
    assert done.returncode == 2
    assert "SSH_ASKPASS may name a program that answers" in done.stderr
    askpass = tmp_path / "askpass"
    askpass.write_text(f"#!/bin/sh\necho '{PASSWORD}'\n")
    askpass.chmod(0o700)
    done = rpnb("ps", "--target", target, SSH_ASKPASS=str(askpass))
    assert (done.returncode, done.stdout) == (0, "127.0.0.1 │ no workers\n")
