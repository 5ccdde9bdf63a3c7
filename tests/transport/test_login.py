"""Logging in with keys: files, passphrases, the ssh agent, and what is said where none fits."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rpnb.errors import LoginRefused
from rpnb.transport.ssh import SshTransport
from tests.sshd import PASSWORD, Agent, Sshd, make_key
from tests.transport.answers import Answers
from tests.transport.securitykey import SecurityKeyAgent

pytestmark = pytest.mark.ssh

Connect = Callable[..., SshTransport]
Server = Callable[..., Sshd]


@pytest.fixture(autouse=True)
def nobody_else_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a program that asks, and an agent."""
    for name in ("SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_login_works_with_each_kind_of_key(
    kind: str, sshd: Sshd, connect: Connect, tmp_path: Path
) -> None:
    key = make_key(tmp_path / kind, kind=kind)
    sshd.authorize(key)
    assert connect(sshd.target_of(key)).run("true").code == 0


def test_login_with_a_public_key_file_uses_the_private_one_beside_it(
    sshd: Sshd, connect: Connect
) -> None:
    assert connect(sshd.target_of(f"{sshd.key}.pub")).run("true").code == 0


REFUSED = {
    "/no/key": "tried: /no/key (no such file).",
    "stranger": "tried: {path}. It takes publickey. The public key must be in",
    "notes": "tried: {path} (not a key that can be read here).",
}


@pytest.mark.parametrize(("name", "words"), REFUSED.items())
def test_login_with_a_key_that_is_no_use_is_refused_with_the_reason(
    name: str, words: str, sshd: Sshd, connect: Connect, tmp_path: Path
) -> None:
    make_key(tmp_path / "stranger")
    (tmp_path / "notes").write_text("not a key")
    path = tmp_path / name
    with pytest.raises(LoginRefused) as caught:
        connect(sshd.target_of(path))
    assert f"{sshd.user}@127.0.0.1:{sshd.port}) refused the login; {words}".format(
        path=path
    ) in str(caught.value)


def test_login_without_any_key_says_how_to_make_one(sshd: Sshd, connect: Connect) -> None:
    with pytest.raises(LoginRefused, match="there is no key to log in with. 'ssh-keygen"):
        connect(sshd.target_of(None))


def test_login_that_tries_too_many_keys_quotes_the_servers_last_word(
    server: Server, connect: Connect, tmp_path: Path
) -> None:
    sshd = server(MaxAuthTries="2")
    strangers = [f"-i {make_key(tmp_path / name)}" for name in "abcd"]
    with pytest.raises(LoginRefused) as caught:
        connect(sshd.target.replace("ssh ", f"ssh {' '.join(strangers)} ", 1))
    assert f"tried: {tmp_path}/a; {tmp_path}/b." in str(caught.value)
    assert "hung up after that many: Too many authentication failures. Name the right" in str(
        caught.value
    )


def test_login_with_a_locked_key_asks_until_the_passphrase_is_right_and_once_in_all(
    sshd: Sshd, connect: Connect
) -> None:
    key, person = sshd.account("id_locked", passphrase=PASSWORD), Answers("wrong", PASSWORD)
    transport = connect(sshd.target_of(key), ask_secret=person)
    transport.again().close()
    assert person.asked == [f"Passphrase of {key}: "] * 2


def test_login_with_a_locked_key_that_the_server_refuses_asks_nothing(
    sshd: Sshd, connect: Connect, tmp_path: Path
) -> None:
    person = Answers(PASSWORD)
    with pytest.raises(LoginRefused):
        connect(sshd.target_of(make_key(tmp_path / "key", PASSWORD)), ask_secret=person)
    assert person.asked == []


def test_login_with_a_locked_key_whose_public_half_is_missing_has_to_ask(
    sshd: Sshd, connect: Connect, tmp_path: Path
) -> None:
    key, person = tmp_path / "key", Answers(PASSWORD)
    options = ["-q", "-t", "ecdsa", "-m", "PEM", "-N", PASSWORD, "-f", str(key)]
    subprocess.run(["ssh-keygen", *options], check=True)
    sshd.authorize(key)
    key.with_name("key.pub").unlink()
    assert connect(sshd.target_of(key), ask_secret=person).run("true").code == 0
    assert len(person.asked) == 1


UNLOCKED_BY_NOBODY = {
    "nobody": (
        None,
        "(has a passphrase: 'ssh-add {key}' unlocks it; nobody can be asked here, but",
    ),
    "no answer": (Answers(), "(has a passphrase: 'ssh-add {key}' unlocks it)."),
    "wrong": (Answers("a", "b", "c", PASSWORD), "(the passphrase was wrong 3 times)."),
}


