"""One attached stream: frames out, messages in."""

from __future__ import annotations

import threading
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from ..errors import ProtocolError
from ..protocol import bodies, messages
from ..protocol.connection import CLIENT, Connection
from ..transport.text import harmless
from .outgoing import Outgoing, hang_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..transport.stream import Stream

# How long an agent that was reached may take to say its first word.
GREETING = 15.0
# Nothing that an honest agent says is nested deeper.
_DEEPEST = 50
# Of a program, its cells and its captures; `protocol/bodies.py` says that it is text.
_SOURCE = frozenset({"text", "source"})


class Line:
    """A stream to the agent and what was said on it so far; `hear` is told of each arrival."""

    def __init__(self, stream: Stream, hear: Callable[[], None]) -> None:
        self._stream, self._hear = stream, hear
        self._connection = Connection(CLIENT)
        self._outgoing: Outgoing | None = None
        self.incoming = self._messages()

    @property
    def frame_bytes(self) -> int:
        """How large the frame of the last message was."""
        return self._connection.frame_bytes

    def greet(self, hello: messages.Hello) -> messages.Message | None:
        """Say hello and return the answer; None where the stream ends instead.

        Raises:
            TargetError: the stream ended with an error.
            ProtocolError: the answer is none.
        """
        # A link that froze just now would keep us waiting for ever.
        watchdog = threading.Timer(GREETING, hang_up, [self._stream])
        watchdog.daemon = True
        watchdog.start()
        try:
            self._stream.send(messages.encode(hello))
            return next(self.incoming, None)
        finally:
            watchdog.cancel()

    @property
    def waiting_bytes(self) -> int:
        """How much waits to be sent."""
        return self._outgoing.waiting_bytes if self._outgoing is not None else 0

    def put(self, message: messages.Message) -> None:
        """Send a message when those before it are sent; lost where the stream ends first.

        Raises:
            ProtocolError: it is larger than an agent accepts, or too much waits.
        """
        if self._outgoing is None:
            self._outgoing = Outgoing(self._stream)
        self._outgoing.put(message)

    def has_moved(self) -> bool:
        """Tell whether a large message is arriving there."""
        return self._outgoing is not None and self._outgoing.has_moved()

    def close(self) -> None:
        """End the stream; what is not sent is dropped."""
        if self._outgoing is not None:
            self._outgoing.close()
        else:
            hang_up(self._stream)

    def _messages(self) -> Iterator[messages.Message]:
        while data := self._stream.receive():
            self._hear()
            for message in self._connection.receive_data(data):
                yield _harmless(bodies.check(message))


def _harmless(message: messages.Message) -> messages.Message:
    """Return a message whose every text may be shown: all but logs, buffers and source.

    A program's source is a person's own, byte for byte; who shows it sees to that.

    Raises:
        ProtocolError: something in it is nested too deep to be handled.
    """
    changed = {}
    for item in fields(message):
        value = getattr(message, item.name)
        if isinstance(value, (str, dict, list)):
            cleaned = _cleaned(value, _DEEPEST)
            if cleaned != value:
                changed[item.name] = cleaned
    return replace(message, **changed) if changed else message


def _cleaned(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else harmless(value)
    if not depth:
        raise ProtocolError(f"expected at most {_DEEPEST} levels in a message, got more")
    if isinstance(value, dict):
        return {
            harmless(key): each if key in _SOURCE else _cleaned(each, depth - 1)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_cleaned(each, depth - 1) for each in value]
    return value
