from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rpnb.errors import HostKeyChanged, HostKeyUnknown
from rpnb.transport.asking import Person
from rpnb.transport.hostkeys import verify
from rpnb.transport.keys import PublicKey
from rpnb.transport.knownhosts import KnownHosts
from rpnb.transport.ssh import SshTransport
from tests.sshd import HOW_TO_ENABLE, Sshd, make_key

Connect = Callable[..., SshTransport]
needs_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason=HOW_TO_ENABLE)

KEY = PublicKey("ssh-ed25519", b"\0\0\0\x0bssh-ed25519" + bytes(range(32)))
OTHER = PublicKey("ssh-rsa", b"\0\0\0\x07ssh-rsa" + bytes(range(99)))


def _line(names: str, key: PublicKey = KEY, marker: str = "") -> str:
    return f"{marker} {names} {key.kind} {base64.b64encode(key.blob).decode()}\n".lstrip()


def _known(tmp_path: Path, text: str | bytes) -> KnownHosts:
    path = tmp_path / "known_hosts"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return KnownHosts([path])


def _check(known: KnownHosts, name: str, key: PublicKey = KEY, strict: str = "ask") -> None:
    verify(known, "my-gpu", name, key, strict=strict, person=Person())


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ("host", "host"),
        ("host,203.0.113.7", "203.0.113.7"),
        ("[203.0.113.7]:17543", "[203.0.113.7]:17543"),
        ("HOST", "host"),
        ("*.example.com", "a.example.com"),
        ("h?st", "host"),
        ("[10.0.0.*]:2?", "[10.0.0.1]:22"),
        ("host", "[host]:2222"),
    ],
)
def test_host_key_on_a_matching_line_is_trusted(names: str, name: str, tmp_path: Path) -> None:
    _check(_known(tmp_path, _line(names)), name)


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ("host", "other"),
        ("[host]:2222", "host"),
        ("[host]:2222", "[host]:2223"),
        ("*.example.com,!bad.example.com", "bad.example.com"),
        ("[abc]:22", "a"),
    ],
)
def test_host_key_on_another_hosts_line_is_unknown(names: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(HostKeyUnknown):
        _check(_known(tmp_path, _line(names)), name)


@needs_keygen
@pytest.mark.parametrize("name", ["host", "[203.0.113.7]:17543"])
def test_host_key_on_a_line_hashed_by_ssh_is_trusted(name: str, tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(_line(name))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    assert name not in path.read_text()
    _check(KnownHosts([path]), name)


@needs_keygen
def test_host_key_that_is_remembered_hashed_is_found_by_ssh(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    KnownHosts([path], hash_names=True).remember("[host]:2222", KEY)
    assert "host" not in path.read_text().split()[0]
    found = subprocess.run(
        ["ssh-keygen", "-F", "[host]:2222", "-f", path], capture_output=True, check=False
    )
    assert found.returncode == 0


def test_known_hosts_lines_that_cannot_be_read_cost_only_themselves(tmp_path: Path) -> None:
    text = (
        b"# a comment\n\n\xff\xfe\nhost ssh-ed25519 !!!\n@novel host x y\n" + _line("host").encode()
    )
    known = _known(tmp_path, text)
    _check(known, "host")
    assert known.notes == [f"{tmp_path}/known_hosts: skipped what cannot be read, line 3, 4, 5"]


def test_known_hosts_that_is_missing_is_empty(tmp_path: Path) -> None:
    known = KnownHosts([tmp_path / "no"])
    assert (known.about("host"), known.notes) == ([], [])


def test_known_hosts_that_is_a_folder_is_a_note(tmp_path: Path) -> None:
    assert "cannot be read" in KnownHosts([tmp_path]).notes[0]


def test_host_key_that_is_revoked_is_refused_though_known(tmp_path: Path) -> None:
    known = _known(tmp_path, _line("host") + _line("*", marker="@revoked"))
    with pytest.raises(HostKeyChanged, match="known_hosts, line 2 marks as revoked"):
        _check(known, "host", strict="no")


def test_host_key_revoked_for_another_key_is_trusted(tmp_path: Path) -> None:
    _check(_known(tmp_path, _line("host") + _line("*", OTHER, "@revoked")), "host")


def test_host_key_vouched_for_by_an_authority_is_unknown_and_says_why(tmp_path: Path) -> None:
    known = _known(tmp_path, _line("*", marker="@cert-authority"))
    with pytest.raises(HostKeyUnknown, match="has no certificate of the authority in .*, line 1"):
        _check(known, "host")


@pytest.mark.parametrize("strict", ["ask", "no", "yes", "accept-new"])
def test_host_key_other_than_the_known_one_is_always_refused(strict: str, tmp_path: Path) -> None:
    known = _known(tmp_path, _line("[host]:22022", OTHER))
    with pytest.raises(HostKeyChanged) as caught:
        _check(known, "[host]:22022", strict=strict)
    command = f"ssh-keygen -R '[host]:22022' -f {tmp_path}/known_hosts"
    assert str(caught.value).endswith(f"forget the old key: {command}")


@needs_keygen
def test_host_key_changed_command_forgets_the_old_key(tmp_path: Path) -> None:
    known = _known(tmp_path, _line("[host]:22022", OTHER) + _line("other"))
    with pytest.raises(HostKeyChanged) as caught:
        _check(known, "[host]:22022")
    command = str(caught.value).rpartition(": ")[2]
    subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True)
    assert KnownHosts([tmp_path / "known_hosts"]).about("[host]:22022") == []


def test_host_key_changed_on_a_pattern_line_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(HostKeyChanged, match="remove line 1 of .*known_hosts"):
        _check(_known(tmp_path, _line("*.example.com", OTHER)), "a.example.com")


def test_host_key_is_appended_below_a_line_without_an_end(tmp_path: Path) -> None:
    known = _known(tmp_path, _line("one", OTHER).rstrip())
    known.remember("two", KEY)
    assert (tmp_path / "known_hosts").read_text() == _line("one", OTHER) + _line("two")


def test_host_key_makes_its_file_private(tmp_path: Path) -> None:
    path = tmp_path / ".ssh" / "known_hosts"
    KnownHosts([path]).remember("host", KEY)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_host_key_that_cannot_be_written_is_accepted_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    known = KnownHosts([tmp_path / "file" / "known_hosts"])
    known.remember("host", KEY)
    _check(known, "host")
    assert "accepted for now only" in known.notes[-1]


@needs_keygen
def test_host_key_fingerprint_is_the_one_ssh_prints(tmp_path: Path) -> None:
    path = make_key(tmp_path / "key")
    kind, blob = path.with_name("key.pub").read_text().split()[:2]
    key = PublicKey(kind, base64.b64decode(blob))
    printed = subprocess.check_output(["ssh-keygen", "-lf", path], text=True)
    assert f" {key.fingerprint} " in printed
    assert printed.endswith(f"({key.title})\n")


@pytest.mark.ssh
def test_unknown_host_prints_the_option_that_accepts_it(
    sshd: Sshd, connect: Connect, fresh: Path
) -> None:
    target = sshd.target_of(sshd.key, UserKnownHostsFile=str(fresh))
    with pytest.raises(HostKeyUnknown) as caught:
        connect(target)
    option = f"--accept-key {_fingerprint(sshd)}"
    assert str(caught.value).endswith(option)
    assert (caught.value.host, caught.value.fingerprint) == (sshd.name, _fingerprint(sshd))
    assert not fresh.exists()


@pytest.mark.ssh
def test_unknown_host_is_asked_about_once_and_remembered(
    sshd: Sshd, connect: Connect, fresh: Path
) -> None:
    asked: list[str] = []

    def ask(question: str) -> bool:
        asked.append(question)
        return True

    target = sshd.target_of(sshd.key, UserKnownHostsFile=str(fresh))
    connect(target, ask=ask)
    connect(target)
    assert [_fingerprint(sshd) in question for question in asked] == [True]


@pytest.mark.ssh
def test_unknown_host_accepted_but_not_written_down_stays_accepted(
    sshd: Sshd, connect: Connect
) -> None:
    target = sshd.target_of(sshd.key, UserKnownHostsFile="/dev/null")
    connect(target, ask=lambda _: True).again().close()


@pytest.mark.ssh
def test_unknown_host_that_is_declined_is_refused(
    sshd: Sshd, connect: Connect, fresh: Path
) -> None:
    target = sshd.target_of(sshd.key, UserKnownHostsFile=str(fresh))
    with pytest.raises(HostKeyUnknown, match="It was not accepted"):
        connect(target, ask=lambda _: False)
    assert not fresh.exists()


def test_unknown_host_with_nobody_at_the_question_is_refused(tmp_path: Path) -> None:
    def ask(question: str) -> bool:
        raise EOFError

    with pytest.raises(HostKeyUnknown, match="It was not accepted"):
        verify(_known(tmp_path, ""), "my-gpu", "h", KEY, strict="ask", person=Person(ask))


@pytest.mark.ssh
def test_unknown_host_with_the_accepted_fingerprint_is_remembered_unasked(
    sshd: Sshd, connect: Connect, fresh: Path
) -> None:
    target = sshd.target_of(sshd.key, UserKnownHostsFile=str(fresh))
    connect(target, accept_key=_fingerprint(sshd))
    assert fresh.read_text() == sshd.known_hosts.read_text()


@pytest.mark.ssh
def test_unknown_host_with_another_fingerprint_is_refused(
    sshd: Sshd, connect: Connect, fresh: Path
) -> None:
    target = sshd.target_of(sshd.key, UserKnownHostsFile=str(fresh))
    with pytest.raises(HostKeyUnknown, match=re.escape("not the accepted SHA256:abc")):
        connect(target, accept_key="SHA256:abc", ask=lambda _: True)


@pytest.mark.ssh
@pytest.mark.parametrize(
    ("strict", "is_let_in"), [("no", True), ("accept-new", True), ("yes", False)]
)
def test_unknown_host_obeys_strict_host_key_checking(
    strict: str, is_let_in: bool, sshd: Sshd, connect: Connect, fresh: Path
) -> None:
    target = sshd.target_of(sshd.key, UserKnownHostsFile=str(fresh), StrictHostKeyChecking=strict)
    if is_let_in:
        connect(target)
    else:
        with pytest.raises(HostKeyUnknown, match="so nobody is asked"):
            connect(target, ask=lambda _: True)
    assert fresh.exists() == is_let_in


@pytest.mark.ssh
def test_changed_host_is_refused_before_the_login(
    sshd: Sshd, connect: Connect, fresh: Path
) -> None:
    fresh.parent.mkdir()
    fresh.write_text(_line(sshd.name))
    target = sshd.target_of(sshd.key, UserKnownHostsFile=str(fresh))
    with pytest.raises(HostKeyChanged, match="ssh-keygen -R"):
        connect(target, ask=lambda _: True, accept_key=_fingerprint(sshd))


@pytest.mark.ssh
def test_host_known_by_its_second_key_is_asked_for_that_one(
    server: Callable[..., Sshd], connect: Connect, tmp_path: Path
) -> None:
    rsa = make_key(tmp_path / "rsa_host_key", kind="rsa")
    sshd = server(HostKey=str(rsa))
    with (sshd.folder / "sshd_config").open("a") as config:
        config.write(f"HostKey {sshd.host_key}\n")
    kind, blob = rsa.with_name("rsa_host_key.pub").read_text().split()[:2]
    sshd.known_hosts.write_text(f"{sshd.name} {kind} {blob}\n")
    sshd.stop()
    sshd.start()
    assert connect(sshd.target).run("true").code == 0


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """The path of a known_hosts that does not exist yet."""
    return tmp_path / "fresh" / "known_hosts"


def _fingerprint(sshd: Sshd) -> str:
    kind, blob = sshd.host_key.with_name("host_key.pub").read_text().split()[:2]
    return PublicKey(kind, base64.b64decode(blob)).fingerprint
