"""An agent that speaks the real protocol over memory, and says what a test tells it to."""

from __future__ import annotations

import contextlib
import threading
from queue import Queue

from rpnb.errors import LinkLost
from rpnb.protocol import messages
from rpnb.protocol.connection import AGENT, Connection
from rpnb.transport.memory import pair

INFO = {"python": "3.11.7", "executable": "python", "sdk": "1.12.0", "gpus": []}


class ScriptedAgent:
    """Accepts connections, keeps what it hears in `heard`, and answers by `say`."""

    def __init__(self):
        self.heard: Queue = Queue()
        self.streams = []
        # The thread that serves each stream.
        self.threads = []
        # Those that hear nothing any more, and say nothing.
        self.frozen = set()
        self.answers_pings = True
        self.seq = 0
        self.journal = []

    @contextlib.contextmanager
    def bulk(self):
        yield self.dial()

    def dial(self):
        ours, theirs = pair()
        self.streams.append(ours)
        self.threads.append(threading.Thread(target=self._serve, args=(ours,), daemon=True))
        self.threads[-1].start()
        return theirs

    def _serve(self, stream):
        # A client that has hung up hears no answer.
        with contextlib.suppress(LinkLost):
            self._answer(stream)

    def _answer(self, stream):
        connection = Connection(AGENT)
        while data := stream.receive():
            for message in connection.receive_data(data):
                if stream in self.frozen:
                    continue
                if isinstance(message, messages.Hello):
                    self._welcome(stream, message)
                elif isinstance(message, messages.Ping) and self.answers_pings:
                    stream.send(messages.encode(messages.Pong(message.number, "busy")))
                self.heard.put(message)

    def _welcome(self, stream, hello):
        welcome = messages.Welcome("w", 1, self.seq, 0, 0, True, None, [], INFO)
        stream.send(messages.encode(welcome))
        if hello.seq >= 0:
            for event in self.journal:
                if event.seq > hello.seq:
                    stream.send(messages.encode(event))

    def say(self, message):
        self.streams[-1].send(messages.encode(message))

    def event(self, request, kind, body=None, buffers=(), *, announce=True):
        """Write an event to the journal; announce it, unless the link is to be cut first."""
        self.seq += 1
        event = messages.Event(self.seq, 0.0, 0, 0, request, kind, body or {}, tuple(buffers))
        self.journal.append(event)
        if announce:
            self.say(event)

    def cut(self):
        self.streams[-1].close()

    def freeze(self):
        """Let the last stream hang: nothing comes through any more, and nothing ends."""
        self.frozen.add(self.streams[-1])

    def next(self, kind):
        """Return the next message of this class, skipping others."""
        while True:
            message = self.heard.get(timeout=60)
            if isinstance(message, kind):
                return message
