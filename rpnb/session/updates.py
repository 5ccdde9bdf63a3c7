"""What a run tells its caller while it goes on: one frozen dataclass for each kind of news.

A `Run` yields these in the order in which they happened on the target; the
last one is always `Done` or `Failed`. Whoever draws them (a notebook cell, a
terminal) matches on the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from .result import RemoteException, Result


@dataclass(frozen=True)
class Logged:
    """Text that the worker wrote to `stream`, "out" or "err"."""

    stream: str
    text: str


@dataclass(frozen=True)
class LeftOut:
    """So many bytes of a log do not come: they are no longer kept, or came too fast."""

    stream: str
    size_bytes: int


@dataclass(frozen=True)
class Waiting:
    """Why the request does not go on just now (a full disk), as a sentence; nothing is lost."""

    text: str


@dataclass(frozen=True)
class Planned:
    """Which steps run and which stay, said before anything is dropped.

    `run` holds {"names", "cell", "line", "reason"}, `keep` {"names", "cell",
    "line"}; `restart` is the reason for a new worker, or None. `reload` is a long
    reload that `Run.cancel` still avoids for 2 s: {"names", "seconds", "reason",
    "place", "remedies"}, or None; "place" is "line 4 of `model`", which changed, or None.
    """

    run: Sequence[Mapping[str, Any]]
    keep: Sequence[Mapping[str, Any]]
    restart: str | None
    reload: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Shown:
    """A display: the bytes of each mime type.

    `to` and `encoding` say that it is a value for a name here (`--to NAME`).
    """

    mimes: Mapping[str, bytes]
    to: str | None
    encoding: Any


@dataclass(frozen=True)
class Synced:
    """The worker's namespace equals the program.

    `cells` maps a cell's id to {"state", "seconds", "names"}; `kept` holds
    {"name", "bytes", "seconds", "age"} of values that are worth a word;
    `names` maps every name to its type's name; `gpus` are memory readings.
    """

    cells: Mapping[str, Mapping[str, Any]]
    kept: Sequence[Mapping[str, Any]]
    names: Mapping[str, str]
    gpus: Sequence[Mapping[str, Any]]
    notes: Sequence[str]


@dataclass(frozen=True)
class JobStarted:
    """The handler was called for the job with this id."""

    job: str


@dataclass(frozen=True)
class Progressed:
    """The handler called `runpod.serverless.progress_update` with this value."""

    job: str
    value: Any


@dataclass(frozen=True)
class Streamed:
    """The handler yielded this chunk."""

    job: str
    value: Any


@dataclass(frozen=True)
class Finished:
    """A job ended, well or badly."""

    result: Result


@dataclass(frozen=True)
class LinkChanged:
    """The link is "suspect" (silent), "lost", "away" or "back"; `seconds` since the last byte.

    "away": there is none, and the request waits for one to be sent on. `is_news` is False
    where only time has passed since the last one; `why` the last try failed. `is_confirmed`
    is False where the request was sent, and nothing says yet that it arrived.
    """

    state: str
    seconds: float
    is_news: bool = True
    why: str = ""
    is_confirmed: bool = True


@dataclass(frozen=True)
class Exited:
    """The worker's process ended; the next request gets a fresh one."""

    code: int | None
    signal: str | None
    reason: str | None


@dataclass(frozen=True)
class Failed:
    """The request ended badly in `phase`: plan, step, scratch, worker or cancelled."""

    phase: str
    exception: RemoteException
    cell: str | None


@dataclass(frozen=True)
class Done:
    """The request ended; each of its jobs has been `Finished`."""


Update = (
    Logged
    | LeftOut
    | Waiting
    | Planned
    | Shown
    | Synced
    | JobStarted
    | Progressed
    | Streamed
    | Finished
    | LinkChanged
    | Exited
    | Failed
    | Done
)
