"""Which hosts are trusted: the same known_hosts and settings, asked of ssh itself and of rpnb."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rpnb.errors import BadTarget, HostKeyChanged, HostKeyUnknown
from rpnb.transport.ssh import SshTransport
from rpnb.transport.targets import parse
from tests.sshd import Sshd, make_key

pytestmark = pytest.mark.ssh

Connect = Callable[..., SshTransport]

# {name} is the server as known_hosts names it, {K} its key, {O} another of its kind, {R} one of
# another kind, {C} the other's certificate authority line. None of it is what rpnb itself wrote.
TEXTS = {
    "plain": "{name} {K}\n",
    "comment": "{name} {K} me@laptop, since 2024\n",
    "no end": "{name} {K}",
    "windows": "# mine\r\n\r\n{name} {K}\r\n",
    "spaces": "  \t{name}\t {K}  \n",
    "several names": "other,{name},third {K}\n",
    "without the port": "127.0.0.1 {K}\n",
    "other port": "[127.0.0.1]:1 {K}\n",
    "upper case": "[LOCALHOST]:1,{name} {K}\n",
    "wildcard": "*:{port} {K}\n",
    "question marks": "[127.?.?.1]:* {K}\n",
    "negated": "*,!{name} {K}\n",
    "negated other": "*,!other {K}\n",
    "second of two": "{name} {O}\n{name} {K}\n",
    "second of two kinds": "{name} {R}\n{name} {K}\n",
    "changed": "{name} {O}\n",
    "changed on a wildcard": "* {O}\n",
    "other kind": "{name} {R}\n",
    "unknown kind": "{name} ssh-new AAAAB3NzaC1uZXc=\n",
    "unknown kind and known": "{name} ssh-new AAAAB3NzaC1uZXc=\n{name} {K}\n",
    "old kind": "{name} ssh-dss AAAAB3NzaC1kc3MAAAABAQAAAAEBAAAAAQEAAAABAQ==\n",
    "old ssh": "{name} 1024 35 12345678901234567890 me\n{name} {K}\n",
    "broken lines": "{name}\n{name} ssh-ed25519\n{name} ssh-ed25519 !!!\n\xff\xfe\n{name} {K}\n",
    "wrong kind": "{name} ssh-rsa {K_blob}\n",
    "unknown marker": "@novel {name} {K}\n",
    "revoked": "{name} {K}\n@revoked * {K}\n",
    "revoked for others": "{name} {K}\n@revoked other {K}\n",
    "revoked other": "{name} {K}\n@revoked * {O}\n",
    "authority only": "@cert-authority * {K}\n",
    "marker with a comment": "# @revoked * {K}\n{name} {K}\n",
    "empty": "",
}
# What `yes` and `no` are asked about: for the rest they are like `ask` and `accept-new`.
SETTLED = ("plain", "changed", "empty", "other kind", "revoked")
# Here rpnb refuses what ssh takes: another key than the accepted one, or one that is revoked, is
# refused whatever the settings say.
STRICTER = {(case, "no") for case in ("changed", "other kind", "revoked")}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The fields of the texts that no server changes."""
    folder = tmp_path_factory.mktemp("keys")
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen here")
    found = {}
    for letter, kind in (("O", "ed25519"), ("R", "rsa")):
        public = make_key(folder / letter, kind=kind).with_name(f"{letter}.pub").read_text()
        found[letter] = " ".join(public.split()[:2])
    return found


def _fields(sshd: Sshd, keys: dict[str, str]) -> dict[str, str]:
    kind, blob = sshd.host_key.with_name("host_key.pub").read_text().split()[:2]
    return {
        **keys,
        "name": sshd.name,
        "port": str(sshd.port),
        "K": f"{kind} {blob}",
        "K_blob": blob,
    }


def _ssh(target: str) -> bool:
    """Whether ssh itself lets the target's host be, with nobody to ask."""
    words = parse(target).arguments
    command = ["ssh", "-o", "BatchMode=yes", "-o", "UpdateHostKeys=no", *words, "true"]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0


