"""A request that was made before, by this client or another: followed again from its start.

It comes over a connection of its own: the session's link has passed these
numbers already, and takes no event twice.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, cast

from ..errors import LinkLost, ProtocolError
from ..protocol import messages
from ..protocol.connection import CLIENT, Connection
from ..protocol.replay import Cursor
from .link import OpenRequest
from .logs import Decoder
from .run import Run

if TYPE_CHECKING:
    from ..transport.stream import Stream
    from .link import Link
    from .session import Session


def attach(session: Session, request: str) -> Run:
    """Return the run of a request that the worker knows; all its updates come again.

    Nothing is executed anew. Iterating raises `AgentError` where the worker does
    not know the request.
    """
    opened = OpenRequest(messages.Replay(request))
    replayed = _Replayed(session, opened, request)
    # It offers all that a run asks of a link; a Link itself would redial and skip.
    run = Run(cast("Link", replayed), request, opened, session.adopted)
    replayed.start()
    return run


class _Replayed:
    """What a run asks of its link, for a request that comes again."""

    def __init__(self, session: Session, opened: OpenRequest, request: str) -> None:
        self._session, self._opened, self._request = session, opened, request
        self._closing = contextlib.ExitStack()
        self._stream: Stream = self._closing.enter_context(session.second_stream())
        # Where its log begins is known with its first event.
        self._cursor: Cursor | None = None
        self._logs = Decoder()

    def start(self) -> None:
        """Ask for the request, and read what comes on a thread."""
        hello = messages.Hello(f"{self._session.worker} attach {self._request}", "watch")
        for message in (hello, self._opened.message):
            self._stream.send(messages.encode(message))
        threading.Thread(target=self._read, daemon=True).start()

    def check(self) -> None:
        """Nothing to do: the reader notices the end of the stream."""

    def forget(self, _request: str) -> None:
        """Close the connection: the run has ended."""
        self._closing.close()
        self._closing.close()

    def cancel(self, cancel: messages.Cancel) -> None:
        """Send a cancel; only the session's own connection may."""
        self._session.send(cancel)

    def _read(self) -> None:
        connection = Connection(CLIENT)
        # The end of the stream, however it came, is told below.
        with contextlib.suppress(OSError, ProtocolError, LinkLost):
            while data := self._stream.receive():
                for message in connection.receive_data(data):
                    self._route(message)
        self._opened.inbox.put(LinkLost("the connection to the earlier job ended; attach again"))

    def _route(self, message: messages.Message) -> None:
        if isinstance(message, messages.Event):
            if message.request == self._request:
                self._cursor = self._cursor or Cursor(message.seq, message.out, message.err)
                self._opened.inbox.put(message)
        elif isinstance(message, messages.Output) and self._cursor is not None:
            for news in self._logs.read(message.stream, *self._cursor.take_output(message)):
                self._opened.inbox.put(news)
        elif isinstance(message, (messages.Refused, messages.Notice)):
            self._opened.inbox.put(message)
