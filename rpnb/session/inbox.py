"""What has come for one run and was not read yet."""

from __future__ import annotations

from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Inbox:
    """News in order; the oldest stays until it is dropped, so that no Ctrl-C can lose it.

    `read` turns what the link puts in into what a run gives out, None for nothing. It is
    called by the link's thread, which is never interrupted halfway.
    """

    def __init__(self) -> None:
        self.read: Callable[[Any], Any] = lambda news: news
        self._news: deque[Any] = deque()
        self._rings: SimpleQueue[None] = SimpleQueue()

    def put(self, news: Any) -> None:
        """Add news."""
        try:
            read = self.read(news)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must end and say so
            read = error
        if read is not None:
            self._news.append(read)
            self._rings.put(None)

    def first(self, timeout: float) -> Any:
        """Return the oldest news, which stays; None where none comes in time."""
        try:
            while not self._news:
                self._rings.get(timeout=timeout)
        except Empty:
            return None
        return self._news[0]

    def drop(self, news: Any) -> None:
        """Remove the oldest news if it is this; done twice it does nothing."""
        if self._news and self._news[0] is news:
            self._news.popleft()
