"""What a person can log in with: the keys of files and of the ssh agent, in the order of trial."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import paramiko

from . import certificates, sshagent
from .certificates import Certificate
from .keys import LockedKey, PublicKey, UnreadableKey, exists, load, public_of, read_public
from .settings import Settings
from .userauth import Sign


@dataclass(frozen=True)
class Identity:
    """A key or certificate to show to a server, by the name that people know.

    Without `sign` its file is `locked`; `shown` is None where only the passphrase
    reveals the public half.
    """

    name: str
    shown: PublicKey | None
    sign: Sign | None = None
    locked: str = ""


class Identities:
    """The identities that `settings` allow; `tried` gets a word on each that is no use.

    `unlocked` are the keys of files whose passphrase is known already.
    """

    def __init__(
        self, settings: Settings, unlocked: dict[str, paramiko.PKey], tried: list[str]
    ) -> None:
        self._settings, self._unlocked, self._tried = settings, unlocked, tried
        self._held: list[sshagent.AgentKey] = []
        self._certificates: list[Certificate] = []

    def __iter__(self) -> Iterator[Identity]:
        settings = self._settings
        self._held = self._of_agent()
        self._certificates = list(_read(settings.certificates, self._tried))
        # What was named comes first: a full agent would use up the server's six tries.
        for path in settings.identities:
            yield from self._of_file(path)
        yield from self._others_of_agent()
        usual = [path for path in settings.usual_identities if exists(path)]
        found = [each for path in usual for each in self._of_file(path)]
        # Nobody named these: those that need an answer come last.
        yield from sorted(found, key=lambda each: each.sign is None)

    def _of_file(self, path: str) -> Iterator[Identity]:
        if exists(path.removesuffix(".pub")):
            path = path.removesuffix(".pub")
        public = public_of(path)
        if public is None and not exists(path):
            self._tried.append(f"{path} (no such file)")
            return
        sign, locked = None, ""
        try:
            key = self._unlocked[path] if path in self._unlocked else load(path)
            sign = signing(key)
            public = PublicKey.from_blob(key.asbytes())
        except LockedKey:
            locked = path
        except UnreadableKey as error:
            if not self._is_held(public):
                self._tried.append(f"{path} ({error})")
                return
        if sign is None and public is not None and self._is_held(public):
            sign, locked = self._through_agent(public), ""
        for certificate in self._about(public, f"{path}-cert.pub"):
            yield Identity(_named(path, certificate), certificate.whole, sign, locked)
        yield Identity(path, public, sign, locked)

    def _others_of_agent(self) -> Iterator[Identity]:
        settings = self._settings
        files = (*settings.identities, *settings.usual_identities)
        named = {public_of(path) for path in files if settings.identities_only}
        for key, comment in self._held:
            if settings.identities_only and _inside(key) not in named:
                continue
            name, sign = f"agent key {comment!r}", self._through_agent(key)
            for certificate in self._about(key, ""):
                yield Identity(_named(name, certificate), certificate.whole, sign)
            yield Identity(name, key, sign)

    def _about(self, public: PublicKey | None, beside: str) -> list[Certificate]:
        if public is None:
            return []
        found = _read([beside] if beside and exists(beside) else [], self._tried)
        return certificates.of_key(public, [*found, *self._certificates])

    def _is_held(self, public: PublicKey | None) -> bool:
        return any(key == public for key, _ in self._held)

    def _through_agent(self, key: PublicKey) -> Sign:
        assert self._settings.agent is not None
        return functools.partial(sshagent.sign, self._settings.agent, key)

    def _of_agent(self) -> list[sshagent.AgentKey]:
        agent = self._settings.agent
        if agent is None:
            return []
        try:
            return sshagent.keys(agent)
        except sshagent.SshAgentError as error:
            self._tried.append(f"the ssh agent at {agent} ({error})")
            return []


def signing(key: paramiko.PKey) -> Sign:
    """Return what signs with a private key."""
    return lambda data, algorithm: key.sign_ssh_data(data, algorithm).asbytes()


def _read(paths: Sequence[str], tried: list[str]) -> Iterator[Certificate]:
    for path in paths:
        whole = read_public(path)
        try:
            if whole is None:
                raise ValueError("no certificate" if exists(path) else "no such file")
            yield Certificate.parse(whole)
        except ValueError as error:
            tried.append(f"{path} ({error})")


def _named(key: str, certificate: Certificate) -> str:
    fault = certificate.fault_of_time()
    return f"{key} with its certificate{f', which {fault}' if fault else ''}"


def _inside(key: PublicKey) -> PublicKey:
    try:
        return Certificate.parse(key).key if key.is_certificate else key
    except ValueError:
        return key
