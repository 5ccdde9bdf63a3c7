"""How long a job may run: what its caller says, and what RunPod would enforce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TimeLimit:
    """A job's time in seconds, and what its result says when that is over."""

    seconds: float
    reason: str


def time_limit(job: Any, timeout: float | None) -> TimeLimit | None:
    """Return the shorter of `timeout` and the job's own limit, None where it has neither.

    The job's own is `policy.executionTimeout`, in milliseconds, after which
    RunPod ends the job (docs.runpod.io, "Execution policies").
    """
    limits = [TimeLimit(timeout, f"timed out after {timeout:g} s")] if timeout is not None else []
    policy = job.get("policy") if isinstance(job, dict) else None
    own = policy.get("executionTimeout") if isinstance(policy, dict) else None
    if isinstance(own, (int, float)) and not isinstance(own, bool) and own > 0:
        text = f"timed out after {own / 1000:g} s, its policy.executionTimeout"
        limits.append(TimeLimit(own / 1000, text))
    return min(limits, key=lambda limit: limit.seconds, default=None)
