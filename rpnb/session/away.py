"""What a person is told while there is no link, and of what nobody here waits for any more."""

from __future__ import annotations

import copy
import sys
import warnings
from typing import TYPE_CHECKING

from ..errors import LinkLost, RpnbError
from ..protocol import messages
from .result import RemoteException
from .updates import Failed, LinkChanged, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from .dialogue import OpenRequest

# A cut that is mended sooner, without a try that failed, is not worth a warning.
_MENDED = 10.0
# What the first cancel comes to where the request was sent, and where it was not.
LATER = Waiting("cancelled once the link is back; a second interrupt ends the wait here")
UNSENT = Failed(
    "cancelled",
    RemoteException("JobCancelled", "cancelled before it was sent: there was no link"),
    None,
)


def is_confirmed(opened: OpenRequest) -> bool:
    """Tell whether the agent is known to have the request; one that is replayed was its own."""
    return opened.is_accepted or isinstance(opened.message, messages.Replay)


def sentence(changed: LinkChanged) -> str:
    """Return in words how the link is, for where there are no columns."""
    if changed.state == "back":
        return f"link is back after {changed.seconds:.0f} s"
    why = f": {changed.why}" if changed.why else ""
    if changed.state == "away":
        return f"no link for {changed.seconds:.0f} s, the run waits, reconnecting{why}"
    known = "job runs on" if changed.is_confirmed else "sent, not confirmed yet"
    return f"link lost {changed.seconds:.0f} s ago, {known}, reconnecting{why}"


def warner(target: str) -> Callable[[LinkChanged], None]:
    """Return what warns once of each outage, for where nothing is drawn."""
    is_warned = False

    def see(changed: LinkChanged) -> None:
        nonlocal is_warned
        if changed.state == "back":
            is_warned = False
        elif not is_warned and (changed.why or changed.seconds > _MENDED):
            is_warned = True
            warn(f"{target}: {sentence(changed)}")

    return see


def warn(text: str) -> None:
    """Warn at the line of the person's that called, however much of ours lies between."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("rpnb."):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)


def left(request: str, opened: OpenRequest) -> LinkLost:
    """Return how a run ends whose wait for the link was ended."""
    text = _afterwards(request, opened, "goes on, unless an interrupt still reached it")
    return LinkLost(f"the link is lost, and nothing waits for it any more. {text}")


def ended(error: Exception, request: str, opened: OpenRequest) -> Exception:
    """Return the error that ends a wait for the link, with a word on what was sent before."""
    if not opened.is_said or isinstance(error, LinkLost) or not isinstance(error, RpnbError):
        return error
    own = copy.copy(error)
    own.args = (f"{error}\n{_afterwards(request, opened, 'goes on')}",)
    own.__cause__ = error
    return own


def _afterwards(request: str, opened: OpenRequest, goes_on: str) -> str:
    """What becomes of a request that nobody here waits for any more, and what shows it."""
    has_job = isinstance(opened.message, messages.Replay) or getattr(opened.message, "jobs", None)
    shows = f"`%runpod_run --attach {request[:4]}` shows what became of it" if has_job else ""
    if not is_confirmed(opened):
        known = "Whether what was sent had arrived is not known"
        return f"{known}; if so, {shows}." if shows else f"{known}."
    return f"The job {goes_on}: {shows}." if shows else f"What was sent {goes_on}."
