"""The one connection to an agent, which comes back by itself after a cut.

While a request is open a thread watches the link. Where it falls silent another
stream is opened beside it, and whichever answers first is kept; where it ends it
is opened again. What was missed is replayed. With no request open nothing is
watched: a cut is mended at the next one, which waits for the link as a run does.
"""

from __future__ import annotations

import contextlib
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ..errors import LinkLost, ProtocolError, RpnbError
from ..protocol import messages
from . import away
from .dialogue import Dialogue, OpenRequest
from .line import Line
from .link_state import TRANSITIONS, State
from .pulse import TICK, Pulse
from .redial import Redial
from .updates import LinkChanged
from .upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..transport.stream import Stream
    from .inbox import Inbox
    from .upload import Bulk

    Dial = Callable[[], Stream]

# A link that was cut sooner was not back: the next try waits its turn.
_STABLE = 2.0
# A person is told again how long it has been, ever more seldom.
_TOLD_FIRST, _TOLD_LAST = 2.0, 60.0
# A clock that ran so far ahead: the machine slept, and what was under way is dead.
_ASLEEP = 10.0
# How soon the reader looks again whether a run has read what it holds; and how long one
# that reads nothing may keep the others waiting.
_ROOM, UNREAD = 0.02, 10.0


class Link:
    """Sends requests to an agent and hands what comes back to their inboxes.

    `dial` opens a new stream to the agent, starting it where it is gone; it ends by
    itself within minutes, whatever freezes. `bulk` opens one whose traffic does not
    delay the first one's, for as long as it is entered.
    """

    def __init__(self, dial: Dial, bulk: Bulk, dialogue: Dialogue) -> None:
        self._dial, self._bulk, self._dialogue = dial, bulk, dialogue
        self._state = State.DOWN
        # None while there is none; a reader belongs to one of them.
        self._line: Line | None = None
        # Counts closings: what began in an earlier life has no say in this one.
        self._life = 0
        # Numbers the questions of `ask`; the pulse's own have 0.
        self._asked = 0
        # Never held while anything waits for the network.
        self._lock = threading.RLock()
        self._heard_at = self._attached_at = time.monotonic()
        # When a person is told next, in seconds since the last byte.
        self._tell_at = 0.0
        self._watcher: threading.Thread | None = None
        # Rung when there is something to do before the next tick.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._pulse = Pulse()
        self._redial = Redial(self._attach, lambda: self._bell.put(None))

    @property
    def info(self) -> dict[str, Any]:
        """What the worker's machine says of itself; {} until it is born."""
        return self._dialogue.info

    @property
    def born(self) -> threading.Event:
        """Set once the worker has said what it is."""
        return self._dialogue.born

    def open(self) -> messages.Welcome:
        """Attach to the agent and start reading; return its welcome.

        Raises:
            TargetError: the agent cannot be reached.
            AgentError: it refuses this client.
        """
        life = self._life
        welcome = self._attach(lambda: life == self._life)
        with self._lock:
            self._see_to_watcher()
        return welcome

    def submit(self, request: str, opened: OpenRequest) -> None:
        """Send a request as soon as there is a link; what comes of it arrives in `opened.inbox`.

        Raises:
            ProtocolError: it is larger than an agent accepts.
        """
        try:
            with self._lock:
                if self._dialogue.is_idle:
                    # Before that nobody listened: its silence says nothing.
                    self._pulse.hear()
                    self._heard_at = time.monotonic()
                self._dialogue.add(request, opened)
                self._say(request, opened)
                self._see_to_watcher()
        except BaseException:
            # Ctrl-C, too: what the caller does not know of must not run later.
            self.forget(request)
            self.send(messages.Cancel(request))
            raise

    def reopen(self) -> None:
        """Open the link if it is down.

        Raises:
            RpnbError: as `open`.
        """
        if self._state is State.DOWN:
            self.open()

    def send(self, message: messages.Message) -> None:
        """Send a message that opens no request; lost with the link, if that is down."""
        with self._lock:
            self._send(message)

    def ask(self, seconds: float = 2.0) -> messages.Pong | None:
        """Return what the agent says of its worker now; None where no answer comes in time."""
        self._asked += 1
        self.send(messages.Ping(self._asked))
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                answer = self._dialogue.answers.get(timeout=left)
            except Empty:
                break
            if answer.number == self._asked:
                return answer
        return None

    def cancel(self, cancel: messages.Cancel) -> None:
        """Cancel an open request, as soon as the link allows."""
        with self._lock:
            opened = self._dialogue.find(cancel.request)
            if opened is None:
                return
            if self._state is not State.UP and not opened.is_said:
                self._dialogue.tell(away.UNSENT, cancel.request)
                self.forget(cancel.request)
                return
            opened.cancel = cancel
            # A line that is only silent may live.
            self._send(cancel)
            self.end_wait(cancel)

    def end_wait(self, cancel: messages.Cancel) -> None:
        """Say what a cancel comes to while there is no link: a second one ends the wait for it."""
        with self._lock:
            opened = self._dialogue.find(cancel.request)
            if opened is None or self._state is State.UP:
                return
            if cancel.force:
                self.abandon(cancel.request)
            else:
                self._dialogue.tell(away.LATER, cancel.request)

    def abandon(self, request: str) -> None:
        """Wait no longer for a link for this request's sake; nothing where there is one."""
        with self._lock:
            opened = self._dialogue.find(request)
            if opened is not None and self._state is not State.UP:
                self._dialogue.tell(away.left(request, opened), request)
                self.forget(request)

    def order(self, cancel: messages.Cancel, inbox: Inbox) -> bool:
        """Cancel a request that another link follows; tell whether that is on its way.

        It stays open until the request has ended or it is withdrawn, so that no cut loses it.
        """
        with self._lock:
            if self._is_own(cancel.request):
                self.cancel(cancel)
            else:
                self.submit(cancel.request, OpenRequest(cancel, inbox=inbox))
            return self._state is State.UP

    def withdraw(self, request: str) -> None:
        """Order its cancel no longer: nobody follows the request any more."""
        with self._lock:
            if not self._is_own(request):
                self.forget(request)

    def _is_own(self, request: str) -> bool:
        opened = self._dialogue.find(request)
        return opened is not None and not isinstance(opened.message, messages.Cancel)

    def tell(self, news: Any, request: str) -> None:
        """Put news that came another way into a request's inbox."""
        self._dialogue.tell(news, request)

    def forget(self, request: str) -> None:
        """Stop listening for a request."""
        self._dialogue.drop(request)

    def close(self) -> None:
        """End the connection; the worker stays as it is."""
        with self._lock:
            self._life += 1
        self._end(LinkLost("the connection was closed"))
        self._bell.put(None)

    # A stream, from its beginning to its end

    def _attach(self, is_wanted: Callable[[], bool]) -> messages.Welcome:
        line = Line(self._dial(), lambda: self._hear(line))
        try:
            with self._lock:
                if not is_wanted():
                    raise LinkLost("the connection was closed")
                hello = self._dialogue.hello()
            answer = line.greet(hello)
            with self._lock:
                if not is_wanted():
                    raise LinkLost("the connection was closed")
                again = self._dialogue.meet(answer)
                before = self._adopt(line)
                for message in again:
                    line.put(message)
        except BaseException:
            line.close()
            raise
        threading.Thread(target=self._read, args=[line], name="rpnb link", daemon=True).start()
        if before is not None:
            before.close()
        assert isinstance(answer, messages.Welcome)
        return answer

    def _adopt(self, line: Line) -> Line | None:
        """Make a line that was welcomed the one; return the one before it."""
        was, before = self._state, self._line
        self._move("attached")
        self._line = line
        self._pulse.renew()
        self._redial.end()
        now = time.monotonic()
        if was in (State.SUSPECT, State.LOST):
            self._dialogue.tell(LinkChanged("back", now - self._heard_at))
        self._attached_at = self._heard_at = now
        return before

    def _hear(self, line: Line) -> None:
        """Take note that bytes came, or that a large message is arriving."""
        if line is not self._line:
            return
        self._pulse.hear()
        silent, self._heard_at = time.monotonic() - self._heard_at, time.monotonic()
        if self._state is not State.SUSPECT:
            return
        with self._lock:
            if line is self._line and self._state is State.SUSPECT:
                self._move("heard")
                self._pulse.forgive()
                self._dialogue.tell(LinkChanged("back", silent))
                self._redial.stop()

    def _read(self, line: Line) -> None:
        try:
            for message in line.incoming:
                with self._lock:
                    if line is not self._line:
                        return
                    self._take(line, message)
                self._wait_for_room(line)
        except ProtocolError as error:
            self._fail(line, error)
        except (OSError, RpnbError):
            pass  # a cut, like the end of the stream
        except Exception as error:  # noqa: BLE001 - whatever it sent, its runs must end and say so
            self._fail(line, ProtocolError(f"what the agent says cannot be read: {error!r}"))
        self._cut(line)

    def _fail(self, line: Line, error: Exception) -> None:
        with self._lock:
            is_current = line is self._line
        if is_current:
            self._end(error)

    def _take(self, line: Line, message: messages.Message) -> None:
        if isinstance(message, messages.Need):
            self._upload(line, message)
        elif isinstance(message, messages.Ping):
            # Another client wants to drive: this one is still there.
            line.put(messages.Pong(message.number))
        else:
            self._dialogue.hear(message, line.frame_bytes)
            if isinstance(message, messages.Trimmed):
                # One may have begun, and ended, in what is gone: the agent knows.
                for said in self._dialogue.again():
                    line.put(said)

    def _wait_for_room(self, line: Line) -> None:
        """Read on only when every run has read most of what came for it."""
        waited, read = 0.0, -1
        while line is self._line and (full := self._dialogue.fullest()) is not None:
            request, inbox = full
            if inbox.read_bytes != read or not self._dialogue.is_awaited:
                waited, read = 0.0, inbox.read_bytes
            if waited > UNREAD:
                self._dialogue.overtake(request)
            time.sleep(_ROOM)
            waited += _ROOM
            # What is not read says nothing of the link.
            self._pulse.hear()
            self._heard_at = time.monotonic()

    def _cut(self, line: Line) -> None:
        with self._lock:
            if line is not self._line:
                return
            self._line = None
            if self._state is State.UP:
                self._need_line()
            self._move("cut" if self._dialogue.is_waiting else "closed")
            if self._state is State.LOST:
                self._tell_trouble()
        line.close()
        self._bell.put(None)

    def _end(self, error: Exception) -> None:
        """Let go of the line; every open run ends with the error."""
        with self._lock:
            line, self._line = self._line, None
            self._redial.end()
            if self._state is not State.DOWN:
                self._move("closed")
            self._dialogue.end(error)
        if line is not None:
            line.close()

    # The watch, while somebody waits

    def _see_to_watcher(self) -> None:
        if self._watcher is None and self._dialogue.is_waiting:
            self._watcher = threading.Thread(target=self._watch, name="rpnb watch", daemon=True)
            self._watcher.start()

    def _watch(self) -> None:
        clocks = time.monotonic(), time.time()
        while True:
            with contextlib.suppress(Empty):
                self._bell.get(timeout=TICK)
            before, clocks = clocks, (time.monotonic(), time.time())
            with self._lock:
                if self._state is State.DOWN or not self._dialogue.is_waiting:
                    self._watcher = None
                    self._rest()
                    return
                elapsed, on_the_wall = (now - old for now, old in zip(clocks, before, strict=True))
                try:
                    error = self._look(elapsed, on_the_wall)
                except Exception as bug:  # noqa: BLE001 - whoever waits must hear of it
                    error = bug
            if error is not None:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """No link comes any more: each open run ends with the error, and a word on its job."""
        with self._lock:
            for request, opened in self._dialogue.open_requests().items():
                self._dialogue.tell(away.ended(error, request, opened), request)
                self.forget(request)
        self._end(error)

    def _rest(self) -> None:
        """Nobody waits any more: nor is there a line to be looked for."""
        if self._line is None and self._state is not State.DOWN:
            self._redial.end()
            self._move("closed")

    def _look(self, elapsed: float, on_the_wall: float) -> Exception | None:
        """See how the line is and do what follows; return what ends every open run."""
        if max(elapsed, on_the_wall) > _ASLEEP:
            self._redial.hurry()
        elapsed = min(elapsed, 2 * TICK)
        if self._line is not None:
            self._listen(self._line, elapsed)
        if self._state is State.UP:
            return None
        if time.monotonic() - self._heard_at > self._tell_at:
            is_news = self._state is State.WANTED
            if is_news:
                self._move("missed")
            self._tell_trouble(is_news=is_news)
        error = self._redial.step(elapsed)
        return None if self._state is State.SUSPECT else error

    def _listen(self, line: Line, elapsed: float) -> None:
        uploads = [x.upload for x in self._dialogue.open_requests().values() if x.upload]
        if any([line.has_moved(), *[each.has_moved(elapsed) for each in uploads]]):
            self._hear(line)
        if self._pulse.tick(elapsed):
            line.put(messages.Ping(0))
        if self._pulse.is_suspect and self._state is State.UP:
            self._need_line()
            self._move("silent")
            self._tell_trouble()

    def _need_line(self) -> None:
        self._redial.begin(afresh=time.monotonic() - self._attached_at > _STABLE)

    def _tell_trouble(self, *, is_news: bool = True) -> None:
        silent = time.monotonic() - self._heard_at
        self._tell_at = silent + min(max(silent, _TOLD_FIRST), _TOLD_LAST)
        for request, opened in self._dialogue.open_requests().items():
            self._tell_away(request, opened, is_news=is_news)

    def _tell_away(self, request: str, opened: OpenRequest, *, is_news: bool = True) -> None:
        state = "suspect" if self._state is State.SUSPECT else "lost"
        silent = time.monotonic() - self._heard_at
        known = away.is_confirmed(opened)
        if not opened.is_said:
            state, known = "away", True
        self._dialogue.tell(LinkChanged(state, silent, is_news, self._redial.why, known), request)

    def _say(self, request: str, opened: OpenRequest) -> None:
        """Send a request, on the next line where there is none."""
        if self._line is not None:
            opened.is_said = True
            self._line.put(opened.message)
            return
        # What no agent accepts would end each new line anew.
        messages.encode(opened.message)
        if self._state is State.DOWN:
            self._move("needed")
            self._tell_at = _TOLD_FIRST
            self._redial.begin(afresh=True)
            self._bell.put(None)
        elif self._state is State.LOST:
            self._tell_away(request, opened)

    def _send(self, message: messages.Message) -> None:
        # A cut is the reader's business; what is open is repeated on the next line.
        if self._line is not None:
            self._line.put(message)

    def _upload(self, line: Line, need: messages.Need) -> None:
        opened = self._dialogue.find(need.request)
        if opened is None:
            return
        if opened.upload is not None:
            if opened.upload.is_under_way(line):
                return
            # Asked anew after a cut: what the agent has by now is not sent again.
            opened.upload.stop()
        opened.upload = Upload(
            need.missing, opened, line, self._bulk, lambda: self._ask_again(opened)
        )
        opened.upload.start()

    def _ask_again(self, opened: OpenRequest) -> None:
        """Say the request once more: the agent answers with what it still needs."""
        with self._lock:
            if opened in self._dialogue.open_requests().values():
                self._send(opened.message)

    def _move(self, event: str) -> None:
        following = TRANSITIONS[self._state].get(event)
        if following is None:
            raise LinkLost(f"expected no {event!r} of a link that is {self._state.value}")
        self._state = following
