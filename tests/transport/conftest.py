"""Servers and connections that close with the test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rpnb.transport import open_transport
from rpnb.transport.ssh import SshTransport
from tests import sshd as servers
from tests.transport.echo import Listener
from tests.transport.otherserver import OtherServer, Rules


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., servers.Sshd]]:
    """Start servers of the test's own: `server(AllowStreamLocalForwarding="no")`."""
    if not servers.is_available():
        pytest.skip(servers.HOW_TO_ENABLE)
    started: list[servers.Sshd] = []

    def start(**options: Any) -> servers.Sshd:
        if options.get("users") and not servers.may_have_users():
            pytest.skip(servers.NO_USERS)
        started.append(servers.Sshd(tmp_path / f"sshd{len(started)}", **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., SshTransport]]:
    """`open_transport`, closed at the end."""
    opened: list[SshTransport] = []

    def connect(target: str, **options: object) -> SshTransport:
        transport = open_transport(target, **options)  # type: ignore[arg-type] # passed on as given
        assert isinstance(transport, SshTransport)
        opened.append(transport)
        return transport

    yield connect
    for one in opened:
        one.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Callable[..., Listener]]:
    """Start listeners on unix sockets: `listener(echo)`."""
    started: list[Listener] = []
    numbers = itertools.count()

    def start(*answer: Callable[..., None]) -> Listener:
        started.append(Listener(tmp_path / f"s{next(numbers)}", *answer))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[servers.Agent]:
    """An ssh agent of the test's own, with nothing in it."""
    started = servers.Agent(tmp_path / "agent")
    yield started
    started.stop()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Callable[[Rules], OtherServer]]:
    """Start servers of another make: `other(Rules(...))`."""
    started: list[OtherServer] = []

    def start(rules: Rules) -> OtherServer:
        started.append(OtherServer(tmp_path, rules))
        return started[-1]

    yield start
    for one in started:
        one.close()
