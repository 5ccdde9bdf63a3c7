"""Host keys: which one a host is known by, and whether an unknown one is accepted.

Read line by line: a line that cannot be read costs that line, with a note, and
not the file (paramiko's own reader raises on one it does not know).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import HostKeyChanged, HostKeyUnknown
from .stream import Ask

_MARKERS = ("@revoked", "@cert-authority")


class HostKey(NamedTuple):
    """A host's public key: its algorithm's name and its bytes."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """What people compare: `SHA256:…`, as ssh prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return "SHA256:" + digest.rstrip("=")

    @property
    def title(self) -> str:
        """The algorithm as ssh names it to people: `ED25519`."""
        name = self.kind.partition("@")[0]
        return name.removeprefix("sk-").removeprefix("ssh-").split("-")[0].upper()


class Line(NamedTuple):
    """One readable line of a known_hosts file."""

    marker: str
    names: str
    key: HostKey
    path: Path
    number: int

    def is_about(self, name: str) -> bool:
        """Whether the line's names cover `name` (`host` or `[host]:port`)."""
        if self.names.startswith("|1|"):
            return _is_hash_of(self.names, name)
        patterns = self.names.lower().split(",")
        if any(_matches(pattern[1:], name) for pattern in patterns if pattern.startswith("!")):
            return False
        return any(_matches(pattern, name) for pattern in patterns)


@dataclass(frozen=True)
class Consent:
    """Who may accept an unknown key: a person who is asked, or a fingerprint given before."""

    ask: Ask | None = None
    accept_key: str | None = None


class KnownHosts:
    """The keys in some known_hosts files; the first of `own` is where new ones go."""

    def __init__(
        self, own: Sequence[Path], of_machine: Sequence[Path] = (), *, hash_names: bool = False
    ) -> None:
        self.notes: list[str] = []
        self._own = list(own)
        self._hash_names = hash_names
        self._lines = [line for path in (*own, *of_machine) for line in _read(path, self.notes)]

    def about(self, name: str) -> list[Line]:
        """Return the plain lines about `name`."""
        return [line for line in self._lines if not line.marker and line.is_about(name)]

    def revoking(self, name: str, key: HostKey) -> Line | None:
        """Return the line that revokes `key` for `name`, if any."""
        for line in self._lines:
            if line.marker == "@revoked" and line.key == key and line.is_about(name):
                return line
        return None

    def has_authority(self, name: str) -> bool:
        """Whether a certificate authority vouches for `name`; rpnb cannot check that."""
        return any(x.marker == "@cert-authority" and x.is_about(name) for x in self._lines)

    def remember(self, name: str, key: HostKey) -> None:
        """Write down that `name` has `key`, from now on in this object, too."""
        if not self._own:
            return
        path = self._own[0]
        names = _hashed(name) if self._hash_names else name
        self._lines.append(Line("", names, key, path, 0))
        try:
            _append(path, f"{names} {key.kind} {base64.b64encode(key.blob).decode()}\n")
        except OSError as error:
            self.notes.append(
                f"the host key was accepted for now only: {path} cannot be written"
                f" ({error.strerror})"
            )


def verify(
    known: KnownHosts, who: str, name: str, key: HostKey, *, strict: str, consent: Consent
) -> None:
    """Return if `key` may be trusted; `who` names the host to people.

    Raises:
        HostKeyChanged: the host is known by another key, or this one is revoked.
        HostKeyUnknown: nobody has accepted it, and nobody does now.
    """
    revoking = known.revoking(name, key)
    if revoking is not None:
        raise HostKeyChanged(
            f"{who} shows a host key that {revoking.path}, line {revoking.number} marks as revoked:"
            f" {key.title} {key.fingerprint}. It is not used."
        )
    lines = known.about(name)
    if any(line.key == key for line in lines):
        return
    if lines:
        raise HostKeyChanged(_changed(who, name, key, lines))
    # As ssh does: a key accepted for the host on port 22 is good on its other ports.
    bare = re.fullmatch(r"\[(.+)\]:\d+", name)
    if bare and any(line.key == key for line in known.about(bare[1])):
        return
    _accept(known, who, name, key, strict=strict, consent=consent)


