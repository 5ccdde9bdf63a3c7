"""A request that was made before, by this client or another: followed again from its start.

It comes over a link of its own: the session's has passed these numbers already,
and takes no event twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ..protocol import messages
from .dialogue import Dialogue, OpenRequest
from .link import Link
from .run import Run
from .updates import Waiting

if TYPE_CHECKING:
    from .session import Session


def attach(session: Session, request: str) -> Run:
    """Return the run of a request that the worker knows; all its updates come again.

    Nothing is executed anew. Iterating raises `AgentError` where the worker does
    not know the request.
    """
    client = f"{session.worker} attach {request}"
    link = Link(session.reach.dial, session.reach.beside, Dialogue(client, watched=request))
    opened = OpenRequest(messages.Replay(request))
    run = Run(cast("Link", _Watching(session, link)), request, opened, session.adopted)
    link.submit(request, opened)
    return run


class _Watching:
    """What a run asks of its link, where that only watches."""

    def __init__(self, session: Session, link: Link) -> None:
        self._session, self._link = session, link

    @property
    def info(self) -> dict[str, Any]:
        """What the worker's machine says of itself."""
        return self._link.info

    def forget(self, request: str) -> None:
        """Close the link: the run has ended."""
        self._session.withdraw(request)
        self._link.close()

    def cancel(self, cancel: messages.Cancel) -> None:
        """Let the session's own link send a cancel: one that watches may not."""
        if not self._session.order(cancel, self._cannot_cancel):
            self._link.end_wait(cancel)

    def _cannot_cancel(self, request: str, why: str) -> None:
        self._link.tell(Waiting(f"not cancelled, the job goes on: {why}"), request)
