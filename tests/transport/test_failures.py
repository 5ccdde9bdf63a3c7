from __future__ import annotations

import inspect
import socket

import paramiko
import pytest

from rpnb.errors import CannotReach, HostKeyChanged, LinkLost, LoginRefused, RpnbError, TargetError
from rpnb.transport.failures import MEANING, connected, connecting
from rpnb.transport.settings import Settings, read
from rpnb.transport.targets import parse


@pytest.fixture
def settings() -> Settings:
    return read(parse("ssh -F /dev/null my-gpu"))


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, value in inspect.getmembers(paramiko.ssh_exception, inspect.isclass)
        if issubclass(value, Exception) and value.__module__ == "paramiko.ssh_exception"
    ],
)
def test_paramiko_exception_has_a_meaning_of_its_own(name: str) -> None:
    assert issubclass(MEANING[name], TargetError)


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (paramiko.SSHException("no session"), CannotReach),
        (paramiko.ChannelException(2, "Connect failed"), CannotReach),
        (paramiko.AuthenticationException("no"), LoginRefused),
        (paramiko.BadAuthenticationType("no", ["password"]), LoginRefused),
        (paramiko.ProxyCommandFailure("nc", "died"), CannotReach),
        (paramiko.ssh_exception.NoValidConnectionsError({("h", 22): OSError()}), CannotReach),
        (
            paramiko.BadHostKeyException(
                "h", paramiko.RSAKey.generate(1024), paramiko.RSAKey.generate(1024)
            ),
            HostKeyChanged,
        ),
        (socket.gaierror(-2, "Name or service not known"), CannotReach),
        (TimeoutError(), CannotReach),
        (ConnectionRefusedError(), CannotReach),
        (EOFError(), CannotReach),
        (OSError(101, "Network is unreachable"), CannotReach),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_failure_while_connecting_names_target_and_remedy(
    raised: Exception, ours: type[RpnbError], settings: Settings
) -> None:
    with pytest.raises(ours, match="my-gpu") as caught, connecting(settings):
        raise raised
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    "raised", [paramiko.SSHException("gone"), EOFError(), OSError("Socket is closed")]
)
def test_failure_once_connected_is_a_lost_link(raised: Exception) -> None:
    with pytest.raises(LinkLost, match="the connection to my-gpu ended"), connected("my-gpu"):
        raise raised


@pytest.mark.parametrize("raised", [CannotReach("ours"), ZeroDivisionError(), KeyboardInterrupt()])
def test_failure_that_is_ours_or_a_bug_passes_through(
    raised: BaseException, settings: Settings
) -> None:
    with pytest.raises(type(raised)) as caught, connecting(settings), connected("my-gpu"):
        raise raised
    assert caught.value is raised


def test_failure_by_timeout_is_the_style_guides_sentence(settings: Settings) -> None:
    with pytest.raises(CannotReach) as caught, connecting(settings):
        raise TimeoutError
    assert str(caught.value) == (
        "cannot reach my-gpu: my-gpu:22 did not answer within 10 s. Is the pod running?"
        " 'ssh -F /dev/null my-gpu true' should work here first."
    )
