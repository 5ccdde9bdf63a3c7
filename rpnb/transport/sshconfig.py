"""What ssh's configuration says about a target: `ssh -G` where there is an ssh.

`ssh -G` knows Match and every token; paramiko's own reader, used where there is
no ssh, knows Host and simple Match, and gets the files of Include in their place.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import BadTarget
from .targets import Target

# Includes what a `Match exec` of the person's own may take.
_READ_SECONDS = 10.0
# How far an Include may lead, as in ssh.
_MOST_INCLUDES = 16
_INCLUDE = re.compile(r"include\s*[=\s]\s*(.+)", re.IGNORECASE)
_EXEC = re.compile(r"^\s*match\b.*\bexec\b", re.IGNORECASE | re.MULTILINE)

Answers = dict[str, list[str]]


def answers(target: Target) -> Answers:
    """Return the values of each option, by its name in small letters, the first that counts first.

    Raises:
        BadTarget: the configuration cannot be read.
    """
    return _ask_ssh(target) if shutil.which("ssh") else _read_files(target)


def _ask_ssh(target: Target) -> Answers:
    try:
        done = subprocess.run(
            ["ssh", "-G", *target.arguments[:-1], "--", target.arguments[-1]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_READ_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BadTarget(
            f"{target.label}: 'ssh -G' took over {_READ_SECONDS:.0f} s. Does a 'Match exec' in"
            " ~/.ssh/config wait for something?"
        ) from error
    if done.returncode:
        raise BadTarget(
            f"{target.label}: ssh cannot read its configuration. It says: {done.stderr.strip()}"
        )
    return _gather(line.partition(" ")[::2] for line in done.stdout.splitlines())


def _gather(pairs: Iterator[tuple[str, str]]) -> Answers:
    gathered: Answers = {}
    for key, value in pairs:
        gathered.setdefault(key.lower(), []).append(value)
    return gathered


def _read_files(target: Target) -> Answers:
    gathered = _gather(_typed(target))
    named = [target.config] if target.config else []
    usual = [] if named else ["~/.ssh/config", "/etc/ssh/ssh_config"]
    paths = [Path(path).expanduser() for path in (*named, *usual)]
    for path in (path for path in paths if named or path.exists()):
        for key, value in _looked_up(target, path).items():
            values = value if isinstance(value, list) else [value]
            if key == "identityfile":
                gathered.setdefault(key, []).extend(values)
            elif value is not None and not (key == "hostname" and value == target.host):
                gathered.setdefault(key, values)
    return gathered


def _looked_up(target: Target, path: Path) -> dict[str, Any]:
    import paramiko

    try:
        text = "".join(_lines(path, _MOST_INCLUDES))
        if _EXEC.search(text):
            raise BadTarget(
                f"{target.label}: {path} has a 'Match exec', which only ssh can read, and there is"
                " no ssh here: install openssh-client, or name the target in full"
            )
        return dict(paramiko.SSHConfig.from_text(text).lookup(target.host))
    except (paramiko.SSHException, OSError, ValueError) as error:
        raise BadTarget(f"{target.label}: {path} cannot be read: {error}") from error


def _lines(path: Path, depth: int) -> Iterator[str]:
    """The lines of a configuration, those of the files it includes in their place."""
    for line in path.read_text(errors="replace").splitlines():
        match = _INCLUDE.fullmatch(line.strip())
        if match is None or not depth:
            yield f"{line}\n"
            continue
        for pattern in shlex.split(match[1]):
            # Relative to where a person's configuration lies, as in ssh.
            wanted = Path("~/.ssh").expanduser() / Path(pattern).expanduser()
            for found in sorted(Path("/").glob(str(wanted).lstrip("/"))):
                yield from _lines(found, depth - 1)


def _typed(target: Target) -> Iterator[tuple[str, str]]:
    if target.user:
        yield "user", target.user
    if target.port:
        yield "port", str(target.port)
    if target.jump:
        yield "proxyjump", target.jump
    for path in target.identities:
        yield "identityfile", path
    for option in target.options:
        key, _, value = option.partition("=")
        yield key, value.strip('"')
