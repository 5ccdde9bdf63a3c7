"""The settings of a connection, and the route to a target: nothing is left to look up."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import BadTarget
from .sshconfig import answers
from .targets import Target, parse

# The time that the style guide's message names.
_CONNECT_SECONDS = 10.0
# A host that was reached may look up our name before it says anything.
_HANDSHAKE_SECONDS = 30.0
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
# More is a loop: a jump host that is reached through itself.
_MOST_HOPS = 32
_DEFAULT_KEYS = (
    "id_rsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
    "id_xmss",
    "id_dsa",
)
# What ssh takes where nobody says anything; `ssh -G` says all of it.
_DEFAULTS = {
    "port": "22",
    "identitiesonly": "no",
    "identityagent": "SSH_AUTH_SOCK",
    "userknownhostsfile": "~/.ssh/known_hosts ~/.ssh/known_hosts2",
    "globalknownhostsfile": "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2",
    "stricthostkeychecking": "ask",
    "hashknownhosts": "no",
    "connecttimeout": "none",
    "pubkeyauthentication": "yes",
    "kbdinteractiveauthentication": "yes",
    "passwordauthentication": "yes",
    "preferredauthentications": "publickey,keyboard-interactive,password",
    "numberofpasswordprompts": "3",
    "batchmode": "no",
    "addressfamily": "any",
    "proxyusefdpass": "no",
}
# What a login may use, by the option that forbids it.
_METHODS = {
    "publickey": "pubkeyauthentication",
    "keyboard-interactive": "kbdinteractiveauthentication",
    "password": "passwordauthentication",
}
# ssh -G prints two of its words as truth values.
_STRICT = {"true": "yes", "false": "no", "off": "no"}
_PROXIED = re.compile(r"(^|\.)ssh\.runpod\.io$", re.IGNORECASE)


@dataclass(frozen=True)
class Settings:
    """Everything that one connection needs to know, nothing left to look up.

    `identities` are the key files that somebody named, `usual_identities` those
    that ssh tries where nobody did; `methods` are the ways to log in that are
    allowed, in order, and `prompts` how often each asks.
    """

    target: Target
    host: str
    port: int
    user: str
    identities: tuple[str, ...]
    usual_identities: tuple[str, ...]
    certificates: tuple[str, ...]
    identities_only: bool
    agent: str | None
    methods: tuple[str, ...]
    prompts: int
    is_batch: bool
    jump: str | None
    proxy_command: str | None
    known_hosts: tuple[Path, ...]
    known_hosts_of_machine: tuple[Path, ...]
    revoked_keys: Path | None
    key_name: str
    strict: str
    hash_names: bool
    timeout: float
    handshake_timeout: float
    family: socket.AddressFamily | None
    bind_address: str | None

    @property
    def address(self) -> str:
        """Where the connection goes, for messages: `203.0.113.7:22`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def route(target: Target) -> list[Settings]:
    """Return the hops to `target`, the first to be connected first, itself last.

    Raises:
        BadTarget: the configuration cannot be read, jumps in a circle, or ends
            at RunPod's proxy.
    """
    hops = list(_back_from(target))[::-1]
    for hop in hops:
        if _PROXIED.search(hop.host):
            raise BadTarget(
                f"{hop.user}@{hop.host} is RunPod's proxied SSH, which gives a shell and nothing"
                " else. The console's Connect page has the other line, 'SSH over exposed TCP'"
                " (ssh root@IP -p PORT …): use that. Where it is missing,"
                " expose TCP port 22 of the pod."
            )
    return hops


def _back_from(target: Target) -> Iterator[Settings]:
    place: Target | None = target
    for _ in range(_MOST_HOPS):
        if place is None:
            return
        settings = read(place)
        yield settings
        place = _before(settings)
    raise BadTarget(
        f"{target.label} is reached through more than {_MOST_HOPS} jump hosts: a circle?"
    )


def _before(settings: Settings) -> Target | None:
    if settings.jump is None:
        return None
    earlier, _, last = settings.jump.rpartition(",")
    # As with ssh -J: the file given with -F holds for jump hosts, -o and -i do not.
    return replace(parse(f"ssh {last}"), jump=earlier or None, config=settings.target.config)


