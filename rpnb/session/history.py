"""The worker's jobs as far as this client has heard: earlier ones, its own, other clients'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..protocol.messages import Event

# More would not be looked through; the agent keeps them all the same, and `--attach` finds them.
_MOST = 100
RUNNING = "IN_PROGRESS"


@dataclass
class PastJob:
    """A job of the worker's: its request, its id, and how it stands.

    `status` is as RunPod spells it, `at` when it began, in seconds since the epoch.
    """

    request: str
    id: str
    status: str
    at: float

    @property
    def name(self) -> str:
        """What `--attach` takes: the beginning of its request's id."""
        return self.request[:4]


class History:
    """What the agent's Welcome told, brought up to date by the events since."""

    def __init__(self) -> None:
        self._jobs: dict[str, PastJob] = {}

    @property
    def jobs(self) -> list[PastJob]:
        """Every job that is known, the oldest first."""
        return sorted(self._jobs.values(), key=lambda job: job.at)

    def meet(self, requests: Iterable[Any]) -> None:
        """Take over what a Welcome tells of recent requests."""
        for each in requests:
            if isinstance(each, dict) and isinstance(each.get("job"), dict):
                self._keep(
                    str(each.get("request")), each["job"], each.get("status"), each.get("at")
                )

    def see(self, event: Event) -> None:
        """Take note of an event, whoever's request it belongs to."""
        known = self._jobs.get(event.request or "")
        if event.request is None:
            return
        if event.kind == "job" and isinstance(event.body["job"], dict):
            self._keep(event.request, event.body["job"], RUNNING, event.at)
        elif event.kind == "finished" and known is not None:
            known.status = str(event.body["status"])
        elif event.kind == "failed" and known is not None and known.status == RUNNING:
            known.status = "CANCELLED" if event.body["phase"] == "cancelled" else "FAILED"

    def _keep(self, request: str, job: Mapping[str, Any], status: Any, at: Any) -> None:
        began = float(at) if isinstance(at, (int, float)) else 0.0
        self._jobs[request] = PastJob(request, str(job.get("id")), str(status), began)
        while len(self._jobs) > _MOST:
            del self._jobs[min(self._jobs.values(), key=lambda job: job.at).request]
