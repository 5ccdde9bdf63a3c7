"""What a client has asked of an agent and heard of it: the link without streams and clocks.

It outlives the streams: after a cut it says how far it had read and what is open,
the agent replays the rest, and each event reaches its run once and in order.
"""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from ..errors import AgentError, JournalTrimmed, LinkLost, RpnbError
from ..protocol import messages
from ..protocol.replay import Cursor
from .history import History
from .inbox import Inbox
from .logs import Decoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .upload import Upload


_MOST_ANSWERS = 100


@dataclass(eq=False)
class OpenRequest:
    """A request under way: its message, the blobs it may need, and its run's inbox."""

    message: messages.Message
    blobs: Mapping[str, bytes | memoryview] = field(default_factory=dict)
    inbox: Inbox = field(default_factory=Inbox)
    # Kept, for a link that is down when it is asked for.
    cancel: messages.Cancel | None = None
    upload: Upload | None = None
    # Whether it was put on any line so far; and whether the agent has begun it.
    is_said: bool = False
    is_accepted: bool = False


class Dialogue:
    """The open requests of one client, and how far it has read. Safe from any thread.

    One that drives takes every event of the worker; one that only watches takes those
    of the request `watched`, from its first on.
    """

    def __init__(self, client: str, watched: str | None = None) -> None:
        self.info: dict[str, Any] = {}
        self.born = threading.Event()
        self.history = History()
        # Handed to the agent, which may have been killed since: then it gets them again.
        self.secrets: dict[str, str] = {}
        # To pings that somebody waits for.
        self.answers: SimpleQueue[messages.Pong] = SimpleQueue()
        self._client, self._watched = client, watched
        self._session = uuid.uuid4().hex
        self._cursor, self._logs = Cursor(), Decoder()
        self._requests: dict[str, OpenRequest] = {}
        # The request whose output comes now.
        self._active: str | None = None
        self._lock = threading.RLock()

    @property
    def is_idle(self) -> bool:
        """Whether no request is open."""
        return not self._requests

    @property
    def is_waiting(self) -> bool:
        """Whether somebody waits for news: of a request, or of the worker's birth."""
        return bool(self._requests) or not self.born.is_set()

    @property
    def is_awaited(self) -> bool:
        """Whether a run has read all that came for it, and waits for more."""
        return any(opened.inbox.is_awaited for opened in self.open_requests().values())

    def fullest(self) -> tuple[str, Inbox] | None:
        """Return a request whose run should read before more comes; None where there is room."""
        for request, opened in self.open_requests().items():
            if opened.inbox.is_full:
                return request, opened.inbox
        return None

    def overtake(self, request: str) -> None:
        """Give up a run that reads nothing while others wait; its job goes on."""
        self.tell(
            LinkLost(
                "this run's output was not read while another one waited, and there was more than "
                f"is held here. The job goes on: `%runpod_run --attach {request[:4]}` shows it all."
            ),
            request,
        )
        self.drop(request)

    def hello(self) -> messages.Hello:
        """Return the first message on a new stream: who this is, and how far it has read."""
        if self._watched is not None:
            return messages.Hello(self._client, "watch", session=self._session)
        offsets = self._cursor.offsets
        position = self._cursor.seq, offsets["out"], offsets["err"]
        return messages.Hello(self._client, "drive", *position, session=self._session)

    def meet(self, answer: messages.Message | None) -> list[messages.Message]:
        """Take the answer to `hello`; return what must be said again on this stream.

        The agent executes a request at most once, so it may safely hear of it again.

        Raises:
            AgentError: the agent refuses this client.
            LinkLost: the stream ended before it said anything.
        """
        if isinstance(answer, messages.Refused):
            raise AgentError(answer.text)
        if not isinstance(answer, messages.Welcome):
            raise LinkLost("the agent closed the connection before it said anything")
        self._learn(answer.info)
        self.history.meet(answer.requests)
        if self._cursor.seq > answer.seq:
            # Another journal: a pod that lost its disk. Sent again it would run a second time.
            text = "the agent's directory was removed, and with it what this job did"
            self._end_begun(LinkLost(text))
        if self._watched is None and not 0 <= self._cursor.seq <= answer.seq:
            self._cursor = Cursor(answer.seq, answer.out, answer.err)
        lost = {name: text for name, text in self.secrets.items() if name not in answer.secrets}
        again: list[messages.Message] = [messages.SetEnv(uuid.uuid4().hex, lost)] if lost else []
        return again + self.again()

    def again(self) -> list[messages.Message]:
        """Return the open requests, to be said once more, each with its cancel."""
        known = self.open_requests().values()
        for opened in known:
            opened.is_said = True
        return [said for each in known for said in (each.message, each.cancel) if said]

    def add(self, request: str, opened: OpenRequest) -> None:
        """Listen for a request from now on."""
        with self._lock:
            self._requests[request] = opened

    def find(self, request: str) -> OpenRequest | None:
        """Return an open request."""
        return self._requests.get(request)

    def drop(self, request: str) -> None:
        """Stop listening for a request, and sending what it needs."""
        with self._lock:
            opened = self._requests.pop(request, None)
        if opened is not None and opened.upload is not None:
            opened.upload.stop()

    def end(self, error: Exception) -> None:
        """End every open run with the error."""
        for request in self.open_requests():
            self.tell(error, request)
            self.drop(request)

    def open_requests(self) -> dict[str, OpenRequest]:
        """Return the open requests by their ids."""
        with self._lock:
            return dict(self._requests)

    def tell(self, news: Any, request: str | None = None, size: int = 0) -> None:
        """Put news into a request's inbox, or into all where it concerns none in particular."""
        for name, opened in self.open_requests().items():
            if request in (None, name):
                opened.inbox.put(news, size)

    def hear(self, message: messages.Message, size: int = 0) -> None:
        """Take a message, which came in `size` bytes, and tell whom it concerns.

        Raises:
            ProtocolError: an event is missing, or a log is unknown.
        """
        if isinstance(message, messages.Event):
            if self._is_mine(message) and self._cursor.take(message):
                self._hear_event(message, size)
        elif isinstance(message, messages.Output):
            if self._cursor.seq >= 0:
                for news in self._logs.read(message.stream, *self._cursor.take_output(message)):
                    self.tell(news, self._active, size)
        elif isinstance(message, messages.Pong) and message.number:
            # One is waited for at a time; a few that came too late may lie here.
            if self.answers.qsize() < _MOST_ANSWERS:
                self.answers.put(message)
        elif isinstance(message, (messages.Refused, messages.Notice)):
            self.tell(message, message.request, size)
        elif isinstance(message, messages.Trimmed):
            self._cursor.skip(message)
            self._end_begun(JournalTrimmed("what this job did is no longer kept on the target"))

    def _is_mine(self, event: messages.Event) -> bool:
        if self._watched is None:
            return True
        if self._cursor.seq < 0 and event.request == self._watched:
            # What was printed before its first event is not this request's.
            self._cursor = Cursor(event.seq - 1, event.out, event.err, gaps=True)
        return event.request == self._watched

    def _hear_event(self, event: messages.Event, size: int) -> None:
        self.history.see(event)
        if event.kind == "born":
            self._learn(event.body["info"])
        elif event.kind == "accepted" and event.request is not None:
            self._active = event.request
            opened = self._requests.get(event.request)
            if opened is not None:
                opened.is_accepted = True
        self.tell(event, event.request, size)
        if event.kind in ("done", "failed") and event.request is not None:
            # An end of the stream that follows must not redial for its sake.
            self.drop(event.request)

    def _end_begun(self, error: RpnbError) -> None:
        """End what the worker has begun, and of which no more can come.

        Of a run that is only watched there is nothing else to wait for.
        """
        for request, opened in self.open_requests().items():
            if opened.is_accepted or self._watched is not None:
                self.tell(error, request)
                self.drop(request)

    def _learn(self, info: dict[str, Any]) -> None:
        if info:
            self.info = info
            self.born.set()
