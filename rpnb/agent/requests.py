"""Requests on their way to the worker: in order, one at a time, each at most once."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from ..protocol.messages import Cancel, Submit
from .clients import Client
from .known import Trace
from .limits import time_limit

# A worker that does not stop within this time is killed.
GRACE = 3.0
# A fresh worker has nothing to undo: one that asks for another is broken.
_MAX_RESTARTS = 2


@dataclass
class Request:
    """A request that is queued or with the worker.

    `submit` is None where another agent, now dead, had forwarded it.
    """

    id: str
    submit: Submit | None
    client: Client | None
    has_asked: bool = False
    restarts: int = 0
    cancel: Cancel | None = None
    kill_at: float | None = None
    # When each job that runs began, by a clock that nobody sets.
    began: dict[str, float] = field(default_factory=dict)

    def stop(self, cancel: Cancel) -> None:
        """Take note of a cancel: the worker has its grace time, none if forced."""
        self.cancel = self.cancel or cancel
        self.kill_at = time.monotonic() + (0 if cancel.force else GRACE)

    def overdue(self, trace: Trace | None) -> Cancel | None:
        """Return the cancel that a job over its time has earned."""
        if self.submit is None or trace is None or self.cancel is not None:
            return None
        now = time.monotonic()
        self.began = {job: self.began.get(job, now) for job in trace.jobs}
        for job in self.submit.jobs:
            limit = time_limit(job, self.submit.timeout)
            began = self.began.get(str(job.get("id"))) if limit is not None else None
            if limit is not None and began is not None and now - began > limit.seconds:
                return Cancel(self.id, reason=limit.reason)
        return None


class Requests:
    """The queue, and the request that the worker has."""

    def __init__(self) -> None:
        self._queue: deque[Request] = deque()
        self.current: Request | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is queued and nothing is with the worker."""
        return self.current is None and not self._queue

    def find(self, request: str) -> Request | None:
        """Return the request with this id, if it is queued or with the worker."""
        waiting = [self.current] if self.current is not None else []
        return next((item for item in [*waiting, *self._queue] if item.id == request), None)

    def add(self, submit: Submit, client: Client) -> None:
        """Queue a request; one that is there already gets this client to ask for blobs."""
        known = self.find(submit.request)
        if known is None:
            self._queue.append(Request(submit.request, submit, client))
        else:
            # One that another agent had forwarded gets its time limits back.
            known.client, known.has_asked = client, False
            known.submit = known.submit or submit

    def queued(self) -> list[Request]:
        """Return the requests that the worker does not have yet, in order."""
        return list(self._queue)

    def next(self) -> Request | None:
        """Return the request to forward next, None while the worker has one."""
        return self._queue[0] if self.current is None and self._queue else None

    def take(self) -> Request:
        """Move the next request to the worker and return it."""
        self.current = self._queue.popleft()
        return self.current

    def rebuild(self, submit: Submit) -> None:
        """Queue a request of the relay's own: a fresh worker gets a dead one's program."""
        self._queue.appendleft(Request(submit.request, submit, None))

    @property
    def is_rebuilding(self) -> bool:
        """Whether such a request is under way, or will be next."""
        first = self.current or (self._queue[0] if self._queue else None)
        return first is not None and first.submit is not None and first.client is None

    def drop(self, request: Request) -> None:
        """Forget a request that is queued."""
        self._queue.remove(request)

    def again(self) -> bool:
        """Queue the current request anew, for a fresh worker; False where that cannot be."""
        current = self.current
        if current is None or current.submit is None or current.restarts >= _MAX_RESTARTS:
            return False
        current.restarts += 1
        self._queue.appendleft(current)
        self.current = None
        return True


def with_program(submit: Submit, program: dict[str, Any] | None) -> Submit:
    """Return the Submit for a worker that has no program yet."""
    return submit if submit.program is not None else replace(submit, program=program)
