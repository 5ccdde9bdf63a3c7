"""The person behind a connection: what may be asked, and what is remembered of the answers."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .stream import Ask, AskSecret

if TYPE_CHECKING:
    import paramiko

# A person sits before the program that asks in our stead.
_ASKPASS_SECONDS = 300.0
# What is asked for in these words is another one at the next login.
_ONE_TIME = re.compile(r"one.?time|\botp\b|token|code\b|\bpin\b|\bduo\b|factor|option", re.I)


@dataclass(frozen=True)
class Person:
    """Who answers questions, as far as anybody does; `tell` hears what a host says meanwhile."""

    ask: Ask | None = None
    ask_secret: AskSecret | None = None
    accept_key: str | None = None
    tell: Callable[[str], None] | None = None

    def secret(self, question: str) -> str | None:
        """Return the answer to a question that is not shown as it is typed; None for none."""
        try:
            return self.ask_secret(question) if self.ask_secret else None
        except EOFError:  # getpass() where nobody sits
            return None

    def hear(self, text: str) -> None:
        """Pass on what a host says while one waits for it."""
        if self.tell is not None and text:
            self.tell(text)

    def unattended(self) -> Person:
        """Return the same person, who answers nothing."""
        return Person(accept_key=self.accept_key, tell=self.tell)


@dataclass
class Memory:
    """What a login took, for logging in again: in this process only, and never shown.

    `keys` are those of files that were unlocked, `answers` what was typed, by question.
    """

    keys: dict[str, paramiko.PKey] = field(default_factory=dict, repr=False)
    answers: dict[str, str] = field(default_factory=dict, repr=False)
    # A code that is good for one login was asked for.
    is_one_time: bool = False


def or_askpass(ask_secret: AskSecret | None) -> AskSecret | None:
    """Return who gives secrets: SSH_ASKPASS where ssh would run it or nobody else is there."""
    program, wish = os.environ.get("SSH_ASKPASS"), os.environ.get("SSH_ASKPASS_REQUIRE")
    if not program or wish == "never" or (ask_secret and wish not in ("force", "prefer")):
        return ask_secret
    return functools.partial(_askpass, program)


def is_one_time(prompt: str) -> bool:
    """Whether the answer to a host's prompt is likely to be another one next time."""
    return _ONE_TIME.search(prompt) is not None


def _askpass(program: str, question: str) -> str | None:
    try:
        done = subprocess.run(
            [program, question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASKPASS_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    return done.stdout.decode("utf-8", "replace").split("\n")[0].rstrip("\r")