def read(target: Target) -> Settings:
    """Return what the configuration says about `target`.

    Raises:
        BadTarget: the configuration cannot be read.
    """
    _check_home(target)
    said = answers(target)
    one = {**_DEFAULTS, **{key: values[0] for key, values in said.items()}}
    if _is_yes(one["proxyusefdpass"]):
        raise BadTarget(f"{target.label}: ProxyUseFdpass is not understood here")
    host = one.get("hostname", target.host)
    port = _port(target, one["port"])
    user = one.get("user") or _own_name()
    if user is None:
        raise BadTarget(f"{target.label}: who logs in there? This user has no name here: user@host")
    tokens = _tokens(target, host, port, user, one)
    named, usual = _identities(target, said.get("identityfile", []), tokens)
    jump, command = _unless_none(one.get("proxyjump")), _unless_none(one.get("proxycommand"))
    revoked = _unless_none(one.get("revokedhostkeys"))
    name = one.get("hostkeyalias") or (host if port == 22 else f"[{host}]:{port}")
    strict = one["stricthostkeychecking"].lower()
    return Settings(
        target=target,
        host=host,
        port=port,
        user=user,
        identities=named,
        usual_identities=usual,
        certificates=tuple(_expand(x, tokens) for x in said.get("certificatefile", [])),
        identities_only=_is_yes(one["identitiesonly"]),
        agent=_agent(one["identityagent"], tokens),
        methods=tuple(_methods(one)),
        prompts=int(_number(one["numberofpasswordprompts"])),
        is_batch=_is_yes(one["batchmode"]),
        jump=_expand(jump, tokens) if jump else None,
        proxy_command=_expand(command, tokens) if command and not jump else None,
        known_hosts=_files(one["userknownhostsfile"], tokens),
        known_hosts_of_machine=_files(one["globalknownhostsfile"], tokens),
        revoked_keys=Path(_expand(revoked, tokens)) if revoked else None,
        key_name=name.lower(),
        strict=_STRICT.get(strict, strict),
        hash_names=_is_yes(one["hashknownhosts"]),
        timeout=_number(one["connecttimeout"]) or _CONNECT_SECONDS,
        handshake_timeout=_number(one["connecttimeout"]) or _HANDSHAKE_SECONDS,
        family=_FAMILIES.get(one["addressfamily"].lower()),
        bind_address=_unless_none(one.get("bindaddress")),
    )


def _port(target: Target, value: str) -> int:
    if not (value.isdecimal() and 0 < int(value) < 65536):
        raise BadTarget(f"{target.label}: its configuration gives the port {value!r}")
    return int(value)


def _check_home(target: Target) -> None:
    try:
        Path.home()
    except RuntimeError:
        raise BadTarget(
            f"{target.label}: this user has no home here, and ssh keeps keys and known hosts below "
            "it: set HOME to a folder"
        ) from None


def _own_name() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def _tokens(target: Target, host: str, port: int, user: str, one: dict[str, str]) -> dict[str, str]:
    here = socket.gethostname()
    jump = one.get("proxyjump", "")
    parts = (here, host, str(port), user, jump if jump != "none" else "")
    return {
        "%": "%",
        "C": hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest(),
        "L": here.partition(".")[0],
        "d": str(Path.home()),
        "h": host,
        "i": str(os.getuid()),
        "j": parts[-1],
        "k": one.get("hostkeyalias") or target.host,
        "l": here,
        "n": target.host,
        "p": str(port),
        "r": user,
        "u": _own_name() or "",
    }


def _expand(text: str, tokens: dict[str, str]) -> str:
    filled = re.sub(r"%(.)", lambda match: tokens.get(match[1], match[0]), text)
    filled = re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1], match[0]), filled)
    return str(Path(filled).expanduser()) if filled.startswith("~") else filled


def _identities(
    target: Target, answered: list[str], tokens: dict[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the key files that were named, and the usual ones where ssh would try them."""
    usual = [f"~/.ssh/{name}" for name in _DEFAULT_KEYS]
    # ssh -G leaves out a file given with -i that does not exist; a person should hear of it.
    named = [*target.identities, *(path for path in answered if path not in usual)]
    paths = dict.fromkeys(_expand(path, tokens) for path in named if path != "none")
    if "none" in answered or any(Path(path).exists() for path in paths):
        return tuple(paths), ()
    return tuple(paths), tuple(_expand(path, tokens) for path in usual)


def _methods(one: dict[str, str]) -> Iterator[str]:
    for name in one["preferredauthentications"].split(","):
        if name in _METHODS and one[_METHODS[name]].lower() not in ("no", "false"):
            yield name


def _is_yes(value: str) -> bool:
    return value.lower() in ("yes", "true")


def _unless_none(value: str | None) -> str | None:
    return None if value in (None, "none", "") else value


def _agent(value: str, tokens: dict[str, str]) -> str | None:
    if value == "none":
        return None
    if value == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK")
    if value.startswith("$"):
        return os.environ.get(value.strip("${}"))
    return _expand(value.strip('"'), tokens)


def _files(value: str, tokens: dict[str, str]) -> tuple[Path, ...]:
    whole = Path(_expand(value.strip('"'), tokens))
    # ssh -G prints a list without quotes: a path with a space in it is one file where it exists.
    if " " in value and whole.exists():
        return (whole,)
    return tuple(Path(_expand(part, tokens)) for part in value.split() if part != "none")


def _number(value: str) -> float:
    return float(value) if value.isdigit() else 0.0
