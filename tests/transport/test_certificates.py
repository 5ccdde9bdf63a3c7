"""Certificates of users and of hosts, made by ssh-keygen and shown to and by a real server."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpnb.errors import HostKeyChanged, HostKeyUnknown, LoginRefused
from rpnb.transport.certificates import Certificate
from rpnb.transport.keys import PublicKey, read_public
from rpnb.transport.ssh import SshTransport
from tests import sshd as servers
from tests.sshd import Sshd, make_key

pytestmark = pytest.mark.ssh

Connect = Callable[..., SshTransport]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the authorities are: `users` and `hosts` (one of each kind), `strangers`."""
    folder = tmp_path_factory.mktemp("authorities")
    if not servers.is_available():
        pytest.skip(servers.HOW_TO_ENABLE)
    for name in ("users", "strangers"):
        make_key(folder / name)
    for kind in ("ed25519", "rsa", "ecdsa"):
        make_key(folder / f"hosts-{kind}", kind=kind)
    return folder


@pytest.fixture(scope="module")
def certified(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server that lets in whom `users` vouches for, and shows a certificate itself."""
    place = tmp_path_factory.mktemp("sshd") / "certified"
    server = Sshd(
        place,
        TrustedUserCAKeys=str(folder / "users.pub"),
        HostCertificate=str(place / "host_key-cert.pub"),
        PubkeyAuthentication="yes",
    )
    yield server
    server.stop()


def _certify(authority: Path, key: Path, *options: str) -> Path:
    """Let the authority sign a key; return the certificate, `<key>-cert.pub`."""
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "a test's", *options]
    environment = {**os.environ, "TZ": "UTC"}
    subprocess.run([*command, f"{key}.pub"], check=True, capture_output=True, env=environment)
    return key.with_name(f"{key.name}-cert.pub")


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_user_certificate_beside_its_key_lets_in(
    kind: str, certified: Sshd, connect: Connect, folder: Path, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key", kind=kind)
    _certify(folder / "users", key, "-n", certified.user)
    assert connect(certified.target_of(key)).again().run("true").code == 0


def test_user_certificate_named_by_certificate_file_lets_in(
    certified: Sshd, connect: Connect, folder: Path, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key")
    named = _certify(folder / "users", key, "-n", certified.user).rename(tmp_path / "elsewhere.pub")
    other = tmp_path / "other.pub"
    other.write_text("no certificate\n")
    target = certified.target_of(key, CertificateFile=str(named))
    assert connect(target).run("true").code == 0
    with pytest.raises(LoginRefused, match=r"other.pub \(no certificate\); .*key. It takes pub"):
        connect(certified.target_of(key, CertificateFile=str(other)))


def test_user_certificate_of_the_agents_key_lets_in(
    certified: Sshd, connect: Connect, folder: Path, tmp_path: Path, agent: servers.Agent
) -> None:
    """The agent holds key and certificate; its listing has them as two."""
    key = make_key(tmp_path / "key", kind="rsa")
    _certify(folder / "users", key, "-n", certified.user)
    agent.add(key)
    key.unlink()
    transport = connect(certified.target_of(None, IdentityAgent=str(agent.path)))
    assert transport.run("true").code == 0


def test_user_certificate_that_is_no_good_gives_way_to_its_plain_key(
    certified: Sshd, connect: Connect, folder: Path, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key")
    _certify(folder / "users", key, "-n", certified.user, "-V", "20200101:20200102")
    expected = (
        f"tried: {key} with its certificate, which expired on 2020-01-02 00:00 UTC; {key}. It"
    )
    with pytest.raises(LoginRefused, match=re.escape(expected)):
        connect(certified.target_of(key))
    certified.authorize(key)
    assert connect(certified.target_of(key)).run("true").code == 0


HOSTS = [
    # Of which authority, ssh-keygen's options, the name in the authority's line, what is said.
    ("hosts-ed25519", ["-n", "127.0.0.1"], "*", None),
    ("hosts-rsa", ["-n", "127.0.0.1"], "[127.0.0.*]:*", None),
    ("hosts-ecdsa", ["-n", "other,127.*"], "127.0.0.1", None),
    ("hosts-ed25519", [], "*", None),
    ("hosts-ed25519", ["-n", "other"], "*", "is for other, not for 127.0.0.1"),
    ("hosts-ed25519", ["-V", "20200101:20200102"], "*", "expired on 2020-01-02 00:00 UTC"),
    ("hosts-ed25519", ["-V", "20990101:20990102"], "*", "is valid only from 2099-01-01 00:00 UTC"),
    ("hosts-ed25519", ["-n", "127.0.0.1"], "*.example.com", ""),
    ("strangers", ["-n", "127.0.0.1"], "*", "It has no certificate of the authority in"),
]


@pytest.mark.parametrize(("authority", "options", "names", "fault"), HOSTS)
def test_host_certificate_stands_for_a_known_key_where_it_is_valid(
    authority: str,
    options: list[str],
    names: str,
    fault: str | None,
    certified: Sshd,
    connect: Connect,
    folder: Path,
    tmp_path: Path,
) -> None:
    _certify(folder / authority, certified.host_key, "-h", *options)
    trusted = "hosts-ed25519" if authority == "strangers" else authority
    known = tmp_path / "known"
    known.write_text(f"@cert-authority {names} {(folder / f'{trusted}.pub').read_text()}")
    certified.stop()
    certified.start()
    target = certified.target_of(certified.key, UserKnownHostsFile=str(known))
    if fault is None:
        assert connect(target).again().run("true").code == 0
        assert known.read_text().count("\n") == 1
        return
    with pytest.raises(HostKeyUnknown) as caught:
        connect(target)
    assert f"nobody has accepted yet: {_title(certified)}. " in str(caught.value)
    assert fault in str(caught.value)
    # The key inside may still be accepted, or be known, as with ssh.
    connect(target, ask=lambda question: fault in question)
    assert connect(target).run("true").code == 0


@pytest.mark.parametrize("which", ["the key", "the authority"])
def test_host_certificate_is_refused_where_its_key_or_authority_is_revoked(
    which: str, certified: Sshd, connect: Connect, folder: Path, tmp_path: Path
) -> None:
    _certify(folder / "hosts-ed25519", certified.host_key, "-h", "-n", "127.0.0.1")
    certified.stop()
    certified.start()
    authority = (folder / "hosts-ed25519.pub").read_text()
    revoked = authority if which == "the authority" else _public(certified)
    known = tmp_path / "known"
    known.write_text(f"@cert-authority * {authority}@revoked * {revoked}")
    with pytest.raises(HostKeyChanged, match="known, line 2 marks as revoked"):
        connect(certified.target_of(certified.key, UserKnownHostsFile=str(known)))


def test_host_certificate_is_shown_only_where_an_authority_is_known(
    certified: Sshd, connect: Connect
) -> None:
    """A server has both; a plain key that is known must be enough."""
    assert connect(certified.target).run("true").code == 0


@pytest.fixture
def certificate(folder: Path, tmp_path: Path) -> Certificate:
    """A certificate for a host, of `hosts-ed25519`."""
    key = make_key(tmp_path / "key")
    path = _certify(folder / "hosts-ed25519", key, "-h", "-n", "gpu")
    return Certificate.parse(_read(path))


def test_certificate_says_what_ssh_keygen_put_in(certificate: Certificate, tmp_path: Path) -> None:
    assert certificate.key == _read(tmp_path / "key.pub")
    assert (certificate.key_id, certificate.principals) == ("a test's", ("gpu",))
    assert certificate.fault_for_host("gpu") is None


def test_certificate_for_users_is_none_for_hosts(folder: Path, tmp_path: Path) -> None:
    path = _certify(folder / "users", make_key(tmp_path / "key"), "-n", "gpu")
    assert Certificate.parse(_read(path)).fault_for_host("gpu") == "is not one for hosts"


def test_certificate_with_critical_options_vouches_for_no_host(
    folder: Path, tmp_path: Path
) -> None:
    options = ["-h", "-n", "gpu", "-O", "critical:new@example.com=1"]
    path = _certify(folder / "users", make_key(tmp_path / "key"), *options)
    assert "critical options" in str(Certificate.parse(_read(path)).fault_for_host("gpu"))


def test_certificate_signed_with_sha1_vouches_for_nothing(folder: Path, tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    path = _certify(folder / "hosts-rsa", key, "-h", "-n", "gpu", "-t", "ssh-rsa")
    assert Certificate.parse(_read(path)).fault_for_host("gpu") == "is not signed by its authority"


def test_certificate_with_any_byte_changed_is_refused(certificate: Certificate) -> None:
    """One bit anywhere: it is no certificate, or not signed, or of another authority."""
    blob, authority = certificate.whole.blob, certificate.authority
    for place in range(len(blob)):
        changed = blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
        try:
            found = Certificate.parse(PublicKey(certificate.whole.kind, changed))
        except ValueError:
            continue
        assert found.authority != authority or found.fault_for_host("gpu"), place


def test_certificate_that_is_cut_short_is_none(certificate: Certificate) -> None:
    for size in range(len(certificate.whole.blob)):
        whole = PublicKey(certificate.whole.kind, certificate.whole.blob[:size])
        with pytest.raises(ValueError, match="expected|bytes|kind"):
            Certificate.parse(whole)


def _read(path: Path) -> PublicKey:
    found = read_public(str(path))
    assert found is not None
    return found


def _public(server: Sshd) -> str:
    return server.host_key.with_name("host_key.pub").read_text()


def _title(server: Sshd) -> str:
    key = _read(server.host_key.with_name("host_key.pub"))
    return f"{key.title} {key.fingerprint}"
