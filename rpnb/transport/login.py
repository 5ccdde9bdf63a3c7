"""Logging in: the identities a person has, in the order in which they are offered."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.agent import AgentSSH

from ..errors import LoginRefused
from .sshconfig import Settings
from .stream import AskSecret

# As many as ssh gives.
_PASSPHRASES = 3
_AGENT_SECONDS = 5.0


@dataclass
class Identity:
    """A key and the name by which people know it."""

    name: str
    key: paramiko.PKey


@dataclass
class Login:
    """One attempt to log in; `tried` tells what was offered, for the error."""

    settings: Settings
    ask_secret: AskSecret | None = None
    tried: list[str] = field(default_factory=list)
    _locked: list[str] = field(default_factory=list)
    _seen: set[bytes] = field(default_factory=set)

    def log_in(self, transport: paramiko.Transport, first: Identity | None = None) -> Identity:
        """Return the identity that the server accepted; `first` is offered before all others.

        Raises:
            LoginRefused: it accepted none; says what was offered and what helps.
        """
        with contextlib.ExitStack() as stack:
            for identity in self._identities(stack, first):
                if self._offer(transport, identity):
                    return identity
                if not transport.is_active():
                    break
        raise LoginRefused(self._refusal(transport))

    def _offer(self, transport: paramiko.Transport, identity: Identity) -> bool:
        blob = identity.key.asbytes()
        if blob in self._seen:
            return False
        self._seen.add(blob)
        self.tried.append(identity.name)
        try:
            more = transport.auth_publickey(self.settings.user, identity.key)
        except paramiko.BadAuthenticationType as error:
            taken = ", ".join(error.allowed_types) or "nothing that is known here"
            self.tried[-1] += f" (the server takes no keys, but {taken})"
            return False
        except (paramiko.SSHException, OSError, EOFError):
            return False
        if more:
            self.tried[-1] += f" (accepted, but the server also wants {', '.join(more)})"
        return not more

    def _identities(
        self, stack: contextlib.ExitStack, first: Identity | None
    ) -> Iterator[Identity]:
        if first is not None:
            yield from self._once_more(stack, first)
        settings = self.settings
        # What was named comes first: a full agent would use up the server's six tries.
        for path in settings.identities:
            if not Path(path).exists():
                self.tried.append(f"{path} (no such file)")
        yield from self._files(settings.identities)
        yield from self._agent_keys(stack)
        yield from self._files(settings.usual_identities)
        for path in self._locked:
            yield from self._unlocked(path)

    def _once_more(self, stack: contextlib.ExitStack, first: Identity) -> Iterator[Identity]:
        if not isinstance(first.key, paramiko.AgentKey):
            yield first
            return
        # Its way to the agent was closed after the login.
        blob = first.key.asbytes()
        yield from (x for x in self._agent_keys(stack) if x.key.asbytes() == blob)

    def _agent_keys(self, stack: contextlib.ExitStack) -> Iterator[Identity]:
        if self.settings.agent is None:
            return
        agent = _Agent()
        stack.callback(agent.close)
        try:
            agent.open(self.settings.agent)
        except (OSError, paramiko.SSHException) as error:
            self.tried.append(f"the agent at {self.settings.agent} ({error})")
            return
        files = (*self.settings.identities, *self.settings.usual_identities)
        wanted = {_public_blob(path) for path in files}
        for key in agent.get_keys():
            if not self.settings.identities_only or key.asbytes() in wanted:
                # paramiko < 3.2 does not keep an agent key's comment.
                name = getattr(key, "comment", "") or key.get_name()
                yield Identity(f"agent key {name!r}", key)

    def _files(self, paths: tuple[str, ...]) -> Iterator[Identity]:
        for path in filter(os.path.exists, paths):
            key = self._load(path)
            if key is not None:
                yield Identity(path, key)

    def _load(self, path: str) -> paramiko.PKey | None:
        try:
            return load(path)
        except paramiko.PasswordRequiredException:
            self._locked.append(path)
        except (paramiko.SSHException, OSError) as error:
            self.tried.append(f"{path} ({error})")
        return None

    def _unlocked(self, path: str) -> Iterator[Identity]:
        if _public_blob(path) in self._seen:
            return
        for _ in range(_PASSPHRASES):
            passphrase = self._passphrase(path)
            if not passphrase:
                break
            with contextlib.suppress(paramiko.SSHException):
                yield Identity(path, load(path, passphrase))
                return
        self.tried.append(f"{path} (has a passphrase: 'ssh-add {path}' unlocks it)")

    def _passphrase(self, path: str) -> str | None:
        try:
            return self.ask_secret(f"Passphrase of {path}: ") if self.ask_secret else None
        except EOFError:  # getpass() where nobody sits
            return None

    def _refusal(self, transport: paramiko.Transport) -> str:
        who = f"{self.settings.target.label} ({self.settings.user}@{self.settings.address})"
        if not self.tried:
            return (
                f"{who}: there is no key to log in with. 'ssh-keygen -t ed25519' makes one; its"
                " .pub goes into the console's settings (SSH public keys) before the pod starts."
            )
        text = f"{who} refused the login; tried: {'; '.join(self.tried)}."
        if not transport.is_active() and len(self.tried) > 1:
            text += " It hung up after that many: name the right one with -i FILE."
        return text + (
            " The public key must be in ~/.ssh/authorized_keys there (for a pod: in the"
            " console's settings, before it starts); -i FILE names another."
        )


def load(path: str, passphrase: str | None = None) -> paramiko.PKey:
    """Return the private key in the file, with its certificate where there is one beside it.

    Raises:
        PasswordRequiredException: it has a passphrase and none was given.
        SSHException: it is no key of a kind that is understood, or the passphrase is wrong.
    """
    for kind in (paramiko.Ed25519Key, paramiko.RSAKey, paramiko.ECDSAKey):
        try:
            key = kind.from_private_key_file(path, passphrase)
        except paramiko.PasswordRequiredException:
            raise
        except (paramiko.SSHException, ValueError, UnicodeDecodeError):
            continue
        certificate = Path(f"{path}-cert.pub")
        if certificate.exists():
            key.load_certificate(str(certificate))
        return key
    raise paramiko.SSHException("not a key that can be read here")


class _Agent(AgentSSH):
    """An ssh agent at a path: paramiko's own reads SSH_AUTH_SOCK only, not IdentityAgent."""

    def open(self, path: str) -> None:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_AGENT_SECONDS)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            raise
        self._connect(connection)  # type: ignore[attr-defined]  # the stub leaves it out

    def close(self) -> None:
        self._close()  # type: ignore[attr-defined]  # the stub leaves it out


def _public_blob(path: str) -> bytes | None:
    try:
        words = Path(f"{path}.pub").read_text(errors="replace").split()
        return base64.b64decode(words[1])
    except (OSError, IndexError, ValueError):
        return None