def _accept(
    known: KnownHosts, who: str, name: str, key: HostKey, *, strict: str, consent: Consent
) -> None:
    shown = f"{who} shows a host key that nobody has accepted yet: {key.title} {key.fingerprint}."
    if known.has_authority(name):
        shown += " (Its certificate authority in known_hosts is not understood here.)"
    if consent.accept_key is not None:
        is_accepted = consent.accept_key.rstrip("=") == key.fingerprint
        remedy = f"That is not the accepted {consent.accept_key}."
    elif strict in ("no", "accept-new"):
        is_accepted, remedy = True, ""
    elif strict == "yes":
        is_accepted, remedy = False, "StrictHostKeyChecking is 'yes', so nobody is asked."
    elif consent.ask is not None:
        is_accepted, remedy = _says_yes(consent.ask, f"{shown} Accept it?"), "It was not accepted."
    else:
        is_accepted, remedy = False, ""
    if not is_accepted:
        raise HostKeyUnknown(
            f"{shown} {remedy}{' ' if remedy else ''}If it is the right one, accept it:"
            f" --accept-key {key.fingerprint}",
            host=name,
            fingerprint=key.fingerprint,
        )
    known.remember(name, key)


def _says_yes(ask: Ask, question: str) -> bool:
    try:
        return ask(question)
    except EOFError:  # input() where nobody sits
        return False


def _changed(who: str, name: str, key: HostKey, lines: list[Line]) -> str:
    line = lines[0]
    if set("*?!") & set(line.names):
        remedy = f"remove line {line.number} of {line.path}"
    else:
        paths = dict.fromkeys(line.path for line in lines)
        remedy = " && ".join(
            f"ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(str(path))}" for path in paths
        )
    return (
        f"{who} shows another host key than the accepted one ({line.path}, line {line.number}):"
        f" {key.title} {key.fingerprint} instead of {line.key.title} {line.key.fingerprint}."
        " A new machine at an old address looks like this, and so does somebody in between."
        f" If the machine is new, forget the old key: {remedy}"
    )


def _read(path: Path, notes: list[str]) -> Iterator[Line]:
    try:
        texts = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        notes.append(f"{path} cannot be read ({error.strerror}): its host keys are not known here")
        return
    bad: list[int] = []
    for number, text in enumerate(texts, 1):
        words = text.decode("utf-8", "replace").split()
        if not words or words[0].startswith("#"):
            continue
        line = _line(words, path, number)
        if line is None:
            bad.append(number)
        else:
            yield line
    if bad:
        notes.append(f"{path}: skipped what cannot be read, line {', '.join(map(str, bad))}")


def _line(words: list[str], path: Path, number: int) -> Line | None:
    marker = words.pop(0) if words[0].startswith("@") else ""
    if len(words) < 3 or (marker and marker not in _MARKERS):
        return None
    try:
        blob = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return Line(marker, words[0], HostKey(words[1], blob), path, number)


def _matches(pattern: str, name: str) -> bool:
    # Not fnmatch: there [host]:22 would be a set of letters.
    wild = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, name) is not None


def _hashed(name: str) -> str:
    salt = secrets.token_bytes(20)
    digest = hmac.digest(salt, name.encode(), "sha1")
    return "|".join(["", "1", *(base64.b64encode(part).decode() for part in (salt, digest))])


def _is_hash_of(names: str, name: str) -> bool:
    parts = names.split("|")
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in parts[2:4])
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(digest, hmac.digest(salt, name.encode(), "sha1"))


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = "\n" + line
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def kinds(lines: Iterable[Line]) -> list[str]:
    """Return the key algorithms under which a host is known, to ask it for those first."""
    return list(dict.fromkeys(line.key.kind for line in lines))
