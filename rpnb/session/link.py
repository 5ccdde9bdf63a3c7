"""The one connection to an agent, which comes back by itself after a cut.

A thread reads; what it reads goes to the inbox of the run that it belongs to.
While a run is open the link redials after a cut, says how far it had read, and
the agent replays the rest. With no run open a cut is mended at the next send.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import AgentError, CannotReach, JournalTrimmed, LinkLost, ProtocolError, RpnbError
from ..protocol import messages
from ..protocol.connection import CLIENT, Connection
from ..protocol.replay import Cursor
from .inbox import Inbox
from .logs import Decoder
from .outgoing import Outgoing, hang_up
from .updates import LinkChanged
from .upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..transport.stream import Stream
    from .upload import Bulk

    Dial = Callable[[], Stream]
    Incoming = Iterator[messages.Message]

# A healthy agent answers a ping within a round trip. After SUSPECT silent seconds
# the person is told, after LOST the stream is given up (facts/ssh.md: TCP itself
# notices a dead peer only after minutes).
SUSPECT = 2.0
LOST = 6.0
# How long an open run waits for the link: the job goes on meanwhile.
PATIENCE = 600.0
# How often a link is opened for a request before its cuts are told.
_TRIES, _PAUSE = 5, 0.1
# How long an agent that was reached may take to say its first word.
GREETING = 15.0


@dataclass
class OpenRequest:
    """A request under way: its message, the blobs it may need, and its run's inbox."""

    message: messages.Message
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    inbox: Inbox = field(default_factory=Inbox)
    # Kept, for a link that is down when it is asked for.
    cancel: messages.Cancel | None = None
    upload: Upload | None = None
    is_accepted: bool = False


