"""What every transport offers: commands, and byte streams to the agent's socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .targets import Target

Ask = Callable[[str], bool]
"""Puts a yes-or-no question to the person."""

AskSecret = Callable[[str], "str | None"]
"""Asks the person for a secret; None where they give none."""


@dataclass(frozen=True)
class Completed:
    """A command that ended: its exit code (negative: the signal) and what it wrote."""

    code: int
    stdout: str
    stderr: str


class Stream(Protocol):
    """Bytes both ways. One thread may send while another receives."""

    def send(self, data: bytes | memoryview) -> None:
        """Send all of `data`; blocks while the other side does not read.

        Raises:
            LinkLost: the stream has ended.
        """

    def receive(self) -> bytes:
        """Return what has come, at least one byte; b"" at the end and after `close`."""

    def unacknowledged(self) -> int:
        """Return how many of the bytes sent the other machine has not got yet.

        0 where the system does not say.
        """

    def close(self) -> None:
        """End the stream; wakes a blocked `receive`. May be called again."""


class Transport(Protocol):
    """An open way to a target. Its methods may be called from any thread."""

    @property
    def target(self) -> Target:
        """The target this leads to."""

    @property
    def notes(self) -> list[str]:
        """What the person should be told once: a line of known_hosts that was skipped."""

    def run(
        self, command: str, stdin: bytes = b"", on_line: Callable[[str], None] | None = None
    ) -> Completed:
        """Run a `sh` command line to its end and return what it wrote.

        `on_line` gets each line of stdout as it comes, in the caller's thread.
        An interrupt ends the command.

        Raises:
            LinkLost: the connection ended before the command did.
        """

    def connect(self, socket: str, bridge: str) -> Stream:
        """Return a stream to the unix socket at path `socket` on the target.

        `bridge` is a command line whose stdin and stdout lead to the same
        socket, for servers that forbid the direct way.

        Raises:
            CannotReach: nothing listens there. Over a bridge this is known only
                later: the first `receive` raises it.
        """

    def again(self) -> Transport:
        """Return a second connection to the same target, logged in alike; asks nothing."""

    def close(self) -> None:
        """Close the connection and its streams. May be called again."""
