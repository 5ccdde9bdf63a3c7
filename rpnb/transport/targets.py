"""What a person may type as TARGET, read into one frozen value.

local · HOST · [user@]host[:port] · ssh://[user@]host[:port] · runpod:POD
ssh root@203.0.113.12 -p 17543 -i ~/.ssh/id_ed25519      a pasted command, options and all
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple, NoReturn

from ..errors import BadTarget

FORMS = (
    "A target is 'local', an alias of ~/.ssh/config, [user@]host[:port], ssh://…,"
    " a pasted ssh command (ssh root@203.0.113.12 -p 17543), or runpod:POD."
)
# OpenSSH refuses the same ones in host and user names: they would reach a shell
# through ProxyCommand or Match exec.
_FORBIDDEN = re.compile(r"""[\s'`"$\\;&<>|(){},]|[\x00-\x1f]""")
_WORD = re.compile(r"""(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s"'\\]|["'\\])+""")
_OPTION = re.compile(r"\s*([A-Za-z]+)(?:\s*=\s*|\s+)(\S.*)", re.DOTALL)
_PLAIN = re.compile(r"~?[\w@%+=:,./-]+", re.ASCII)

_UNDERSTOOD = {"p": "port", "l": "user", "J": "jump", "F": "config", "i": "", "o": ""}
# They change what a terminal or a log shows, and nothing of how rpnb connects.
_WITHOUT_EFFECT = frozenset("aCknNqtTvx")


class Kind(Enum):
    """Which way leads to a target."""

    LOCAL = "local"
    SSH = "ssh"
    POD = "runpod"


@dataclass(frozen=True)
class Target:
    """A place where a worker may run, as the person named it; nothing is looked up yet."""

    kind: Kind
    host: str = ""
    user: str | None = None
    port: int | None = None
    identities: tuple[str, ...] = ()
    jump: str | None = None
    config: str | None = None
    options: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The word that leads each line of output."""
        return self.kind.value if self.kind is Kind.LOCAL else self.host

    @property
    def text(self) -> str:
        """The target written so that `parse` reads the same one."""
        if self.kind is Kind.LOCAL:
            return "local"
        if self.kind is Kind.POD:
            return f"runpod:{self.host}"
        if self.identities or self.jump or self.config or self.options:
            return self.command
        host = f"[{self.host}]" if ":" in self.host else self.host
        address = (
            (f"{self.user}@" if self.user else "") + host + (f":{self.port}" if self.port else "")
        )
        is_other = address in ("local", "ssh") or address.startswith("runpod:")
        return f"ssh://{address}" if is_other else address

    @property
    def command(self) -> str:
        """The `ssh` command line that leads to the same place."""
        return " ".join(map(_quote, ("ssh", *self.arguments)))

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows `ssh` on a command line: options, then the destination."""
        return tuple(self._arguments())

    def _arguments(self) -> Iterator[str]:
        if self.config is not None:
            yield from ("-F", self.config)
        if self.port is not None:
            yield from ("-p", str(self.port))
        for identity in self.identities:
            yield from ("-i", identity)
        if self.jump is not None:
            yield from ("-J", self.jump)
        for option in self.options:
            yield from ("-o", option)
        yield f"{self.user}@{self.host}" if self.user else self.host


class _Word(NamedTuple):
    text: str
    position: int


class _Typed:
    """What was typed, for errors that point into it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def refuse(self, problem: str, position: int) -> NoReturn:
        raise BadTarget(problem, self.text, position)


def parse(text: str) -> Target:
    """Return the target that `text` names.

    Raises:
        BadTarget: it names none; the message shows the place.
    """
    typed = _Typed(text)
    words = list(_words(typed))
    if not words:
        raise BadTarget(f"no target was given. {FORMS}")
    first = words[0]
    if first.text == "ssh" or len(words) > 1:
        return _command(typed, words[1:] if first.text == "ssh" else words)
    if first.text == "local":
        return Target(Kind.LOCAL)
    if first.text.startswith("runpod:"):
        return _pod(typed, first)
    return _address(typed, first)


def _words(typed: _Typed) -> Iterator[_Word]:
    # A long command is often pasted with its line continuations.
    text = typed.text.replace("\\\r\n", "   ").replace("\\\n", "  ")
    for match in _WORD.finditer(text):
        try:
            parts = shlex.split(match.group())
        except ValueError:
            typed.refuse("the quote that opens here is not closed.", match.start())
        yield _Word(parts[0] if parts else "", match.start())


def _pod(typed: _Typed, word: _Word) -> Target:
    pod = word.text.removeprefix("runpod:")
    if not pod or _FORBIDDEN.search(pod):
        typed.refuse("runpod: is followed by a pod's id or name.", word.position + len("runpod:"))
    return Target(Kind.POD, host=pod)


def _command(typed: _Typed, words: list[_Word]) -> Target:
    target: Target | None = None
    found = Target(Kind.SSH)
    rest = iter(words)
    for word in rest:
        if word.text.startswith("-") and len(word.text) > 1:
            found = _options(typed, found, word, rest)
        elif target is None:
            target = _address(typed, word)
        else:
            typed.refuse(
                "a command after the host has no meaning here: leave it out.", word.position
            )
    if target is None:
        raise BadTarget(f"this ssh command names no host. {FORMS}", typed.text, len(typed.text))
    # As with ssh, an option overrules what the address says.
    return replace(
        found, host=target.host, user=found.user or target.user, port=found.port or target.port
    )


def _options(typed: _Typed, found: Target, word: _Word, rest: Iterator[_Word]) -> Target:
    letters = word.text[1:]
    while letters and letters[0] in _WITHOUT_EFFECT:
        letters = letters[1:]
    if not letters:
        return found
    letter, joined = letters[0], letters[1:]
    if letter not in _UNDERSTOOD:
        typed.refuse(
            f"ssh's option -{letter} is not understood here: leave it out."
            " Understood are -p -i -l -J -F -o.",
            word.position,
        )
    value = _Word(joined, word.position) if joined else next(rest, None)
    if value is None or not value.text:
        typed.refuse(f"-{letter} is followed by a value.", word.position)
    return _with_option(typed, found, letter, value)


def _with_option(typed: _Typed, found: Target, letter: str, value: _Word) -> Target:
    if letter == "i":
        return replace(found, identities=(*found.identities, value.text))
    if letter == "o":
        match = _OPTION.fullmatch(value.text)
        if match is None:
            typed.refuse("-o is followed by Name=Value.", value.position)
        return replace(found, options=(*found.options, f"{match[1]}={match[2].strip()}"))
    if letter == "p":
        return replace(found, port=found.port or _port(typed, value))
    if letter == "l":
        return replace(found, user=found.user or _name(typed, value, "user"))
    if letter == "F":
        return replace(found, config=found.config or value.text)
    return replace(found, jump=found.jump or _jump(typed, value))


def _jump(typed: _Typed, value: _Word) -> str:
    position = value.position
    for hop in value.text.split(","):
        _address(typed, _Word(hop, position))
        position += len(hop) + 1
    return value.text


def _address(typed: _Typed, word: _Word) -> Target:
    is_url = word.text.lower().startswith("ssh://")
    rest = word.text[len("ssh://") :].rstrip("/") if is_url else word.text
    user, at, place = rest.rpartition("@")
    host, port = _host_and_port(place)
    start = word.position + (len("ssh://") if is_url else 0) + len(user + at)
    if at and not user:
        typed.refuse("there is no user name before the @.", word.position)
    host = _name(typed, _Word(host, start), "host")
    return Target(
        Kind.SSH,
        host=host,
        user=_name(typed, _Word(user, word.position), "user") if user else None,
        port=None if port is None else _port(typed, _Word(port, start + len(place) - len(port))),
    )


def _host_and_port(place: str) -> tuple[str, str | None]:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", place)
    if bracketed:
        return bracketed[1], bracketed[2]
    if place.count(":") > 1 and _is_ipv6(place):
        return place, None
    host, colon, port = place.partition(":")
    return host, port if colon else None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _name(typed: _Typed, word: _Word, what: str) -> str:
    if not word.text:
        typed.refuse(f"the {what} is missing. {FORMS}", word.position)
    bad = _FORBIDDEN.search(word.text) or re.match("-", word.text)
    if what == "host":
        bad = bad or re.search(r"[/@\[\]]" if _is_ipv6(word.text) else r"[/@\[\]:]", word.text)
    if bad:
        typed.refuse(
            f"{bad.group()!r} cannot be part of a {what} name. {FORMS}", word.position + bad.start()
        )
    return word.text


def _port(typed: _Typed, word: _Word) -> int:
    if not (word.text.isascii() and word.text.isdigit() and 0 < int(word.text) < 65536):
        typed.refuse(f"a port is a number from 1 to 65535, not {word.text!r}.", word.position)
    return int(word.text)


def _quote(word: str) -> str:
    return word if _PLAIN.fullmatch(word) else shlex.quote(word)
