"""An SSH server of another make, paramiko's: for logins that OpenSSH's is not easily taught."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import paramiko


@dataclass
class Round:
    """One question of a keyboard-interactive login, and the answers that are right."""

    prompts: Sequence[tuple[str, bool]] = ()
    answers: Sequence[str] = ()
    name: str = ""
    instructions: str = ""


@dataclass
class Rules:
    """How a server lets people in."""

    rounds: Sequence[Round] = ()
    key: paramiko.PKey | None = None
    key_is_enough: bool = True
    methods: str = "keyboard-interactive"
    banner: str = ""
    runs_commands: bool = True
    # Sent in place of judging a password: a message of the server's, as bytes.
    replies: bytes = b""
    # Called when a login begins: may wait, or close the connection.
    meets: Callable[[paramiko.Transport], None] = lambda transport: None
    # Every list of answers that came.
    came: list[list[str]] = field(default_factory=list)


class OtherServer:
    """A server on a free loopback port; `commands` counts those that it ran."""

    def __init__(self, folder: Path, rules: Rules) -> None:
        self.rules = rules
        self._key = paramiko.ECDSAKey.generate()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.known_hosts = folder / "other_known_hosts"
        name, blob = self._key.get_name(), self._key.get_base64()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {name} {blob}\n")
        self.logins = 0
        self._transports: list[paramiko.Transport] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def target(self, *words: str) -> str:
        """A TARGET that leads here, with more words of an ssh command."""
        options = f"-o UserKnownHostsFile={self.known_hosts} -o IdentityAgent=none"
        key = "" if "-i" in words else "-o IdentityFile=none"
        return f"ssh -F /dev/null {options} {key} {' '.join(words)} -p {self.port} me@127.0.0.1"

    def drop(self) -> None:
        """Cut every connection."""
        for transport in self._transports:
            transport.close()

    def close(self) -> None:
        self._listener.close()
        self.drop()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.logins += 1
            transport = paramiko.Transport(connection)
            transport.set_log_channel("tests.otherserver")
            transport.add_server_key(self._key)
            self._transports.append(transport)
            try:
                transport.start_server(server=_Login(self.rules, transport))
            except (paramiko.SSHException, EOFError, OSError):
                continue


class _Login(paramiko.ServerInterface):
    def __init__(self, rules: Rules, transport: paramiko.Transport) -> None:
        self._rules, self._transport = rules, transport
        self._waiting = list(rules.rounds)

    def get_banner(self) -> tuple[str | None, str]:
        return self._rules.banner or None, "en"

    def get_allowed_auths(self, username: str) -> str:
        return self._rules.methods

    def check_auth_none(self, username: str) -> int:
        self._rules.meets(self._transport)
        is_open = self._rules.methods == "none"
        return paramiko.AUTH_SUCCESSFUL if is_open else paramiko.AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        self._transport._send_message(paramiko.Message(self._rules.replies))  # type: ignore[attr-defined] # the stub leaves it out
        return paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if self._rules.key is None or key.asbytes() != self._rules.key.asbytes():
            return paramiko.AUTH_FAILED
        enough = self._rules.key_is_enough
        return paramiko.AUTH_SUCCESSFUL if enough else paramiko.AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_interactive(
        self, username: str, submethods: str
    ) -> int | paramiko.InteractiveQuery:
        self._waiting = list(self._rules.rounds)
        return self._next()

    def check_auth_interactive_response(
        self, responses: list[str]
    ) -> int | paramiko.InteractiveQuery:
        self._rules.came.append(list(responses))
        if list(responses) != list(self._waiting.pop(0).answers):
            return paramiko.AUTH_FAILED
        return self._next()

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind == "session":
            return paramiko.OPEN_SUCCEEDED
        return paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if self._rules.runs_commands:
            threading.Thread(target=_run, args=(channel, command), daemon=True).start()
        return self._rules.runs_commands

    def _next(self) -> int | paramiko.InteractiveQuery:
        if not self._waiting:
            return paramiko.AUTH_SUCCESSFUL
        one = self._waiting[0]
        return paramiko.InteractiveQuery(one.name, one.instructions, *one.prompts)


def _run(channel: paramiko.Channel, command: bytes) -> None:
    process = subprocess.Popen(
        ["/bin/sh", "-c", command.decode()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    threading.Thread(target=_feed, args=(channel, process), daemon=True).start()
    out = process.stdout
    assert out is not None
    with out, contextlib.suppress(OSError, EOFError):
        for data in iter(lambda: os.read(out.fileno(), 1 << 16), b""):
            channel.sendall(data)
        channel.send_exit_status(process.wait() % 256)
    process.kill()
    process.wait()
    channel.close()


def _feed(channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError), process.stdin as stdin:
        for data in iter(lambda: channel.recv(1 << 16), b""):
            stdin.write(data)
            stdin.flush()