def _rpnb(connect: Connect, target: str) -> bool:
    try:
        connect(target).close()
    except (HostKeyUnknown, HostKeyChanged):
        return False
    return True


@pytest.mark.parametrize(
    ("case", "strict"),
    [
        (case, strict)
        for case in TEXTS
        for strict in ("ask", "accept-new", "no", "yes")
        if strict in ("ask", "accept-new") or case in SETTLED
    ],
)
def test_trust_is_that_of_ssh(
    case: str, strict: str, sshd: Sshd, connect: Connect, keys: dict[str, str], tmp_path: Path
) -> None:
    text = TEXTS[case].format(**_fields(sshd, keys)).encode("latin-1")
    asked = []
    for who in ("ssh", "rpnb"):
        known = tmp_path / who
        known.write_bytes(text)
        options = {"UserKnownHostsFile": str(known), "StrictHostKeyChecking": strict}
        target = sshd.target_of(sshd.key, **options, GlobalKnownHostsFile="/dev/null")
        asked.append(_ssh(target) if who == "ssh" else _rpnb(connect, target))
    expected = asked[0] and (case, strict) not in STRICTER
    assert asked[1] == expected
    if expected and strict != "ask":
        # What either wrote down the other takes.
        (tmp_path / "both").write_bytes(known.read_bytes())
        options = {"UserKnownHostsFile": str(tmp_path / "both"), "StrictHostKeyChecking": "yes"}
        assert _ssh(sshd.target_of(sshd.key, **options))


# Files of known hosts by name, and options of ssh that use them.
FILES = {
    "good": "{name} {K}\n",
    "empty": "",
    "pods": "pods {K}\n",
    "one": "{K} me\n# a comment\n",
    "other": "{O}\n",
    "with space": "{name} {K}\n",
}
SETTINGS = [
    {"UserKnownHostsFile": "{d}/empty {d}/no {d}/good"},
    {"UserKnownHostsFile": "{d}/empty", "GlobalKnownHostsFile": "{d}/no {d}/good"},
    {"UserKnownHostsFile": "none", "GlobalKnownHostsFile": "{d}/good"},
    {"UserKnownHostsFile": "none"},
    {"UserKnownHostsFile": '"{d}/with space"'},
    {"UserKnownHostsFile": "{d}/pods", "HostKeyAlias": "PODS"},
    {"UserKnownHostsFile": "{d}/good", "HostKeyAlias": "pods"},
    {"UserKnownHostsFile": "{d}/good", "RevokedHostKeys": "{d}/other"},
    {"UserKnownHostsFile": "{d}/good", "RevokedHostKeys": "{d}/one"},
    {"UserKnownHostsFile": "{d}/good", "RevokedHostKeys": "{d}/krl"},
    {"UserKnownHostsFile": "{d}/good", "RevokedHostKeys": "{d}/krl-of-others"},
    {"UserKnownHostsFile": "{d}/good", "RevokedHostKeys": "{d}/no"},
    {"UserKnownHostsFile": "{d}/good", "RevokedHostKeys": "none"},
]


@pytest.mark.parametrize("options", SETTINGS, ids=lambda options: ",".join(options.values()))
def test_trust_follows_the_settings_as_ssh_does(
    options: dict[str, str], sshd: Sshd, connect: Connect, keys: dict[str, str], tmp_path: Path
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text.format(**_fields(sshd, keys)))
    for name, listed in (("krl", "one"), ("krl-of-others", "other")):
        command = ["ssh-keygen", "-q", "-k", "-f", tmp_path / name, tmp_path / listed]
        subprocess.run(command, check=True)
    settings = {name: value.format(d=tmp_path) for name, value in options.items()}
    config = tmp_path / "config"
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    target = sshd.target_of(sshd.key).replace("/dev/null", str(config))
    target = target.replace(f"-o UserKnownHostsFile={sshd.known_hosts}", "")
    if settings.get("RevokedHostKeys", "").endswith("/no"):
        with pytest.raises(BadTarget, match="RevokedHostKeys of 127.0.0.1 .* cannot be read, so"):
            connect(target)
        assert not _ssh(target)
        return
    assert _rpnb(connect, target) == _ssh(target)
