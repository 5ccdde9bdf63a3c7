"""A client's end of its streams: what it says, and what it has heard, checked as it comes."""

from __future__ import annotations

import collections
import contextlib

from rpnb.errors import RpnbError
from rpnb.protocol.connection import CLIENT, Connection
from rpnb.protocol.messages import Cancel, Event, Ping, Pong, Refused, Trimmed, Welcome, encode
from rpnb.session.dialogue import OpenRequest

ENDS = ("done", "failed")


class End:
    """A client's end of its streams, one after the other, and what it has heard on them."""

    def __init__(self, agent, dialogue):
        self.dialogue, self._agent = dialogue, agent
        self.stream, self.connection, self.pending = None, None, bytearray()
        self.heard, self.ends, self.output = [], collections.Counter(), bytearray()
        self.refused = {}
        self.base = self._next = None
        self._zombies = []
        self._tap()

    def _tap(self):
        read, plain = self.dialogue._logs.read, self.dialogue._hear_event

        def logged(stream, missed, data):
            # Who watches one run takes no interest in what is printed after it.
            is_mine = self.dialogue._watched is None or self.dialogue.open_requests()
            assert stream == "out" and not (missed and is_mine), "log bytes are missing"
            self.output += data
            return read(stream, missed, data)

        def hear(event, size):
            self._see(event)
            plain(event, size)

        self.dialogue._logs.read, self.dialogue._hear_event = logged, hear

    def _see(self, event):
        if self.base is not None and self.dialogue._watched is None:
            assert event.seq == self._next, f"event {event.seq} came, and not {self._next}"
            self._next += 1
            assert self.base.out + len(self.output) >= event.out, "it came before its log"
        self.heard.append(event)

    def open(self, message):
        """Make a request; whatever ends it is counted."""
        request, opened = message.request, OpenRequest(message)

        def read(news):
            is_end = isinstance(news, Event) and news.kind in ENDS
            if is_end or isinstance(news, (Refused, RpnbError)):
                self.ends[request] += 1
            if isinstance(news, Refused):
                self.refused[request] = news.reason
                self.dialogue.drop(request)

        opened.inbox.read = read
        self.dialogue.add(request, opened)
        self._say(message)

    def cancel(self, request, *, is_own=True):
        """Cancel a request; one of an earlier client's is said until it is dropped."""
        if not is_own and self.dialogue.find(request) is None:
            self.dialogue.add(request, OpenRequest(Cancel(request)))
            self._say(Cancel(request))
            return
        opened = self.dialogue.find(request)
        if opened is not None:
            opened.cancel = Cancel(request)
            self._say(opened.cancel)

    def ask(self, count):
        for number in range(1, count + 1):
            self._say(Ping(number))

    def _say(self, message):
        if self.stream is not None and self.connection.state.value == "attached":
            self.pending += encode(message)

    def connect(self):
        self.stream = self._agent.accept()
        self.connection = Connection(CLIENT)
        self.pending = bytearray(encode(self.dialogue.hello()))

    def send(self, size):
        with contextlib.suppress(OSError):
            del self.pending[: self.stream.send(self.pending[:size])]

    def hear(self, size):
        try:
            data = self.stream.recv(size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.cut()
            return
        for message in self.connection.receive_data(data):
            self._take(message)

    def _take(self, message):
        if isinstance(message, Welcome):
            if self.base is None:
                self.base, self._next = message, message.seq + 1
            for again in self.dialogue.meet(message):
                self.pending += encode(again)
        elif isinstance(message, Ping):
            self._say(Pong(message.number))
        else:
            if isinstance(message, Trimmed) and self._next is not None:
                self._next = max(self._next, message.seq + 1)
            self.dialogue.hear(message)
            if isinstance(message, Trimmed):
                for again in self.dialogue.again():
                    self._say(again)

    def cut(self):
        """At whatever byte either side has come to."""
        if self.stream is not None:
            self.stream.close()
        self.stream, self.pending = None, bytearray()

    def fall_silent(self):
        """The stream hangs: nobody learns that nobody is there."""
        self._zombies.append(self.stream)
        self.stream, self.pending = None, bytearray()

    def close(self):
        self.cut()
        for each in self._zombies:
            each.close()
