"""A request that was made before, by this client or another: followed again from its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpnb.protocol import messages
from rpnb.session.link import OpenRequest
from rpnb.session.run import Run

if TYPE_CHECKING:
    from rpnb.session.session import Session


def attach(session: Session, request: str) -> Run:
    """Return the run of a request that the worker knows; all its updates come again.

    Nothing is executed anew. Iterating raises `AgentError` where the worker does
    not know the request.
    """
    opened = OpenRequest(messages.Replay(request))
    session._link.submit(request, opened)
    return Run(session._link, request, opened, session.adopted)
