"""Finding, reaching and logging in to a host: what can be in the way, and what is said."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpnb.errors import BadTarget, CannotReach
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


def test_config_that_ssh_cannot_read_is_quoted(connect: Connect, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Nonsense yes\n")
    with pytest.raises(BadTarget, match="(?s)ssh cannot read its configuration.*line 1"):
        connect(f"ssh -F {config} pod")


def _answer(listener: socket.socket, text: bytes) -> None:
    def answer() -> None:
        peer, _ = listener.accept()
        # Who has hung up hears no answer.
        with peer, contextlib.suppress(OSError):
            peer.sendall(text)

    threading.Thread(target=answer, daemon=True).start()
