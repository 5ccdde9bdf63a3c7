"""What has come for one run and was not read yet."""

from __future__ import annotations

from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ..errors import ProtocolError, RpnbError

if TYPE_CHECKING:
    from collections.abc import Callable

# Of frames as they came. With more unread the link reads on only as this shrinks: what is
# still to come waits in the agent's files. As Python objects it is some three times as much,
# thirty times of an agent that means harm.
MOST_BYTES = 16 << 20


class Inbox:
    """News in order; the oldest stays until it is dropped, so that no Ctrl-C can lose it.

    `read` turns what the link puts in into what a run gives out, None for nothing. It is
    called by the link's thread, which is never interrupted halfway.
    """

    def __init__(self) -> None:
        self.read: Callable[[Any], Any] = lambda news: news
        # True while a run waits for news and there is none.
        self.is_awaited = False
        self._news: deque[tuple[Any, int]] = deque()
        self._rings: SimpleQueue[None] = SimpleQueue()
        # Each counted by one thread only, or an update could be lost.
        self._put_bytes = self._dropped_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether so much is unread that no more should come."""
        return self._put_bytes - self._dropped_bytes > MOST_BYTES

    @property
    def read_bytes(self) -> int:
        """How much has been read so far."""
        return self._dropped_bytes

    def put(self, news: Any, size: int = 0) -> None:
        """Add news that came in `size` bytes."""
        try:
            read = self.read(news)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must end and say so
            own = isinstance(error, RpnbError)
            read = error if own else ProtocolError(f"what came cannot be read: {error!r}"[:300])
        if read is None:
            return
        self._put_bytes += size
        self._news.append((read, size))
        if self.is_awaited:
            self._rings.put(None)

    def first(self, timeout: float) -> Any:
        """Return the oldest news, which stays; None where none comes in time."""
        try:
            while not self._news:
                self.is_awaited = True
                if not self._news:
                    self._rings.get(timeout=timeout)
        except Empty:
            return None
        finally:
            self.is_awaited = False
        return self._news[0][0]

    def drop(self, news: Any) -> None:
        """Remove the oldest news if it is this; done twice it does nothing."""
        if self._news and self._news[0][0] is news:
            # First counted: Ctrl-C between the two makes room, and never takes it away.
            self._dropped_bytes += self._news[0][1]
            self._news.popleft()
