"""Fixtures for every room: a real OpenSSH server, and each target by turns."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import sshd as servers

# A busy machine may stand still in any example, and in what makes it: that says nothing of it.
settings.register_profile(
    "busy", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")

# What lets pip on "the other machine" find its index, where this one needs telling.
_PASSED_ON = ("PIP_", "SSL_CERT_", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_PIP_CONFIG = Path.home() / ".config/pip/pip.conf"
_numbers = itertools.count()


@dataclass(frozen=True)
class Place:
    """A target to test on: its TARGET text, its kind, and its RPNB_HOME of this test's own."""

    text: str
    kind: str
    home: Path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let files that take long begin first: `--dist loadfile` gives each to one process."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    sizes = Counter(item.path for item in items)
    # Stable: pytest-randomly has shuffled what is inside a file.
    items.sort(key=lambda item: (item.path not in slow, -sizes[item.path], item.path))


def pytest_collection_finish() -> None:
    """Tests collect garbage on purpose: not what pytest and its plugins hold, which is much."""
    gc.freeze()


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Sshd]:
    """A running OpenSSH server, shared by the tests of this process."""
    if not servers.is_available():
        pytest.skip(servers.HOW_TO_ENABLE)
    server = servers.Sshd(tmp_path_factory.mktemp("sshd") / "shared")
    yield server
    server.stop()


TARGETS = ["local", pytest.param("ssh", marks=pytest.mark.ssh)]


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Each target by turns; what was started under its RPNB_HOME is ended afterwards."""
    with place(request, tmp_path / "rpnb") as found:
        yield found


@contextlib.contextmanager
def place(request: pytest.FixtureRequest, home: Path) -> Iterator[Place]:
    """A target of the kind that the request's parameter says."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "local":
            patch.setenv("RPNB_HOME", str(home))
            text = "local"
        else:
            text = _over_ssh(request.getfixturevalue("sshd"), home)
        yield Place(text, request.param, home)
        _end_processes(home)


def _over_ssh(server: servers.Sshd, home: Path) -> str:
    passed_on = {key: value for key, value in os.environ.items() if key.startswith(_PASSED_ON)}
    if _PIP_CONFIG.exists():
        passed_on.setdefault("PIP_CONFIG_FILE", str(_PIP_CONFIG))
    environment = {
        **passed_on,
        "RPNB_HOME": str(home),
        # The tests' own Python stands for the one on a pod.
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
    }
    return server.target_of(server.account(f"id_{next(_numbers)}", environment))


def _end_processes(home: Path) -> None:
    """End what still runs with this RPNB_HOME: relays and workers outlive their client."""
    # Again until there is none: one may just have forked.
    while _end_some(f"RPNB_HOME={home}".encode()):
        pass


def _end_some(mark: bytes) -> bool:
    found = False
    for path in Path("/proc").glob("[0-9]*/environ"):
        pid = int(path.parent.name)
        try:
            is_ours = mark in path.read_bytes().split(b"\0")
        except OSError:
            continue
        if is_ours and pid != os.getpid():
            _end(pid)
            found = True
    return found


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
