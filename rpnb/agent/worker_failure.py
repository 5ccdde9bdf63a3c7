"""How a request ends badly, and how what was raised becomes that."""

from __future__ import annotations

import traceback
from typing import Any, Mapping

from ..errors import RpnbError
from .worker_cancel import JobCancelled
from .worker_trace import details


class RequestFailed(Exception):
    """The request ends with `failed`: its phase, the error as data, and the cell where known."""

    def __init__(self, phase: str, error: dict[str, Any], cell: str | None = None) -> None:
        super().__init__(phase)
        self.phase, self.error, self.cell = phase, error, cell


class NeedsRestart(Exception):
    """Only a fresh process can equal a fresh process: the request is to be taken again there."""


def failure_of(
    error: BaseException, phase: str, app: str, cell: str | None = None
) -> RequestFailed:
    """Return the failure that an exception of the person's code makes of its request."""
    failed = RequestFailed(
        "cancelled" if isinstance(error, JobCancelled) else phase, details(error, app), cell
    )
    # Its frames would keep alive what they hold: a model, on a full GPU.
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return failed


def kept_instead(reload: Mapping[str, Any]) -> RequestFailed:
    """Return the end of a request whose reload a person stopped: nothing was changed."""
    message = f"not reloaded: {', '.join(reload['names'])}"
    report = {"type": "JobCancelled", "message": message, "frames": [], "traceback": []}
    return RequestFailed("cancelled", report)


def refusal(error: RpnbError) -> RequestFailed:
    """Return the failure for a mistake that rpnb itself found."""
    return refused("plan", error)


def refused(phase: str, error: Exception) -> RequestFailed:
    """Return the failure for what rpnb will not do: a sentence, without lines of code."""
    report = {"type": type(error).__name__, "message": str(error), "frames": [], "traceback": []}
    return RequestFailed(phase, report)


def unexpected(bug: Exception) -> dict[str, Any]:
    """Return a mistake of rpnb's own as data, whole: there is nothing to hide from who fixes it."""
    lines = traceback.format_exception(type(bug), bug, bug.__traceback__)
    return {
        "type": "AgentError",
        "message": f"rpnb's worker made a mistake ({type(bug).__name__}: {bug}). The program and "
        "its values are as they were; please report this with the traceback.",
        "frames": [],
        "traceback": "".join(lines).splitlines(),
    }
