"""The known_hosts files: which keys, and whose certificates, a host is known by.

Read line by line: a line that cannot be read costs that line, with a note, and
not the file (paramiko's own reader raises on one it does not know).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .keys import PublicKey

_MARKERS = ("@revoked", "@cert-authority")
# More line numbers than that nobody reads.
_MOST_NAMED = 5


class Line(NamedTuple):
    """One readable line of a known_hosts file."""

    marker: str
    names: str
    key: PublicKey
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

    def authorities(self, name: str) -> list[Line]:
        """Return the lines of authorities whose certificates hold for `name`, with any port."""
        return [line for line in self._marked("@cert-authority") if _is_about_any(line, name)]

    def revoking(self, name: str, keys: Iterable[PublicKey]) -> Line | None:
        """Return a line that revokes one of `keys` for `name`, if any."""
        for line in self._marked("@revoked"):
            if line.key in keys and _is_about_any(line, name):
                return line
        return None

    def remember(self, name: str, key: PublicKey) -> None:
        """Write down that `name` has `key`, from now on in this object, too."""
        if not self._own:
            return
        path = self._own[0]
        names = _hashed(name) if self._hash_names else name
        self._lines.append(Line("", names, key, path, 0))
        try:
            _append(path, f"{names} {key.line}\n")
        except OSError as error:
            self.notes.append(
                f"the host key was accepted for now only: {path} cannot be written"
                f" ({error.strerror})"
            )

    def _marked(self, marker: str) -> list[Line]:
        return [line for line in self._lines if line.marker == marker]


def without_port(name: str) -> str:
    """Return the host of a name in known_hosts: `host` of `[host]:2222`."""
    bracketed = re.fullmatch(r"\[(.+)\]:\d+", name)
    return bracketed[1] if bracketed else name


def _is_about_any(line: Line, name: str) -> bool:
    # As ssh does: what is said of a host holds on its other ports.
    return line.is_about(name) or line.is_about(without_port(name))


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
        if line is not None:
            yield line
        elif not _is_of_old_ssh(words):
            bad.append(number)
    if bad:
        more = f" and {len(bad) - _MOST_NAMED} more" if len(bad) > _MOST_NAMED else ""
        named = ", ".join(map(str, bad[:_MOST_NAMED]))
        notes.append(f"{path}: skipped what cannot be read, line {named}{more}")


def _line(words: list[str], path: Path, number: int) -> Line | None:
    marker = words.pop(0) if words[0].startswith("@") else ""
    key = PublicKey.from_words(words[1:])
    if key is None or (marker and marker not in _MARKERS):
        return None
    return Line(marker, words[0], key, path, number)


def _is_of_old_ssh(words: list[str]) -> bool:
    # SSH 1 wrote bits, exponent and modulus: nothing is amiss with such a file.
    return len(words) >= 4 and all(word.isdecimal() for word in words[1:4])


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