@pytest.mark.parametrize(("person", "words"), UNLOCKED_BY_NOBODY.values(), ids=UNLOCKED_BY_NOBODY)
def test_login_with_a_key_that_stays_locked_says_why(
    person: Answers | None, words: str, sshd: Sshd, connect: Connect, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key", PASSWORD)
    sshd.authorize(key)
    with pytest.raises(LoginRefused, match=re.escape(words.format(key=key))):
        connect(sshd.target_of(key), ask_secret=person)


ASKPASS = [
    # SSH_ASKPASS_REQUIRE, whether a person sits there, who is asked.
    ("", False, "program"),
    ("force", True, "program"),
    ("", True, "person"),
    ("never", False, "nobody"),
]


@pytest.mark.parametrize(("require", "is_there", "who"), ASKPASS)
def test_login_asks_through_ssh_askpass_as_ssh_does(
    require: str,
    is_there: bool,
    who: str,
    sshd: Sshd,
    connect: Connect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key, program = make_key(tmp_path / "key", PASSWORD), tmp_path / "askpass"
    sshd.authorize(key)
    program.write_text(f"#!/bin/sh\necho \"$1\" > {tmp_path}/asked\necho '{PASSWORD}'\n")
    program.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", require)
    person = Answers(PASSWORD)
    if who == "nobody":
        with pytest.raises(LoginRefused):
            connect(sshd.target_of(key))
    else:
        connect(sshd.target_of(key), ask_secret=person if is_there else None)
    assert (tmp_path / "asked").exists() == (who == "program")
    assert bool(person.asked) == (who == "person")


def test_login_in_batch_mode_asks_nothing(sshd: Sshd, connect: Connect, tmp_path: Path) -> None:
    key, person = make_key(tmp_path / "key", PASSWORD), Answers(PASSWORD)
    sshd.authorize(key)
    with pytest.raises(LoginRefused):
        connect(sshd.target_of(key, BatchMode="yes"), ask_secret=person)
    assert person.asked == []


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_login_takes_a_key_of_the_agent_whose_file_is_gone(
    kind: str, sshd: Sshd, connect: Connect, agent: Agent, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key", kind=kind)
    sshd.authorize(key)
    agent.add(key)
    key.unlink()
    transport = connect(sshd.target_of(None, IdentityAgent=str(agent.path)))
    assert transport.again().run("true").code == 0


def test_login_finds_the_agent_in_the_environment(
    sshd: Sshd, connect: Connect, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.add(sshd.key)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.path))
    assert connect(sshd.target_of(None, IdentityAgent="SSH_AUTH_SOCK")).run("true").code == 0


def test_login_with_a_locked_key_that_the_agent_has_asks_nothing(
    sshd: Sshd, connect: Connect, agent: Agent, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key")
    sshd.authorize(key)
    agent.add(key)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", PASSWORD, "-f", str(key)], check=True)
    person = Answers(PASSWORD)
    connect(sshd.target_of(key, IdentityAgent=str(agent.path)), ask_secret=person)
    assert person.asked == []


def test_login_with_one_identity_named_leaves_a_full_agent_alone(
    server: Server, connect: Connect, agent: Agent, tmp_path: Path
) -> None:
    """The habit for password managers: `IdentityFile key.pub` and IdentitiesOnly."""
    sshd = server(MaxAuthTries="2")
    for name in "abc":
        agent.add(make_key(tmp_path / name))
    agent.add(sshd.key)
    only = sshd.key.rename(tmp_path / "away").with_name("only.pub")
    only.write_text(sshd.key.with_name(f"{sshd.key.name}.pub").read_text())
    options = {"IdentityAgent": str(agent.path), "IdentitiesOnly": "yes"}
    assert connect(sshd.target_of(only, **options)).run("true").code == 0
    with pytest.raises(LoginRefused, match="agent key 'a'; agent key 'b'. It takes publickey. It"):
        connect(sshd.target_of(None, IdentityAgent=str(agent.path)))


def test_login_tells_of_an_agent_that_does_not_answer(
    sshd: Sshd, connect: Connect, tmp_path: Path
) -> None:
    with pytest.raises(LoginRefused, match="the ssh agent at .*/no .No such file or directory"):
        connect(sshd.target_of(None, IdentityAgent=str(tmp_path / "no")))


def test_login_tells_of_an_agent_that_does_not_sign(
    sshd: Sshd, connect: Connect, agent: Agent
) -> None:
    """`ssh-add -c`, and nobody there to confirm."""
    agent.add("-c", sshd.key)
    with pytest.raises(LoginRefused, match="id_test' .the ssh agent does not sign: it refuses"):
        connect(sshd.target_of(None, IdentityAgent=str(agent.path)))


def test_login_takes_a_security_key_through_its_agent(
    sshd: Sshd, connect: Connect, tmp_path: Path
) -> None:
    """The agent signs as a touched device would: the host checks the signature for real."""
    device = SecurityKeyAgent(tmp_path / "device")
    try:
        public = tmp_path / "id_sk.pub"
        public.write_text(f"{device.key.line} a device\n")
        sshd.authorize(tmp_path / "id_sk")
        target = sshd.target_of(None, IdentityAgent=str(device.path))
        assert connect(target).run("true").code == 0
        only = sshd.target_of(public, IdentityAgent=str(device.path), IdentitiesOnly="yes")
        assert connect(only).run("true").code == 0
    finally:
        device.close()


def test_login_from_the_address_that_bind_address_names(sshd: Sshd, connect: Connect) -> None:
    transport = connect(sshd.target_of(sshd.key, BindAddress="127.0.0.2"))
    assert transport.run("echo $SSH_CONNECTION").stdout.split()[0] == "127.0.0.2"
