"""Login shells and hosts as people have them: they print, run something else, or forbid."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpnb.errors import CannotReach
from rpnb.session import bootstrap
from rpnb.transport.ssh import SshTransport
from tests import sshd as servers
from tests.sshd import Sshd, User, make_key
from tests.transport.echo import Listener, bridge, echo
from tests.transport.otherserver import OtherServer, Rules

pytestmark = pytest.mark.ssh

Connect = Callable[..., SshTransport]
Server = Callable[..., Sshd]
Listen = Callable[..., Listener]

SHELLS = {name: shutil.which(name) for name in ("sh", "bash", "dash", "zsh", "fish", "tcsh")}
# What each shell reads before a command, and how it prints there without an end of line.
GREETINGS = {
    ".bashrc": "printf 'Welcome \\033[1m'",
    ".zshenv": "printf 'Welcome \\033[1m'",
    ".tcshrc": "printf 'Welcome '",
    ".config/fish/config.fish": "printf 'Welcome '",
}
# Each character in it means something to some shell.
AWKWARD = "it's !1 \"home\" of $HOME `id` \\' & ~;{a,b}"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server with a user for each shell, and for each login that is none."""
    if not servers.is_available():
        pytest.skip(servers.HOW_TO_ENABLE)
    if not servers.may_have_users():
        pytest.skip(servers.NO_USERS)
    users = [User(name, path) for name, path in SHELLS.items() if path]
    users += [User("nologin", "/usr/sbin/nologin"), User("none", "/bin/false")]
    server = Sshd(
        tmp_path_factory.mktemp("sshd") / "shells",
        users=tuple(users),
        PermitRootLogin="yes",
        Subsystem="sftp internal-sftp",
    )
    for name, text in GREETINGS.items():
        (server.home / name).parent.mkdir(parents=True, exist_ok=True)
        (server.home / name).write_text(f"{text}\n")
    yield server
    server.stop()


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_of_each_make_runs_the_agent(
    shell: str, hosts: Sshd, connect: Connect, tmp_path: Path
) -> None:
    """It greets whoever comes, and the agent's folder has a name of the worst kind."""
    if not SHELLS[shell]:
        pytest.skip(f"no {shell} here; enable with: apt-get install {shell}")
    home = tmp_path / AWKWARD
    key = hosts.account(f"id_{shell}", {"RPNB_HOME": str(home)})
    transport = connect(hosts.target_of(key, shell))
    done = transport.run("cat; printf '%s\\n' 'a\\b $0' \"!\"; echo problem >&2; exit 3", b"in\n")
    assert (done.code, done.stdout) == (3, "in\na\\b $0\n!\n")
    assert done.stderr.endswith("problem\n")
    for _ in ("sent first", "found then"):
        assert bootstrap.census(transport, python=sys.executable)["workers"] == []
    assert [path.suffix for path in home.glob("agent-*")] == [".pyz"]


USELESS = {
    # The account, authorized_keys' options, what is said.
    "no login": ("nologin", "", "status 1 and printed: This account is currently not available."),
    "false": ("none", "", "something else ran, ended with status 1. A login"),
    "sftp only": ("sh", 'command="internal-sftp"', "something else ran, ended with status"),
    "another command": ("sh", 'command="echo Only backups here"', "printed: Only backups here. A"),
    "a terminal": (
        "sh",
        r'command="script -qefc \"$SSH_ORIGINAL_COMMAND\" /dev/null"',
        "a terminal",
    ),
    "a flood": ("sh", 'command="yes"', "something else prints without end"),
}


@pytest.mark.parametrize(("user", "options", "words"), USELESS.values(), ids=USELESS)
def test_login_that_runs_something_else_says_what_it_did(
    user: str, options: str, words: str, hosts: Sshd, connect: Connect, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key")
    hosts.authorize(key, options=options)
    transport = connect(hosts.target_of(key, user))
    with pytest.raises(CannotReach) as caught:
        bootstrap.census(transport)
    assert str(caught.value).startswith("127.0.0.1 lets in but does not run what rpnb asks it to: ")
    assert words in str(caught.value)
    assert str(caught.value).endswith(
        f"'{transport.target.command} true' should end with status 0."
    )


def test_login_that_prints_what_steers_a_terminal_is_quoted_without_it(
    hosts: Sshd, connect: Connect, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key")
    hosts.authorize(key, options="command=\"printf 'a\\033[2Jb'; exit 1\"")
    with pytest.raises(CannotReach, match=re.escape("printed: a[2Jb. A login")):
        connect(hosts.target_of(key, "sh")).run("true")


FORBIDDING = [
    {"AllowStreamLocalForwarding": "no"},
    {"AllowTcpForwarding": "no"},
    {"DisableForwarding": "yes"},
    {"DisableForwarding": "yes", "MaxSessions": "1"},
    {"MaxSessions": "1"},
]


@pytest.mark.parametrize("options", FORBIDDING, ids=" ".join)
def test_server_that_forbids_still_leads_to_the_agent(
    options: dict[str, str], server: Server, connect: Connect, listener: Listen
) -> None:
    sshd, path = server(**options), listener(echo).path
    transport = connect(sshd.target)
    for _ in range(3):
        assert transport.run("echo out").stdout == "out\n"
    stream = transport.connect(str(path), bridge(path))
    stream.send(b"there and back")
    assert stream.receive() == b"there and back"
    second = transport.again()
    assert second.run("echo beside").stdout == "beside\n"
    second.close()


def test_server_that_opens_no_session_says_so(server: Server, connect: Connect) -> None:
    transport = connect(server(MaxSessions="0").target)
    with pytest.raises(CannotReach, match="asks it to: it opens no session: "):
        transport.run("true")


def test_key_that_forbids_forwarding_still_leads_to_the_agent(
    sshd: Sshd, connect: Connect, listener: Listen, tmp_path: Path
) -> None:
    key, path = make_key(tmp_path / "key"), listener(echo).path
    sshd.authorize(key, options="restrict")
    stream = connect(sshd.target_of(key)).connect(str(path), bridge(path))
    stream.send(b"there and back")
    assert stream.receive() == b"there and back"


def test_server_of_another_make_that_refuses_commands_says_so(
    connect: Connect, other: Callable[[Rules], OtherServer]
) -> None:
    server = other(Rules(methods="none", runs_commands=False))
    with pytest.raises(CannotReach, match="asks it to: it refuses every command"):
        connect(server.target()).run("true")
