"""The one connection to an agent, which comes back by itself after a cut.

A thread reads; what it reads goes to the inbox of the run that it belongs to.
While a run is open the link redials after a cut, says how far it had read, and
the agent replays the rest. With no run open a cut is mended at the next send.
"""

from __future__ import annotations

import codecs
import contextlib
import threading
import time
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from ..errors import AgentError, CannotReach, LinkLost, ProtocolError, RpnbError
from ..protocol import messages
from ..protocol.connection import CLIENT, Connection
from ..protocol.replay import Cursor
from .updates import LinkChanged, Logged
from .upload import upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..transport.stream import Stream
    from .upload import Bulk

    Dial = Callable[[], Stream]

# A healthy agent answers a ping within a round trip. After SUSPECT silent seconds
# the person is told, after LOST the stream is given up (facts/ssh.md: TCP itself
# notices a dead peer only after minutes).
SUSPECT = 2.0
LOST = 6.0
# How long an open run waits for the link: the job goes on meanwhile.
PATIENCE = 600.0


@dataclass
class OpenRequest:
    """A request under way: its message, the blobs it may need, and its run's inbox."""

    message: messages.Message
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    inbox: SimpleQueue[Any] = field(default_factory=SimpleQueue)


class Link:
    """Sends requests to an agent and hands what comes back to their inboxes.

    `dial` opens a new stream to the agent, starting it where it is gone; `bulk`
    one whose traffic does not delay the first one's, for as long as it is entered.
    """

    def __init__(self, dial: Dial, bulk: Bulk, client: str) -> None:
        self._dial, self._bulk, self._client = dial, bulk, client
        self._cursor = Cursor()
        self._requests: dict[str, OpenRequest] = {}
        self._active: str | None = None
        self._stream: Stream | None = None
        self._lock = threading.RLock()
        self._closed = False
        self._heard = self._pinged = time.monotonic()
        self._decoders = {
            name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("out", "err")
        }
        self.info: dict[str, Any] = {}
        self.born = threading.Event()

    def open(self) -> messages.Welcome:
        """Attach to the agent and start reading; return its welcome.

        Raises:
            TargetError: the agent cannot be reached.
            AgentError: it refuses this client.
        """
        with self._lock:
            welcome, incoming = self._attach()
            threading.Thread(target=self._read, args=(incoming,), daemon=True).start()
        return welcome

    def submit(self, request: str, opened: OpenRequest) -> None:
        """Send a request; what comes of it arrives in `opened.inbox`."""
        with self._lock:
            self._requests[request] = opened
            if self._stream is None:
                self.open()
            else:
                self._send(opened.message)

    def send(self, message: messages.Message) -> None:
        """Send a message that opens no request; lost with the link, if that is down."""
        with self._lock:
            self._send(message)

    def forget(self, request: str) -> None:
        """Stop listening for a request."""
        with self._lock:
            self._requests.pop(request, None)

    def check(self) -> None:
        """Ping an agent that has been silent, and give up a stream that stays so."""
        now = time.monotonic()
        silent = now - self._heard
        if silent < SUSPECT or self._stream is None:
            return
        if silent > LOST:
            self._stream.close()  # the reader notices and redials
        elif now - self._pinged > 1.0:
            self._pinged = now
            self.send(messages.Ping(int(now)))
            # The first ping is only a question; unanswered, it is news.
            if silent > SUSPECT + 1.0:
                self._tell(LinkChanged("suspect", silent))

    def close(self) -> None:
        """End the connection; the worker stays as it is."""
        with self._lock:
            self._closed = True
            if self._stream is not None:
                self._stream.close()

    def _attach(self) -> tuple[messages.Welcome, Iterator[messages.Message]]:
        stream = self._dial()
        cursor = self._cursor
        hello = messages.Hello(
            self._client, "drive", cursor.seq, cursor.offsets["out"], cursor.offsets["err"]
        )
        stream.send(messages.encode(hello))
        incoming = self._incoming(stream)
        answer = next(incoming, None)
        if isinstance(answer, messages.Refused):
            raise AgentError(answer.text)
        if not isinstance(answer, messages.Welcome):
            raise LinkLost("the agent closed the connection before it said anything")
        if cursor.seq < 0:
            self._cursor = Cursor(answer.seq, answer.out, answer.err)
        self._stream = stream
        self._learn(answer.info)
        # The agent executes a request at most once, so it may safely hear of it again.
        for opened in list(self._requests.values()):
            self._send(opened.message)
        return answer, incoming

    def _incoming(self, stream: Stream) -> Iterator[messages.Message]:
        connection = Connection(CLIENT)
        while data := stream.receive():
            self._heard = time.monotonic()
            yield from connection.receive_data(data)

    def _send(self, message: messages.Message) -> None:
        # A cut is the reader's business: it redials, and repeats what is open.
        if self._stream is not None:
            with contextlib.suppress(OSError, LinkLost):
                self._stream.send(messages.encode(message))

    def _read(self, incoming: Iterator[messages.Message]) -> None:
        while True:
            try:
                for message in incoming:
                    self._route(message)
            except ProtocolError as error:
                return self._fail(error)
            except (OSError, RpnbError):
                pass  # a cut, like the end of the stream: redial below
            with self._lock:
                if self._stream is not None:
                    self._stream.close()
                self._stream = None
                if self._closed or not self._requests:
                    return self._fail(LinkLost("the connection was closed"))
            try:
                incoming = self._reattach()
            except RpnbError as error:
                return self._fail(error)

    def _reattach(self) -> Iterator[messages.Message]:
        began, pause = time.monotonic(), 0.1
        while True:
            self._tell(LinkChanged("lost", time.monotonic() - self._heard))
            try:
                with self._lock:
                    _, incoming = self._attach()
            except (CannotReach, LinkLost, OSError) as error:
                waited = time.monotonic() - began
                if self._closed or waited > PATIENCE:
                    raise LinkLost(
                        f"the link was lost and did not come back within {waited:.0f} s: {error}. "
                        "The job goes on; connect again to see its result."
                    ) from error
                time.sleep(pause)
                pause = min(2 * pause, 5.0)
            else:
                self._tell(LinkChanged("back", time.monotonic() - began))
                return incoming

    def _route(self, message: messages.Message) -> None:
        if isinstance(message, messages.Event):
            if self._cursor.take(message):
                self._route_event(message)
        elif isinstance(message, messages.Output):
            data = self._cursor.take_output(message)
            text = self._decoders[message.stream].decode(data)
            if text:
                self._tell(Logged(message.stream, text), self._active)
        elif isinstance(message, messages.Need):
            opened = self._requests.get(message.request)
            if opened is not None:
                upload(message.missing, opened, self._stream, self._bulk)
        elif isinstance(message, messages.Refused):
            self._tell(message, message.request)

    def _route_event(self, event: messages.Event) -> None:
        if event.kind == "born":
            self._learn(event.body["info"])
        elif event.kind == "accepted":
            self._active = event.request
        self._tell(event, event.request)
        if event.kind in ("done", "failed") and event.request is not None:
            # An end of the stream that follows must not redial for its sake.
            self.forget(event.request)

    def _learn(self, info: dict[str, Any]) -> None:
        if info:
            self.info = info
            self.born.set()

    def _tell(self, news: Any, request: str | None = None) -> None:
        """Put news into a request's inbox, or into all where it concerns none in particular."""
        with self._lock:
            if request is None:
                inboxes = [opened.inbox for opened in self._requests.values()]
            else:
                opened = self._requests.get(request)
                inboxes = [opened.inbox] if opened else []
        for inbox in inboxes:
            inbox.put(news)

    def _fail(self, error: Exception) -> None:
        self._tell(error)
