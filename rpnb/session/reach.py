"""The way to one worker's agent: the first stream asks what must be asked, later ones nothing."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import CannotReach, LinkLost
from . import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..transport.stream import Stream, Transport
    from ..transport.targets import Target
    from .bootstrap import Ready

# Starting an agent again may mean installing its overlay again, on a pod that lost its disk.
_PREPARING = 180.0
# A stream on a transport that is logged in: two round trips. One more is given less: the link
# may have frozen after its login. What came to nothing is given twice as long the next time.
_OPENING, _OPENING_AGAIN = 20.0, 3.0


@dataclass(frozen=True)
class Options:
    """How to reach a target and what to run there; None leaves the choice to rpnb."""

    python: str | None = None
    gpu: str | None = None
    sdk: str | None = None
    # The worker is not ended for being unused, until it is stopped.
    keep: bool = False
    ask: Callable[[str], bool] | None = None
    ask_secret: Callable[[str], str | None] | None = None
    accept_key: str | None = None
    on_progress: Callable[[str], None] | None = None


class Reach:
    """Opens streams to the agent of `worker`. `ready` is what its start said."""

    def __init__(self, target: Target, worker: str, options: Options) -> None:
        self.target, self.worker, self.options = target, worker, options
        self.ready: Ready | None = None
        # The last one: how it was reached and logged in holds for the next.
        self._transport: Transport | None = None
        self._is_gone = False
        # How long the next stream may take to open.
        self._patience = _OPENING_AGAIN

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know of how the target was reached."""
        return self._transport.notes if self._transport is not None else ()

    def dial(self) -> Stream:
        """Return a stream to the agent on a transport of its own, closed with it.

        The agent is started where it does not answer. Every part of it has a limit.

        Raises:
            TargetError: the target cannot be reached or prepared.
        """
        transport = self._connected()
        try:
            stream = self._entered(transport)
        except BaseException:
            # Ctrl-C, too: nobody else can close it.
            transport.close()
            raise
        self._transport, self._patience = transport, _OPENING_AGAIN
        return _Way(stream, transport, self._miss)

    @contextlib.contextmanager
    def beside(self) -> Iterator[Stream]:
        """Open a stream for what must not delay the others, closed at the end of the block.

        Raises:
            TargetError: the target cannot be reached.
        """
        if self._transport is None or self.ready is None:
            raise LinkLost("the session is closed")
        with contextlib.closing(self._transport.again()) as transport:
            yield self._stream(transport, self.ready, _OPENING)

    def census(self) -> Mapping[str, Any]:
        """Return what runs on the target now, as `bootstrap.census` does.

        Raises:
            TargetError: the target cannot be reached.
        """
        if self._transport is None:
            raise LinkLost("the session is closed")
        with contextlib.closing(self._transport.again()) as transport:
            return bootstrap.census(transport, python=self.options.python)

    def _connected(self) -> Transport:
        from ..transport import open_transport

        if self._transport is not None:
            # What was asked and accepted at first holds.
            return self._transport.again()
        return open_transport(
            self.target,
            ask=self.options.ask,
            accept_key=self.options.accept_key,
            ask_secret=self.options.ask_secret,
            tell=self.options.on_progress,
        )

    def _entered(self, transport: Transport) -> Stream:
        again = self.ready is not None
        if self.ready is not None and not self._is_gone:
            # Straight to its socket, where an agent listens yet: a round trip less.
            seconds, self._patience = self._patience, min(2 * self._patience, _OPENING)
            with contextlib.suppress(CannotReach):
                return self._stream(transport, self.ready, seconds)
        # The first time a person watches, and may interrupt it.
        with _limited(_PREPARING, transport) if again else contextlib.nullcontext():
            self.ready = bootstrap.start(
                transport,
                self.worker,
                python=self.options.python,
                gpu=self.options.gpu,
                sdk=self.options.sdk,
                keep=self.options.keep,
                on_progress=None if again else self.options.on_progress,
            )
        self._is_gone = False
        return self._stream(transport, self.ready, _OPENING)

    def _stream(self, transport: Transport, ready: Ready, seconds: float) -> Stream:
        # paramiko waits for the answer to an exec for as long as the connection stands.
        with _limited(seconds, transport):
            return transport.connect(ready.socket, ready.bridge_command)

    def _miss(self) -> None:
        """Take note that nobody listened: over a bridge this is known only when it answers."""
        self._is_gone = True


class _Way:
    """A stream and the transport that it alone uses."""

    def __init__(self, stream: Stream, transport: Transport, miss: Callable[[], None]) -> None:
        self._stream, self._transport, self._miss = stream, transport, miss

    def send(self, data: bytes | memoryview) -> None:
        self._stream.send(data)

    def receive(self) -> bytes:
        try:
            return self._stream.receive()
        except CannotReach as error:
            # Its host was reached: the next try starts it.
            self._miss()
            raise LinkLost(str(error)) from error

    def unacknowledged(self) -> int:
        return self._stream.unacknowledged()

    def close(self) -> None:
        self._stream.close()
        self._transport.close()


@contextlib.contextmanager
def _limited(seconds: float, transport: Transport) -> Iterator[None]:
    """Close the transport, and so end what waits for it, when the block takes longer."""
    watchdog = threading.Timer(seconds, transport.close)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()