class Link:
    """Sends requests to an agent and hands what comes back to their inboxes.

    `dial` opens a new stream to the agent, starting it where it is gone; `bulk`
    one whose traffic does not delay the first one's, for as long as it is entered.
    """

    def __init__(self, dial: Dial, bulk: Bulk, client: str) -> None:
        self._dial, self._bulk, self._client = dial, bulk, client
        self._session = uuid.uuid4().hex
        self._cursor = Cursor()
        self._requests: dict[str, OpenRequest] = {}
        self._active: str | None = None
        # None while the link is down; a reader belongs to one of them.
        self._stream: Outgoing | None = None
        self._is_reading = False
        # Counts closings: a reader of an earlier life has no say in this one.
        self._life = 0
        # Never held while anything waits for the network; this one is, for a new stream.
        self._lock, self._opening = threading.RLock(), threading.Lock()
        self._heard = self._pinged = time.monotonic()
        self._logs = Decoder()
        self.info: dict[str, Any] = {}
        self.born = threading.Event()

    def open(self) -> messages.Welcome:
        """Attach to the agent and start reading; return its welcome.

        Raises:
            TargetError: the agent cannot be reached.
            AgentError: it refuses this client.
        """
        life = self._life
        welcome, stream, incoming = self._attach(life)
        reader = threading.Thread(
            target=self._read, args=(life, stream, incoming), name="rpnb link", daemon=True
        )
        reader.start()
        return welcome

    def submit(self, request: str, opened: OpenRequest) -> None:
        """Send a request; what comes of it arrives in `opened.inbox`.

        Raises:
            RpnbError: as `open`. The request is forgotten then, here and there.
        """
        try:
            with self._lock:
                # Before that nobody listened: its silence says nothing.
                self._heard = time.monotonic()
                self._requests[request] = opened
                is_reading = self._is_reading
                self._send(opened.message)
            if not is_reading:
                self.reopen()
        except BaseException:
            # Ctrl-C, too: what the caller does not know of must not run later.
            self.forget(request)
            self._send(messages.Cancel(request))
            raise

    def reopen(self) -> None:
        """Open the link if it is down.

        Raises:
            RpnbError: as `open`.
        """
        with self._opening:
            for left in reversed(range(_TRIES)):
                if self._is_reading:
                    return
                try:
                    self.open()
                except LinkLost:
                    # Reached, and cut at once: nothing was lost yet, so it is no news.
                    if not left:
                        raise
                    time.sleep(_PAUSE)

    def send(self, message: messages.Message) -> None:
        """Send a message that opens no request; lost with the link, if that is down."""
        with self._lock:
            self._send(message)

    def cancel(self, cancel: messages.Cancel) -> None:
        """Cancel an open request, as soon as the link allows."""
        with self._lock:
            opened = self._requests.get(cancel.request)
            if opened is not None:
                opened.cancel = cancel
                self._send(cancel)

    def forget(self, request: str) -> None:
        """Stop listening for a request."""
        with self._lock:
            opened = self._requests.pop(request, None)
        if opened is not None and opened.upload is not None:
            opened.upload.stop()

    def check(self) -> None:
        """Ping an agent that has been silent, and give up a stream that stays so."""
        now, stream = time.monotonic(), self._stream
        silent = now - self._heard
        with self._lock:
            uploads = [opened.upload for opened in self._requests.values() if opened.upload]
        for upload in uploads:
            upload.check()
        if silent < SUSPECT or stream is None:
            return
        if silent > LOST:
            stream.close()  # the reader notices and redials
        elif now - self._pinged > 1.0:
            self._pinged = now
            stream.put(messages.Ping(int(now)))
            # The first ping is only a question; unanswered, it is news.
            if silent > SUSPECT + 1.0:
                self._tell(LinkChanged("suspect", silent))

    def close(self) -> None:
        """End the connection; the worker stays as it is."""
        with self._lock:
            self._life += 1
        self._end(self._life, LinkLost("the connection was closed"))

    def _attach(self, life: int) -> tuple[messages.Welcome, Outgoing, Incoming]:
        stream = self._dial()
        try:
            incoming = self._incoming(stream)
            answer = self._greet(stream, incoming)
        except BaseException:
            hang_up(stream)
            raise
        with self._lock:
            outgoing = Outgoing(stream)
            if life != self._life:
                outgoing.close()
                raise LinkLost("the connection was closed")
            self._stream, self._is_reading = outgoing, True
            self._meet(answer)
            # The agent executes a request at most once, so it may safely hear of it again.
            for opened in self._requests.values():
                self._send(opened.message)
                if opened.cancel is not None:
                    self._send(opened.cancel)
        return answer, outgoing, incoming

    def _greet(self, stream: Stream, incoming: Incoming) -> messages.Welcome:
        cursor = self._cursor
        out, err = cursor.offsets["out"], cursor.offsets["err"]
        # A link that froze just now would keep us waiting for ever.
        watchdog = threading.Timer(GREETING, hang_up, [stream])
        watchdog.daemon = True
        watchdog.start()
        try:
            hello = messages.Hello(
                self._client, "drive", cursor.seq, out, err, session=self._session
            )
            stream.send(messages.encode(hello))
            answer = next(incoming, None)
        finally:
            watchdog.cancel()
        if isinstance(answer, messages.Refused):
            raise AgentError(answer.text)
        if not isinstance(answer, messages.Welcome):
            raise LinkLost("the agent closed the connection before it said anything")
        return answer

    def _meet(self, welcome: messages.Welcome) -> None:
        """Begin where this agent's journal is."""
        self._learn(welcome.info)
        if 0 <= self._cursor.seq <= welcome.seq:
            return
        if self._cursor.seq > welcome.seq:
            # Another journal: a pod that lost its disk. What had begun there is lost, too;
            # sent again it would run a second time.
            text = "the agent's directory was removed, and with it what this job did"
            self._end_begun(LinkLost(text))
        self._cursor = Cursor(welcome.seq, welcome.out, welcome.err)

    def _end_begun(self, error: RpnbError) -> None:
        """End what the worker has begun, and of which no more can come."""
        with self._lock:
            begun = {each: opened for each, opened in self._requests.items() if opened.is_accepted}
        for request, opened in begun.items():
            opened.inbox.put(error)
            self.forget(request)

    def _incoming(self, stream: Stream) -> Incoming:
        connection = Connection(CLIENT)
        while data := stream.receive():
            self._heard = time.monotonic()
            yield from connection.receive_data(data)

    def _send(self, message: messages.Message) -> None:
        # A cut is the reader's business: it redials, and repeats what is open.
        if self._stream is not None:
            self._stream.put(message)

    def _read(self, life: int, stream: Outgoing, incoming: Incoming) -> None:
        while True:
            try:
                for message in incoming:
                    if self._stream is not stream:
                        return
                    self._route(message)
            except ProtocolError as error:
                self._end(life, error)
                return
            except (OSError, RpnbError):
                pass  # a cut, like the end of the stream: redial below
            stream.close()
            with self._lock:
                if self._stream is not stream:
                    return
                self._stream = None
                if not self._requests:
                    self._is_reading = False
                    return
            try:
                stream, incoming = self._reattach(life)
            except RpnbError as error:
                self._end(life, error)
                return

    def _reattach(self, life: int) -> tuple[Outgoing, Incoming]:
        began, pause = time.monotonic(), 0.1
        while True:
            self._tell(LinkChanged("lost", time.monotonic() - self._heard))
            try:
                _, stream, incoming = self._attach(life)
            except (CannotReach, LinkLost, OSError) as error:
                waited = time.monotonic() - began
                if life != self._life or waited > PATIENCE:
                    raise LinkLost(
                        f"the link was lost and did not come back within {waited:.0f} s: {error}. "
                        "The job goes on; connect again to see its result."
                    ) from error
                time.sleep(pause)
                pause = min(2 * pause, 5.0)
            else:
                self._tell(LinkChanged("back", time.monotonic() - began))
                return stream, incoming

    def _route(self, message: messages.Message) -> None:
        if isinstance(message, messages.Event):
            if self._cursor.take(message):
                self._route_event(message)
        elif isinstance(message, messages.Output):
            for news in self._logs.read(message.stream, *self._cursor.take_output(message)):
                self._tell(news, self._active)
        elif isinstance(message, messages.Need):
            self._upload(message)
        elif isinstance(message, messages.Ping):
            # Another client wants to drive: this one is still there.
            self.send(messages.Pong(message.number))
        elif isinstance(message, (messages.Refused, messages.Notice)):
            self._tell(message, message.request)
        elif isinstance(message, messages.Trimmed):
            self._cursor.skip(message)
            self._end_begun(JournalTrimmed("what this job did is no longer kept on the target"))

    def _route_event(self, event: messages.Event) -> None:
        if event.kind == "born":
            self._learn(event.body["info"])
        elif event.kind == "accepted" and event.request is not None:
            self._active = event.request
            with self._lock:
                if event.request in self._requests:
                    self._requests[event.request].is_accepted = True
        self._tell(event, event.request)
        if event.kind in ("done", "failed") and event.request is not None:
            # An end of the stream that follows must not redial for its sake.
            self.forget(event.request)

    def _upload(self, need: messages.Need) -> None:
        with self._lock:
            opened = self._requests.get(need.request)
            if opened is None or self._stream is None:
                return
            if opened.upload is not None:
                # Asked anew after a cut: what the agent has by now is not sent again.
                opened.upload.stop()
            again = lambda: self._ask_again(opened)  # noqa: E731 - one line says it
            opened.upload = Upload(need.missing, opened, self._stream, self._bulk, again)
        opened.upload.start()

    def _ask_again(self, opened: OpenRequest) -> None:
        """Say the request once more: the agent answers with what it still needs."""
        with self._lock:
            if opened in self._requests.values():
                self._send(opened.message)

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

    def _end(self, life: int, error: Exception) -> None:
        """Let go of the stream; every open run ends with the error."""
        with self._lock:
            if life != self._life:
                return
            stream, self._stream, self._is_reading = self._stream, None, False
            requests, self._requests = self._requests, {}
        for opened in requests.values():
            opened.inbox.put(error)
            if opened.upload is not None:
                opened.upload.stop()
        if stream is not None:
            stream.close()
