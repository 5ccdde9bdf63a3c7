"""A real OpenSSH server on a free loopback port, for tests."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
HOW_TO_ENABLE = "no OpenSSH server here; enable these tests with: apt-get install openssh-server"
_START_SECONDS = 10.0


def is_available() -> bool:
    """Whether this machine has an OpenSSH server."""
    return os.access(SSHD, os.X_OK)


class Sshd:
    """A running server in `folder`: own host key, own accounts file, own known_hosts.

    Sessions get an empty home (`home`). `options` are lines of sshd_config, such as
    AllowStreamLocalForwarding="no".
    """

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.host_key = make_key(folder / "host_key")
        self.authorized_keys = folder / "authorized_keys"
        self.authorized_keys.touch(mode=0o600)
        self.user = subprocess.check_output(["id", "-un"], text=True).strip()
        self.key = self.account("id_test")
        self.port = _free_port()
        self.known_hosts = folder / "known_hosts"
        self.accept()
        self._write_config(options)
        self.start()

    @property
    def name(self) -> str:
        """The server's name in known_hosts."""
        return f"[127.0.0.1]:{self.port}"

    @property
    def target(self) -> str:
        """A TARGET that logs in here with the first account."""
        return self.target_of(self.key)

    def target_of(self, key: Path, **options: str) -> str:
        """A TARGET that logs in here with `key`; `options` are ssh's own."""
        settings = {"UserKnownHostsFile": str(self.known_hosts), **options}
        words = ["ssh", "-F", "/dev/null", "-p", str(self.port), "-i", str(key)]
        words += [word for item in settings.items() for word in ("-o", "=".join(item))]
        # An agent of the person who runs the tests has no part in them.
        words += ["-o", "IdentityAgent=none", f"{self.user}@127.0.0.1"]
        return shlex.join(words)

    def account(self, name: str, environment: Mapping[str, str] = {}, passphrase: str = "") -> Path:
        """Make a key that may log in, and return its path.

        `environment` is set in the sessions of that key, HOME to an empty one.
        """
        key = make_key(self.folder / name, passphrase)
        values = {"HOME": str(self.home), **environment}
        options = ",".join(f'environment="{key}={value}"' for key, value in values.items())
        public = key.with_name(f"{name}.pub").read_text()
        with self.authorized_keys.open("a") as file:
            file.write(f"{options} {public}")
        return key

    def accept(self) -> None:
        """Write the server's host key, and nothing else, to its known_hosts."""
        kind, blob = self.host_key.with_name("host_key.pub").read_text().split()[:2]
        self.known_hosts.write_text(f"{self.name} {kind} {blob}\n")

    def start(self) -> None:
        """Start the server; returns when it listens."""
        if os.getuid() == 0:
            # sshd, as root, locks its unprivileged half up in there.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._process = subprocess.Popen(
            [SSHD, "-D", "-f", str(self.folder / "sshd_config"), "-E", str(self.folder / "log")],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        _await_port(self.port, self._process, self.folder / "log")

    def stop(self) -> None:
        """End the server and its connections."""
        self._process.send_signal(signal.SIGSTOP)  # so that no connection is missed
        self._signal(signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def drop(self) -> None:
        """Cut every connection; the server goes on."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Let every connection hang: nothing is read, answered or closed any more."""
        self._signal(signal.SIGSTOP)

    def _signal(self, number: int) -> None:
        for child in _children(self._process.pid):
            _kill(child, number)

    def _write_config(self, options: Mapping[str, str]) -> None:
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.host_key,
            "AuthorizedKeysFile": self.authorized_keys,
            "PidFile": "none",
            # Temporary folders belong to anybody.
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "PermitUserEnvironment": "yes",
            "MaxStartups": "100",
            "MaxSessions": "100",
            **options,
        }
        lines = "".join(f"{key} {value}\n" for key, value in settings.items())
        (self.folder / "sshd_config").write_text(lines)


def make_key(path: Path, passphrase: str = "", kind: str = "ed25519") -> Path:
    """Make a key pair at `path` and return the path."""
    # Few rounds: the passphrase of a test need not be costly to try.
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-a", "1", "-C", path.name, "-f", path],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"sshd did not start: {log.read_text() if log.exists() else ''}")
        time.sleep(0.01)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _children(pid: int) -> list[int]:
    """The processes below `pid`; what detached itself is no longer among them."""
    found = []
    for path in Path(f"/proc/{pid}/task/{pid}").glob("children"):
        for child in map(int, path.read_text().split()):
            found += [child, *_children(child)]
    return found


def _kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
