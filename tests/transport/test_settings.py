from __future__ import annotations

import getpass
import shutil
from pathlib import Path

import pytest

from rpnb.errors import BadTarget
from rpnb.transport.settings import Settings, read, route
from rpnb.transport.targets import parse

CONFIG = """
Host pod
    HostName 203.0.113.7
    Port 17543
    User me
    IdentityFile ~/keys/%h
    IdentityFile ~/keys/two
    IdentitiesOnly yes
    UserKnownHostsFile ~/pods ~/more
    StrictHostKeyChecking accept-new
    HashKnownHosts yes
    ConnectTimeout 3
Host behind
    HostName 10.0.0.2
    ProxyJump you@pod:22
Host named
    HostKeyAlias Pods
Host tunnel
    ProxyCommand nc --user %r %h %p
Host silent
    IdentityAgent none
    IdentityFile none
    UserKnownHostsFile none
Host *
    User someone
"""

TYPED = [
    "ssh -F {} pod",
    "ssh -F {} -p 99 -l you -i own pod",
    "ssh -F {} -o Port=98 -o StrictHostKeyChecking=no pod",
    "ssh -F {} behind",
    "ssh -F {} -J one,two:2 behind",
    "ssh -F {} named",
    "ssh -F {} tunnel",
    "ssh -F {} silent",
    "ssh -F {} other.example.com",
    "ssh -F {} -p 22 2001:db8::1",
]


@pytest.fixture(params=["ssh -G", "paramiko"])
def config(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration above, read by ssh and by what stands in for it by turns."""
    if request.param == "paramiko":
        monkeypatch.setenv("PATH", str(tmp_path))
    elif shutil.which("ssh") is None:
        pytest.skip("no ssh here; enable with: apt-get install openssh-client")
    path = tmp_path / "config"
    path.write_text(CONFIG)
    return path


def _read(text: str, config: Path) -> Settings:
    return read(parse(text.format(config)))


def test_alias_leads_to_its_address(config: Path) -> None:
    settings = _read("ssh -F {} pod", config)
    assert (settings.user, settings.address) == ("me", "203.0.113.7:17543")


def test_alias_gives_its_keys_with_tokens_filled_in(config: Path) -> None:
    settings = _read("ssh -F {} pod", config)
    home = Path.home()
    assert settings.identities == (f"{home}/keys/203.0.113.7", f"{home}/keys/two")
    assert settings.identities_only


def test_alias_gives_its_host_key_rules(config: Path) -> None:
    settings = _read("ssh -F {} pod", config)
    home = Path.home()
    assert settings.known_hosts == (home / "pods", home / "more")
    assert (settings.strict, settings.hash_names) == ("accept-new", True)
    assert settings.key_name == "[203.0.113.7]:17543"


def test_options_overrule_the_configuration(config: Path) -> None:
    settings = _read("ssh -F {} -p 99 -l you -i own -o ConnectTimeout=7 pod", config)
    assert (settings.port, settings.user, settings.timeout) == (99, "you", 7)
    assert settings.identities[0] == "own"


def test_option_named_in_full_overrules_too(config: Path) -> None:
    settings = _read("ssh -F {} -o Port=98 -o StrictHostKeyChecking=no pod", config)
    assert (settings.port, settings.strict) == (98, "no")


def test_host_without_an_alias_has_ssh_defaults(config: Path) -> None:
    settings = _read("ssh -F {} other", config)
    assert (settings.host, settings.port, settings.user) == ("other", 22, "someone")
    assert (settings.key_name, settings.strict, settings.timeout) == ("other", "ask", 10)
    assert f"{Path.home()}/.ssh/id_ed25519" in settings.usual_identities
    assert Path.home() / ".ssh" / "known_hosts" in settings.known_hosts


def test_host_key_alias_is_the_name_in_known_hosts(config: Path) -> None:
    assert _read("ssh -F {} named", config).key_name == "pods"


def test_proxy_command_gets_its_tokens(config: Path) -> None:
    assert _read("ssh -F {} tunnel", config).proxy_command == "nc --user someone tunnel 22"


def test_agent_keys_and_files_can_be_turned_off(config: Path) -> None:
    settings = _read("ssh -F {} silent", config)
    assert settings.agent is None
    assert (settings.identities, settings.usual_identities) == ((), ())
    assert settings.known_hosts == ()


def test_agent_is_the_environments(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent")
    assert _read("ssh -F {} pod", config).agent == "/tmp/agent"


def test_route_lists_the_hops_in_order(config: Path) -> None:
    hops = route(parse(f"ssh -F {config} behind"))
    assert [(hop.user, hop.host, hop.port) for hop in hops] == [
        ("you", "203.0.113.7", 22),
        ("someone", "10.0.0.2", 22),
    ]


def test_route_through_several_jump_hosts_keeps_their_order(config: Path) -> None:
    hops = route(parse(f"ssh -F {config} -J one,two:2 behind"))
    assert [(hop.host, hop.port) for hop in hops] == [("one", 22), ("two", 2), ("10.0.0.2", 22)]


def test_route_that_leads_through_itself_is_refused(config: Path) -> None:
    config.write_text("Host *\n ProxyJump jump\n")
    with pytest.raises(BadTarget, match="loop|circle"):
        route(parse(f"ssh -F {config} pod"))


@pytest.mark.parametrize("host", ["ssh.runpod.io", "k3x9@ssh.runpod.io", "pod"])
def test_route_that_ends_at_runpods_proxy_names_the_other_line(host: str, config: Path) -> None:
    config.write_text("Host pod\n HostName ssh.runpod.io\n")
    with pytest.raises(BadTarget, match="'SSH over exposed TCP'"):
        route(parse(f"ssh -F {config} {host}"))


@pytest.mark.skipif(shutil.which("ssh") is None, reason="compares with ssh")
@pytest.mark.parametrize("text", TYPED)
def test_both_readers_agree(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text(CONFIG)
    by_ssh = _read(text, config)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _read(text, config) == by_ssh


def test_port_that_is_no_number_is_refused(config: Path) -> None:
    config.write_text("Host pod\n Port many\n")
    with pytest.raises(BadTarget, match="many|[Bb]ad (port|number)"):
        _read("ssh -F {} pod", config)


def test_user_is_the_one_here_where_nobody_says(tmp_path: Path) -> None:
    assert read(parse("ssh -F /dev/null host")).user == getpass.getuser()
