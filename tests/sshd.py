"""A real OpenSSH server on a free loopback port, for tests."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
HOW_TO_ENABLE = "no OpenSSH server here; enable these tests with: apt-get install openssh-server"
NO_USERS = "users of a test's own need root and the right to mount (unshare --mount)"
_START_SECONDS = 30.0
PASSWORD = "open sesame"
# Of that password, by `openssl passwd -6`.
_HASH = (
    "$6$rpnbtest$"
    "l0QAo8.GX5HWrpHGdi1E0hcMysAiYrAxI5cKcGBpEUE2yBOYENBNzZxWhLPpX673Vg0xryZdmXnJ9TTDoVO3e1"
)


class User(NamedTuple):
    """An account that only its server sees; its password is PASSWORD."""

    name: str
    shell: str = "/bin/sh"
    # The day on which the password was set; 0: it must be changed now.
    changed: int = 19000


def is_available() -> bool:
    """Whether this machine has an OpenSSH server."""
    return os.access(SSHD, os.X_OK)


@functools.cache
def may_have_users() -> bool:
    """Whether a server here can have users of its own."""
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return os.getuid() == 0 and tried.returncode == 0


class Sshd:
    """A running server in `folder`: own host key, own accounts file, own known_hosts.

    Sessions get an empty home (`home`). `options` are lines of sshd_config, such as
    AllowStreamLocalForwarding="no". `users` are accounts of its own, with root's rights;
    `pam` is what it finds as /etc/pam.d/sshd; `inside` are words that start a command
    in a namespace.
    """

    def __init__(
        self,
        folder: Path,
        *,
        address: str = "127.0.0.1",
        users: tuple[User, ...] = (),
        pam: str = "",
        inside: tuple[str, ...] = (),
        **options: str,
    ) -> None:
        self.folder, self.address = folder, address
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.host_key = make_key(folder / "host_key")
        self.authorized_keys = folder / "authorized_keys"
        self.authorized_keys.touch(mode=0o600)
        self.user = subprocess.check_output(["id", "-un"], text=True).strip()
        self.key = self.account("id_test")
        self.port = free_port()
        self.known_hosts = folder / "known_hosts"
        self.accept()
        self._write_config(options)
        self._inside = [*inside, *self._own_accounts(users, pam)]
        self.start()

    @property
    def name(self) -> str:
        """The server's name in known_hosts."""
        return f"[{self.address}]:{self.port}"

    @property
    def target(self) -> str:
        """A TARGET that logs in here with the first account."""
        return self.target_of(self.key)

    def target_of(self, key: Path | str | None, user: str = "", **options: str) -> str:
        """A TARGET that logs in here with `key`; `options` are ssh's own."""
        # An agent of the person who runs the tests has no part in them.
        settings = {"UserKnownHostsFile": str(self.known_hosts), "IdentityAgent": "none", **options}
        words = ["ssh", "-F", "/dev/null", "-p", str(self.port)]
        words += ["-o", "IdentityFile=none"] if key is None else ["-i", str(key)]
        words += [word for item in settings.items() for word in ("-o", "=".join(item))]
        return shlex.join([*words, f"{user or self.user}@{self.address}"])

    def account(
        self,
        name: str,
        environment: Mapping[str, str] = {},
        passphrase: str = "",
        options: str = "",
    ) -> Path:
        """Make a key that may log in, and return its path.

        `environment` is set in the sessions of that key, HOME to an empty one;
        `options` are further ones of authorized_keys.
        """
        key = make_key(self.folder / name, passphrase)
        self.authorize(key, environment, options)
        return key

    def authorize(self, key: Path, environment: Mapping[str, str] = {}, options: str = "") -> None:
        """Let a key log in, as `account` does."""
        values = {"HOME": str(self.home), **environment}
        lines = [f"{name}={value}".replace('"', r"\"") for name, value in values.items()]
        settings = [f'environment="{line}"' for line in lines]
        public = key.with_name(f"{key.name}.pub").read_text()
        with self.authorized_keys.open("a") as file:
            file.write(",".join(filter(None, [*settings, options])) + f" {public}")

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
            [
                *self._inside,
                *(SSHD, "-D", "-f", str(self.folder / "sshd_config")),
                *("-E", str(self.folder / "log")),
            ],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        _await_port(self.address, self.port, self._process, self.folder / "log")

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

    def connections(self) -> list[int]:
        """The server's processes of its connections, and what they run."""
        return _children(self._process.pid)

    def _signal(self, number: int) -> None:
        for child in self.connections():
            _kill(child, number)

    def _write_config(self, options: Mapping[str, str]) -> None:
        settings = {
            "Port": self.port,
            "ListenAddress": self.address,
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

    def _own_accounts(self, users: tuple[User, ...], pam: str) -> list[str]:
        """Return what goes before sshd: a namespace in which /etc has these accounts."""
        if not users:
            return []
        files = {"pam.d/sshd": pam} if pam else {}
        for name in ("passwd", "shadow"):
            files[name] = Path("/etc", name).read_text()
        for user in users:
            files["passwd"] += f"{user.name}:x:0:0::{self.home}:{user.shell}\n"
            files["shadow"] += f"{user.name}:{_HASH}:{user.changed}:0:99999:7:::\n"
        commands = []
        for name, text in files.items():
            ours = self.folder / name.replace("/", "-")
            ours.write_text(text)
            commands.append(f"mount --bind {ours} /etc/{name}")
        script = " && ".join([*commands, 'exec "$@"'])
        return ["unshare", "--mount", "sh", "-c", script, "sh"]


class Agent:
    """A running ssh-agent at the socket `path`, with nothing in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
        end = time.monotonic() + _START_SECONDS
        # Its socket is there a moment before it listens.
        while not _accepts(path) and time.monotonic() < end:
            time.sleep(0.01)

    def add(self, *words: str | Path) -> None:
        """Give it keys, by ssh-add's words."""
        environment = {**os.environ, "SSH_AUTH_SOCK": str(self.path)}
        subprocess.run(["ssh-add", "-q", *words], check=True, env=environment)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def make_key(path: Path, passphrase: str = "", kind: str = "ed25519") -> Path:
    """Make a key pair at `path` and return the path."""
    # Few rounds and bits: the key of a test need not be costly to try.
    size = ["-b", "2048"] if kind == "rsa" else []
    words = ["-q", "-t", kind, *size, "-N", passphrase, "-a", "1", "-C", path.name, "-f", path]
    subprocess.run(
        ["ssh-keygen", *words],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


def free_port() -> int:
    """Return a port that nobody has, for a server that takes it in a moment.

    Below those that the system gives to connections: one of another test might get it first.
    """
    # Tests that run beside this one have the same seed.
    for port in random.SystemRandom().sample(range(15_000, 32_000), 100):
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free between 15000 and 32000")


def _await_port(address: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while not _listens(address, port):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"sshd did not start: {log.read_text() if log.exists() else ''}")
        time.sleep(0.01)


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port)).close()
    except OSError:
        return False
    return True


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _children(pid: int) -> list[int]:
    """The processes below `pid`; what detached itself is no longer among them."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []  # it ended just now
    return [each for child in map(int, children) for each in (child, *_children(child))]


def _kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
