"""Every exception of rpnb, in one tree.

    RpnbError
    ├── BadInput                     what was typed cannot be read; shows a caret
    │   ├── BadNotebook              missing, or not a notebook
    │   └── WrongPlace               a magic or an option where it cannot work
    ├── ProgramError                 the cells do not make a program
    │   ├── NoHandler                no function that could be the handler, or too many
    │   ├── BadSyntax                a remote cell that Python cannot parse
    │   ├── MissingName              a remote cell uses a name that nothing defines
    │   └── CannotCapture            a value that cannot travel, with the path inside it
    ├── TargetError                  the target cannot be reached or used
    │   ├── BadTarget                the text names no target
    │   ├── CannotReach              no such host, no answer, refused
    │   ├── LoginRefused             the server accepted none of the keys
    │   ├── HostKeyUnknown           a key nobody has accepted yet
    │   ├── HostKeyChanged           another key than the accepted one
    │   ├── NoPython                 no Python >= 3.9 on the target
    │   ├── NoSpace                  the target's disk is full or read-only
    │   ├── CannotPrepare            the overlay or the agent could not be set up
    │   └── LinkLost                 the connection ended and did not come back
    ├── AgentError                   the agent refuses: another version, another driver
    │   └── JournalTrimmed           what a job said is older than what the target keeps
    ├── ProtocolError                bytes that are not the protocol
    ├── JobFailed                    a job ended FAILED, CANCELLED or without a result
    ├── RemoteError                  a step or a scratch cell raised on the target
    │   └── WorkerDied               the worker's process ended while it worked
    └── ExportError                  the file cannot be written, or is not what was asked

Standard library only: this module travels to the target inside the agent.
"""

from __future__ import annotations

from typing import Any


class RpnbError(Exception):
    """The root: whatever rpnb raises on purpose is one of these."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback through rpnb's own code."""
        return [*_remote_traceback(self), f"{type(self).__name__}: {self}"]


class BadInput(RpnbError):
    """What was typed cannot be read.

    `text` is what was typed and `position` the 0-based offset of the trouble;
    where both are known the message ends with the line and a caret under it.
    """

    def __init__(self, message: str, text: str = "", position: int | None = None) -> None:
        self.text, self.position = text, position
        super().__init__(message + _caret(text, position))


class BadNotebook(BadInput):
    """The file is missing, unreadable or not a notebook."""


class WrongPlace(BadInput):
    """A magic or an option stands where it cannot work."""


class ProgramError(RpnbError):
    """The cells do not make a program that could run."""


class NoHandler(ProgramError):
    """No function could be the handler, or several could."""


class BadSyntax(ProgramError):
    """A remote cell that Python cannot parse."""


class MissingName(ProgramError):
    """A remote cell uses a name that no cell defines."""


class CannotCapture(ProgramError):
    """A value that cannot travel; `name` is the variable, `path` the place inside it."""

    def __init__(self, message: str, *, name: str = "", path: str = "") -> None:
        self.name, self.path = name, path
        super().__init__(message)


class TargetError(RpnbError):
    """The target cannot be reached or used."""


class BadTarget(TargetError, BadInput):
    """The text names no target; shows a caret, as `BadInput` does."""


class CannotReach(TargetError):
    """No such host, no answer, or the connection was refused."""


class LoginRefused(TargetError):
    """The server accepted none of the identities that were offered."""


class HostKeyUnknown(TargetError):
    """A host key nobody has accepted yet; `fingerprint` is its `SHA256:…`."""

    def __init__(self, message: str, *, host: str = "", fingerprint: str = "") -> None:
        self.host, self.fingerprint = host, fingerprint
        super().__init__(message)


class HostKeyChanged(TargetError):
    """The host shows another key than the one that was accepted."""


class NoPython(TargetError):
    """There is no Python 3.9 or newer on the target."""


class NoSpace(TargetError):
    """The target's disk is full, read-only, or there is no writable home."""


class CannotPrepare(TargetError):
    """The agent or its overlay environment could not be set up on the target."""


class LinkLost(TargetError):
    """The connection ended and did not come back in time; the job goes on."""


class AgentError(RpnbError):
    """The agent refuses: it speaks another version, or somebody else drives."""


class JournalTrimmed(AgentError):
    """What a job said is no longer kept on the target; it ran, and does not run again."""


class ProtocolError(RpnbError):
    """Bytes that are not the protocol; says what was expected and what came."""


class JobFailed(RpnbError):
    """A job ended FAILED, CANCELLED or without a result; `result` has the rest."""

    def __init__(self, message: str, result: Any = None) -> None:
        self.result = result
        super().__init__(message)


class RemoteError(RpnbError):
    """A step or a scratch cell raised on the target.

    `details` is a `session.result.RemoteException`; in a notebook the traceback
    shown is the remote one, mapped to the cells.
    """

    def __init__(self, message: str, details: Any = None) -> None:
        self.details = details
        super().__init__(message)


class WorkerDied(RemoteError):
    """The worker's process ended while it worked: crash, signal or `sys.exit`."""


class ExportError(RpnbError):
    """The file cannot be written, or is not what was asked for."""


def _remote_traceback(error: RpnbError) -> list[str]:
    """The lines of what user code raised on the target, where that is behind the error."""
    raised = getattr(error, "details", None)
    raised = raised or getattr(getattr(error, "result", None), "exception", None)
    return [line.rstrip("\n") for line in getattr(raised, "traceback", None) or ()]


def _caret(text: str, position: int | None) -> str:
    if position is None or not text:
        return ""
    start = text.rfind("\n", 0, position) + 1
    line = text[start:].split("\n", 1)[0]
    # One sign for each: the caret stays in its place, and a terminal where it is.
    line = "".join(sign if sign.isprintable() else " " for sign in line)
    return f"\n    {line}\n    {' ' * (position - start)}^"
