"""Key files as people have them: each kind, format and state, read and used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rpnb.transport.keys import LockedKey, PublicKey, UnreadableKey, load, public_of, read_public
from tests.sshd import PASSWORD, make_key

# What ssh-keygen is told besides the kind, and how the file begins.
FORMATS = [
    ("ed25519", [], "-----BEGIN OPENSSH PRIVATE KEY-----"),
    ("rsa", [], "-----BEGIN OPENSSH PRIVATE KEY-----"),
    ("ecdsa", [], "-----BEGIN OPENSSH PRIVATE KEY-----"),
    ("ed25519", ["-Z", "aes256-gcm@openssh.com"], "-----BEGIN OPENSSH PRIVATE KEY-----"),
    ("rsa", ["-m", "PEM"], "-----BEGIN RSA PRIVATE KEY-----"),
    ("ecdsa", ["-m", "PEM"], "-----BEGIN EC PRIVATE KEY-----"),
    ("rsa", ["-m", "PKCS8"], "-----BEGIN "),
    ("ecdsa", ["-m", "PKCS8"], "-----BEGIN "),
]


def _make(folder: Path, kind: str, options: list[str], passphrase: str) -> Path:
    path = folder / "key"
    size = ["-b", "2048"] if kind == "rsa" else []
    command = ["ssh-keygen", "-q", "-t", kind, *size, *options, "-a", "1", "-N", passphrase]
    subprocess.run([*command, "-f", str(path)], check=True, capture_output=True)
    return path


@pytest.mark.ssh
@pytest.mark.parametrize("passphrase", ["", PASSWORD])
@pytest.mark.parametrize(("kind", "options", "head"), FORMATS)
def test_key_of_each_format_is_read_with_its_passphrase(
    kind: str, options: list[str], head: str, passphrase: str, tmp_path: Path
) -> None:
    path = _make(tmp_path, kind, options, passphrase)
    assert path.read_text().startswith(head)
    public = read_public(f"{path}.pub")
    if passphrase:
        for wrong in (None, "", "not it"):
            with pytest.raises(LockedKey):
                load(str(path), wrong)
    assert PublicKey.from_blob(load(str(path), passphrase or None).asbytes()) == public


@pytest.mark.ssh
@pytest.mark.parametrize("passphrase", ["", PASSWORD])
def test_key_in_openssh_format_shows_its_public_half_unasked(
    passphrase: str, tmp_path: Path
) -> None:
    path = make_key(tmp_path / "key", passphrase)
    beside = path.with_name("key.pub")
    expected = read_public(str(beside))
    beside.unlink()
    assert public_of(str(path)) == expected is not None


@pytest.mark.ssh
def test_key_with_other_line_ends_is_read(tmp_path: Path) -> None:
    path = make_key(tmp_path / "key")
    path.write_bytes(b"\r\n" + path.read_bytes().replace(b"\n", b"\r\n").rstrip())
    assert PublicKey.from_blob(load(str(path)).asbytes()) == read_public(f"{path}.pub")


UNREADABLE = {
    "not a key": "not a key that can be read here",
    "": "not a key that can be read here",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n": "not a key",
    "PuTTY-User-Key-File-3: ssh-ed25519\n": "a key of PuTTY's: 'puttygen",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4i me\n": "a public key",
}


@pytest.mark.parametrize(("text", "reason"), UNREADABLE.items())
def test_key_file_that_is_none_says_why(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(UnreadableKey) as caught:
        load(str(path))
    assert reason in str(caught.value)


def test_key_file_that_may_not_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(UnreadableKey, match="Is a directory"):
        load(str(tmp_path))
    assert public_of(str(tmp_path)) is None


@pytest.mark.ssh
def test_key_of_a_kind_that_only_the_agent_can_use_names_ssh_add(tmp_path: Path) -> None:
    path = _make(tmp_path, "ed25519", ["-Z", "chacha20-poly1305@openssh.com"], PASSWORD)
    with pytest.raises(UnreadableKey, match=f"'ssh-add {path}' lends it"):
        load(str(path), PASSWORD)


@pytest.mark.parametrize(
    "words", [[], ["ssh-rsa"], ["ssh-rsa", "%%"], ["ssh-rsa", "AAAAC3NzaC1lZDI1NTE5"]]
)
def test_public_key_of_other_words_is_none(words: list[str]) -> None:
    assert PublicKey.from_words(words) is None
