"""Routes to a host: jump hosts to any depth, ProxyCommand, IPv6, aliases as people write them."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpnb.errors import BadTarget, CannotReach, HostKeyUnknown
from rpnb.transport.ssh import SshTransport
from tests import sshd as servers
from tests.sshd import PASSWORD, Sshd, User, make_key
from tests.transport.answers import Answers

pytestmark = pytest.mark.ssh

Connect = Callable[..., SshTransport]


class Net:
    """Three servers: `outer` and `inner` are jump hosts, `last` is behind them."""

    def __init__(self, folder: Path) -> None:
        guests = (User("guest"),) if servers.may_have_users() else ()
        options = {"PasswordAuthentication": "yes", "PermitRootLogin": "yes"} if guests else {}
        self.outer = Sshd(folder / "outer", users=guests, **options)  # type: ignore[arg-type]
        self.inner, self.last = Sshd(folder / "inner"), Sshd(folder / "last")
        self.all = {"outer": self.outer, "inner": self.inner, "last": self.last}

    def config(self, folder: Path, **more: str) -> Path:
        """Write an ssh_config with an alias for each server, `more` lines for some."""
        blocks = [
            f"Host {alias}\n HostName 127.0.0.1\n Port {one.port}\n User {one.user}\n"
            f" IdentityFile {one.key}\n IdentityAgent none\n"
            f" UserKnownHostsFile {one.known_hosts}\n{more.get(alias, '')}\n"
            for alias, one in self.all.items()
        ]
        path = folder / "ssh_config"
        path.write_text("".join(blocks))
        return path


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    if not servers.is_available():
        pytest.skip(servers.HOW_TO_ENABLE)
    net = Net(tmp_path_factory.mktemp("net"))
    yield net
    for server in net.all.values():
        server.stop()


def _ports(transport: SshTransport) -> list[int]:
    """The ports of the route, and the last one as the host itself sees it."""
    seen = transport.run("echo $SSH_CONNECTION").stdout.split()[3]
    return [*(hop.settings.port for hop in transport._hops), int(seen)]


ROUTES = [
    # What is typed, lines of aliases' own, the hops.
    ("-J outer last", {}, ["outer", "last"]),
    ("-J outer,inner last", {}, ["outer", "inner", "last"]),
    ("last", {"last": "ProxyJump inner", "inner": "ProxyJump outer"}, ["outer", "inner", "last"]),
    (
        "-J inner last",
        {"last": "ProxyJump no", "inner": "ProxyJump outer"},
        ["outer", "inner", "last"],
    ),
    (
        "last",
        {"last": "ProxyJump outer,inner", "inner": "ProxyJump no"},
        ["outer", "inner", "last"],
    ),
    ("-o ProxyJump=none last", {"last": "ProxyJump no"}, ["last"]),
    ("last", {"last": "ProxyJump outer", "outer": "ProxyCommand none"}, ["outer", "last"]),
    ("last", {"last": "ProxyJump ssh://outer"}, ["outer", "last"]),
]


@pytest.mark.parametrize(("typed", "more", "hops"), ROUTES)
def test_route_is_the_one_that_ssh_takes(
    typed: str, more: dict[str, str], hops: list[str], net: Net, connect: Connect, tmp_path: Path
) -> None:
    """Each hop has its own port, key and known_hosts; only its alias knows them."""
    transport = connect(f"ssh -F {net.config(tmp_path, **more)} {typed}")
    ports = [net.all[name].port for name in hops]
    assert _ports(transport) == [*ports, ports[-1]]
    assert _ports(transport.again()) == [*ports, ports[-1]]


def test_route_may_be_long(net: Net, connect: Connect, tmp_path: Path) -> None:
    chain = ",".join(["outer", "inner"] * 5)
    transport = connect(f"ssh -F {net.config(tmp_path)} -J {chain} last")
    assert len(_ports(transport)) == 12


def test_route_takes_user_and_port_of_each_hop_as_typed(
    net: Net, connect: Connect, tmp_path: Path
) -> None:
    outer = net.outer
    lines = f"Host 127.0.0.1\n IdentityFile {outer.key}\n UserKnownHostsFile {outer.known_hosts}\n"
    config = net.config(tmp_path)
    config.write_text(lines + config.read_text())
    transport = connect(f"ssh -F {config} -J {outer.user}@127.0.0.1:{outer.port} last")
    assert _ports(transport) == [outer.port, net.last.port, net.last.port]


def test_route_asks_once_for_a_key_that_several_hops_take(
    net: Net, connect: Connect, tmp_path: Path
) -> None:
    key, person = make_key(tmp_path / "key", PASSWORD), Answers(PASSWORD)
    for one in (net.outer, net.inner):
        one.authorize(key)
    lines = f" IdentityFile {key}\n IdentitiesOnly yes"
    config = net.config(tmp_path)
    config.write_text(re.sub(" IdentityFile .*", lines, config.read_text()))
    transport = connect(f"ssh -F {config} -J outer inner", ask_secret=person)
    transport.again().close()
    assert person.asked == [f"Passphrase of {key}: "]


def test_route_asks_for_the_jump_hosts_password_by_its_name(
    net: Net, connect: Connect, tmp_path: Path
) -> None:
    if not servers.may_have_users():
        pytest.skip(servers.NO_USERS)
    person = Answers(PASSWORD)
    connect(
        f"ssh -F {net.config(tmp_path)} -J guest@outer -o IdentitiesOnly=yes last",
        ask_secret=person,
    )
    config = net.config(tmp_path, outer="PubkeyAuthentication no")
    connect(f"ssh -F {config} -J guest@outer last", ask_secret=person)
    assert person.asked == ["Password of guest@outer: "]


def test_route_with_unknown_hosts_is_accepted_by_their_fingerprints(
    net: Net, connect: Connect, tmp_path: Path
) -> None:
    """What the errors print is pasted: the second names both."""
    fresh = tmp_path / "fresh"
    config = net.config(tmp_path)
    text = re.sub("UserKnownHostsFile .*", f"UserKnownHostsFile {fresh}", config.read_text())
    config.write_text(text.replace(str(fresh), "/dev/null"))
    target, option = f"ssh -F {config} -J outer last", None
    for name in ("outer", "last"):
        port = net.all[name].port
        with pytest.raises(HostKeyUnknown, match=f"^{name} .127.0.0.1:{port}. shows") as caught:
            connect(target, accept_key=option)
        option = str(caught.value).rpartition("--accept-key ")[2]
    assert connect(target, accept_key=option).run("true").code == 0


def test_route_to_a_port_where_nobody_listens_names_it(
    net: Net, connect: Connect, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        config = net.config(tmp_path)
        with pytest.raises(CannotReach) as caught:
            connect(f"ssh -F {config} -J outer -p {port} last")
    assert f"jump host outer cannot connect to 127.0.0.1:{port}: Connect" in str(caught.value)


def test_route_over_a_host_that_forbids_forwarding_says_so(
    server: Callable[..., Sshd], net: Net, connect: Connect, tmp_path: Path
) -> None:
    strict = server(AllowTcpForwarding="no")
    config = net.config(tmp_path)
    config.write_text(
        f"Host strict\n HostName 127.0.0.1\n Port {strict.port}\n IdentityFile {strict.key}\n"
        f" UserKnownHostsFile {strict.known_hosts}\n{config.read_text()}"
    )
    with pytest.raises(CannotReach) as caught:
        connect(f"ssh -F {config} -J strict last")
    assert "the jump host strict forbids forwarding (AllowTcpForwarding in its sshd_config)" in str(
        caught.value
    )


def test_route_in_a_circle_is_refused(connect: Connect, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host a\n ProxyJump b\nHost b\n ProxyJump a\n")
    with pytest.raises(BadTarget, match="a circle"):
        connect(f"ssh -F {config} a")


def test_proxy_command_leads_to_the_host(net: Net, connect: Connect, tmp_path: Path) -> None:
    config = net.config(tmp_path)
    command = f"ProxyCommand=ssh -F {config} -W %h:%p outer"
    transport = connect(f"ssh -F {config} -o '{command}' last")
    assert transport.again().run("echo there").stdout == "there\n"


PROXIES = {
    "echo 'no such tunnel' >&2; exit 1": "Its ProxyCommand says: no such tunnel Is the",
    "for i in 1 2 3 4 5 6 7; do echo $i; done >&2": "Its ProxyCommand says: 3 · 4 · 5 · 6 · 7 Is",
    "exec no-such-command-at-all": "not found",
    "echo 'visit https://x.example' >&2; sleep 60": "visit https://x.example Is the",
}


@pytest.mark.parametrize(("command", "words"), PROXIES.items())
def test_proxy_command_that_fails_is_quoted(
    command: str, words: str, net: Net, connect: Connect, tmp_path: Path
) -> None:
    heard: list[str] = []
    # The one that sleeps is given up; the others have time to say why they end.
    seconds = 2 if "sleep" in command else 20
    config = net.config(tmp_path, last=f"ProxyCommand sh -c {command!r}\nConnectTimeout {seconds}")
    with pytest.raises(CannotReach) as caught:
        connect(f"ssh -F {config} last", tell=heard.append)
    assert words in str(caught.value)
    if "visit" in command:
        assert heard == ["visit https://x.example"]


@pytest.fixture(scope="module")
def sixth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server on the IPv6 loopback address."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 on this machine")
    if not servers.is_available():
        pytest.skip(servers.HOW_TO_ENABLE)
    server = Sshd(tmp_path_factory.mktemp("sixth") / "sshd", address="::1")
    yield server
    server.stop()


def _config_of(sixth: Sshd) -> str:
    return (
        f"Host six\n HostName ::1\n Port {sixth.port}\nHost six ::1\n User {sixth.user}\n"
        f" IdentityFile {sixth.key}\n UserKnownHostsFile {sixth.known_hosts}\n"
    )


@pytest.mark.parametrize("form", ["{user}@[::1]:{port}", "ssh://{user}@[::1]:{port}", "six"])
def test_address_of_ipv6_is_reached_in_each_form(
    form: str, sixth: Sshd, connect: Connect, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(_config_of(sixth))
    form = form.format(user=sixth.user, port=sixth.port)
    assert connect(f"ssh -F {config} {form}").run("true").code == 0


@pytest.mark.parametrize("form", ["{user}@[::1]:{port}", "six"])
def test_jump_host_of_ipv6_is_reached_in_each_form(
    form: str, sixth: Sshd, net: Net, connect: Connect, tmp_path: Path
) -> None:
    config = net.config(tmp_path)
    config.write_text(_config_of(sixth) + config.read_text())
    form = form.format(user=sixth.user, port=sixth.port)
    assert _ports(connect(f"ssh -F {config} -J {form} last"))[0] == sixth.port


def test_address_family_of_the_configuration_is_kept_to(sixth: Sshd, connect: Connect) -> None:
    target = sixth.target_of(sixth.key)
    assert connect(target.replace("-i", "-o AddressFamily=inet6 -i")).run("true").code == 0
    with pytest.raises(CannotReach, match="is neither an alias in"):
        connect(target.replace("-i", "-o AddressFamily=inet -i"))


WRITTEN = {
    "windows": lambda text: text.replace("\n", "\r\n"),
    "include": lambda text: text,
    "match": lambda text: text.replace("Host last", "Match originalhost last"),
    "equals": lambda text: re.sub(r"^ (\w+) ", r" \1 = ", text, flags=re.MULTILINE),
    "quoted": lambda text: re.sub(r"IdentityFile (.*)", r'IdentityFile "\1"', text),
}


@pytest.mark.parametrize("has_ssh", [True, False])
@pytest.mark.parametrize("style", WRITTEN)
def test_alias_is_found_however_the_configuration_is_written(
    style: str,
    has_ssh: bool,
    net: Net,
    connect: Connect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = net.config(tmp_path)
    config.write_bytes(WRITTEN[style](config.read_text()).encode())
    if style == "include":
        config.rename(tmp_path / "part.conf")
        config.write_text(f"Include {tmp_path}/*.conf {tmp_path}/none\nHost *\n Compression no\n")
    if not has_ssh:
        monkeypatch.setenv("PATH", str(tmp_path))
    transport = connect(f"ssh -F {config} last")
    assert (transport.target.label, _ports(transport)[0]) == ("last", net.last.port)


def test_alias_by_match_exec_is_found_or_its_reader_named(
    net: Net, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = net.config(tmp_path)
    config.write_text(
        f'Match exec "test %n = gpu"\n HostName 127.0.0.1\n Port {net.last.port}\n'
        f" IdentityFile {net.last.key}\n UserKnownHostsFile {net.last.known_hosts}\n"
    )
    assert _ports(connect(f"ssh -F {config} gpu"))[0] == net.last.port
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadTarget, match="'Match exec', which only ssh can read, and there is no"):
        connect(f"ssh -F {config} gpu")


def test_alias_with_home_tokens_and_variables_finds_its_key(
    net: Net, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KEYS", "keys")
    (tmp_path / "keys").mkdir()
    shutil.copy(net.last.key, tmp_path / "keys" / "of-127.0.0.1-last")
    config = net.config(tmp_path)
    text = config.read_text().replace(str(net.last.key), "~/${KEYS}/of-%h-%n")
    config.write_text(
        text.replace(str(net.last.known_hosts), f"%d/known-%n {net.last.known_hosts}")
    )
    assert connect(f"ssh -F {config} last").run("true").code == 0
