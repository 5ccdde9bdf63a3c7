"""Finding, reaching and logging in to a host: what can be in the way, and what is said."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpnb.errors import BadTarget, CannotReach, HostKeyUnknown
from rpnb.transport.ssh import SshTransport
from tests.sshd import Sshd

pytestmark = pytest.mark.ssh

Connect = Callable[..., SshTransport]
Server = Callable[..., Sshd]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_host_that_is_unknown_is_named(connect: Connect) -> None:
    with pytest.raises(CannotReach) as caught:
        connect("ssh -F /dev/null no-such-host.invalid")
    assert str(caught.value) == (
        "cannot reach no-such-host.invalid: no-such-host.invalid is neither an alias in"
        " ~/.ssh/config nor a name that is known here. Is the pod running?"
        " 'ssh -F /dev/null no-such-host.invalid true' should work here first."
    )


def test_port_where_nobody_listens_is_named(connect: Connect) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(CannotReach, match=f"127.0.0.1:{port} refused the connection"):
        connect(f"127.0.0.1:{port}")


def test_host_that_does_not_answer_says_how_long(connect: Connect, silent_port: int) -> None:
    with pytest.raises(CannotReach, match=f"{silent_port} did not answer within 1 s. Is the pod"):
        connect(f"ssh -F /dev/null -o ConnectTimeout=1 -p {silent_port} 127.0.0.1")


def test_port_of_another_service_is_no_traceback(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        _answer(listener, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(CannotReach, match=str(port)):
            connect(f"127.0.0.1:{port}")


def test_jump_host_leads_to_a_host_behind_it(
    server: Server, connect: Connect, tmp_path: Path
) -> None:
    jump, behind = server(), server()
    config = _config(tmp_path, jump=jump, behind=behind)
    transport = connect(f"ssh -F {config} -J jump behind")
    assert f" {behind.port}" in transport.run("echo $SSH_CONNECTION").stdout
    assert [hop.settings.port for hop in transport._hops] == [jump.port, behind.port]


def test_jump_hosts_nest(server: Server, connect: Connect, tmp_path: Path) -> None:
    one, two, last = server(), server(), server()
    config = _config(tmp_path, one=one, two=two, last=last)
    assert connect(f"ssh -F {config} -J one,two last").run("echo there").stdout == "there\n"


def test_jump_host_with_an_unknown_key_is_the_one_named(
    server: Server, connect: Connect, tmp_path: Path
) -> None:
    jump, behind = server(), server()
    jump.known_hosts.write_text("")
    config = _config(tmp_path, jump=jump, behind=behind)
    with pytest.raises(HostKeyUnknown, match=f"^jump .127.0.0.1:{jump.port}. shows"):
        connect(f"ssh -F {config} -J jump behind")


def test_jump_to_a_port_where_nobody_listens_names_it(
    server: Server, connect: Connect, tmp_path: Path
) -> None:
    jump, behind = server(), server()
    behind.stop()
    config = _config(tmp_path, jump=jump, behind=behind)
    with pytest.raises(CannotReach, match=f"jump host cannot connect to 127.0.0.1:{behind.port}"):
        connect(f"ssh -F {config} -J jump behind")


def test_jump_hosts_in_a_circle_are_refused(connect: Connect, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host a\n ProxyJump b\nHost b\n ProxyJump a\n")
    with pytest.raises(BadTarget, match="a circle"):
        connect(f"ssh -F {config} a")


def test_proxy_command_leads_to_the_host(server: Server, connect: Connect, tmp_path: Path) -> None:
    jump, behind = server(), server()
    config = _config(tmp_path, jump=jump, behind=behind)
    command = f"ProxyCommand=ssh -F {config} -W %h:%p jump"
    transport = connect(f"ssh -F {config} -o '{command}' behind")
    assert transport.run("echo there").stdout == "there\n"


def test_alias_of_an_included_file_is_found(sshd: Sshd, connect: Connect, tmp_path: Path) -> None:
    """Include and Match are what `ssh -G` is for: paramiko's reader knows less."""
    included = _config(tmp_path, pod=sshd)
    config = tmp_path / "main"
    config.write_text(f"Include {included}\nMatch host 127.0.0.1\n User {sshd.user}\n")
    transport = connect(f"ssh -F {config} pod")
    assert (transport.target.label, transport.run("true").code) == ("pod", 0)


def test_alias_is_found_where_there_is_no_ssh(
    sshd: Sshd, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(tmp_path, pod=sshd)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert connect(f"ssh -F {config} pod").run("true").code == 0


def test_config_that_ssh_cannot_read_is_quoted(connect: Connect, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Nonsense yes\n")
    with pytest.raises(BadTarget, match="(?s)ssh cannot read its configuration.*line 1"):
        connect(f"ssh -F {config} pod")


def _config(folder: Path, **servers: Sshd) -> Path:
    """Write an ssh_config with an alias for each server."""
    path = folder / "ssh_config"
    blocks = [
        f"Host {alias}\n HostName 127.0.0.1\n Port {one.port}\n User {one.user}\n"
        f" IdentityFile {one.key}\n IdentityAgent none\n UserKnownHostsFile {one.known_hosts}\n"
        for alias, one in servers.items()
    ]
    path.write_text("".join(blocks))
    return path


def _answer(listener: socket.socket, text: bytes) -> None:
    def answer() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(text)

    threading.Thread(target=answer, daemon=True).start()
