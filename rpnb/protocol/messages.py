"""One frozen dataclass for each message, and the table of journal events.

A field annotated `bytes` travels as a raw buffer, everything else in the JSON
head. `decode` checks every field's type, so that a received message is what
its annotations say; it never evaluates or unpickles anything.

Client to agent: Hello, Submit, Blob, Cancel, Ping, Replay, SetEnv, Restart, Stop.
Agent to client: Welcome, Refused, Pong, Need, Output, Event, Trimmed, Notice.
Agent to worker and back, over the control socket: Submit, Cancel, SetEnv; Announce, Notice.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Union

from ..errors import ProtocolError
from . import frames

VERSION = 1


@dataclass(frozen=True)
class Hello:
    """The first message. `role` is "drive", "watch" or "bulk" (blobs only).

    `client` is who it is, for people; `session` tells two clients of one name apart.

    `seq`, `out` and `err` are the cursor: the number of the last event seen and
    the bytes of the two logs already received; `seq` -1 means "from now on".
    """

    client: str
    role: str = "drive"
    seq: int = -1
    out: int = 0
    err: int = 0
    version: int = VERSION
    session: str = ""


@dataclass(frozen=True)
class Submit:
    """One request: bring the program up to date, then do at most one kind of work.

    `program` is `Program.to_wire()`, None leaves it as it is. `show` is the cell
    whose last expression is displayed, `again` a cell to run anew although
    nothing changed. `jobs` are whole RunPod jobs, run in order (or together, as
    the handler's `concurrency_modifier` says); `scratch` is {"text", "label",
    "first_line", "to", "prelude", "files"}, the last two as in
    agent/worker_prelude.py. `timeout` is in seconds, per job.
    """

    request: str
    program: dict[str, Any] | None = None
    show: str | None = None
    again: str | None = None
    jobs: list[Any] = field(default_factory=list)
    scratch: dict[str, Any] | None = None
    timeout: float | None = None


@dataclass(frozen=True)
class Blob:
    """Block `index` of the blob with this digest, which has `size` bytes in all."""

    digest: str
    size: int
    index: int
    data: bytes


@dataclass(frozen=True)
class Cancel:
    """Cancel a request; `force` kills the worker without a grace time.

    `reason` is what the result then says: None for a person's wish, else
    "timed out after 30 s".
    """

    request: str
    force: bool = False
    reason: str | None = None


@dataclass(frozen=True)
class Ping:
    """Answered by the agent itself, whatever the worker does; by a client's link likewise."""

    number: int


@dataclass(frozen=True)
class Replay:
    """Send every event and log byte of a request again, from its start."""

    request: str


@dataclass(frozen=True)
class SetEnv:
    """Secrets for the worker's environment; kept in the agent's memory only."""

    request: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Restart:
    """Replace the worker by a fresh process; the program is rebuilt at the next Submit."""

    request: str


@dataclass(frozen=True)
class Stop:
    """End the worker and the agent, and free what they hold."""

    request: str


@dataclass(frozen=True)
class Welcome:
    """The answer to Hello.

    `program` is the worker's program as it was last synced (adopted by a client
    that has none), `requests` the recent ones: {"request", "job", "status",
    "at"}. `info` describes the machine: {"python", "executable", "sdk", "gpus",
    "hostname", "pid", "directory"}. `warm` is what the worker holds, {"kept", "names", "gpus"}
    as in `synced`, or empty.
    """

    worker: str
    generation: int
    seq: int
    out: int
    err: int
    drives: bool
    program: dict[str, Any] | None
    requests: list[Any]
    info: dict[str, Any]
    version: int = VERSION
    # Who drives, for people; "" where nobody does.
    driver: str = ""
    # Names of the secrets that this agent holds: one that was killed has lost them.
    secrets: list[Any] = field(default_factory=list)
    warm: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """The agent will not: `reason` is a word for programs, `text` a sentence for people."""

    reason: str
    text: str
    request: str | None = None


@dataclass(frozen=True)
class Pong:
    """The echo of a Ping, with the worker's state: "idle", "busy", "starting" or "gone".

    `stops_in` are the seconds until an unused worker is ended; None where it never is.
    `holds_gpu` says whether memory of a GPU goes with it, `waits` for how many seconds it
    stays once nobody is connected. A client's has none of them.
    """

    number: int
    state: str = ""
    stops_in: float | None = None
    holds_gpu: bool = False
    waits: float | None = None


@dataclass(frozen=True)
class Need:
    """The blocks that a request still lacks: {digest: [index, …]}."""

    request: str
    missing: dict[str, Any]


@dataclass(frozen=True)
class Output:
    """Bytes of the log `stream` ("out" or "err") that begin at `offset`.

    Bytes between the last piece and this one do not come: they are no longer kept,
    or the client was too far behind. `data` may be empty, to say only that.
    """

    stream: str
    offset: int
    data: bytes


@dataclass(frozen=True)
class Trimmed:
    """Events up to number `seq` are no longer kept; the next one has a higher number."""

    seq: int


@dataclass(frozen=True)
class Notice:
    """Why a request does not go on just now, as a sentence for people; nothing is lost."""

    request: str
    text: str


@dataclass(frozen=True)
class Announce:
    """The worker has written the event `seq` to the journal."""

    seq: int


@dataclass(frozen=True)
class Event:
    """A journal record. Log bytes below `out` and `err` are sent before it.

    `seq` counts from 1 and never repeats, over every generation of the worker.
    `at` is seconds since the epoch. `body` has the keys that EVENTS names.
    """

    seq: int
    at: float
    out: int
    err: int
    request: str | None
    kind: str
    body: dict[str, Any]
    buffers: tuple[bytes, ...] = ()


# Kind of event -> the keys of its body (-> what its buffers hold).
# Every request ends with exactly one "done" or "failed".
EVENTS: dict[str, tuple[str, ...]] = {
    # A worker process is ready. info: as in Welcome.
    "born": ("generation", "info"),
    # The worker took the request (it will never be taken twice).
    "accepted": (),
    # Before anything is dropped. run/keep: [{"names", "cell", "line", "reason"}]. Where
    # that takes long, "reload" is {"names", "seconds", "reason", "line", "remedies"}, else
    # null or absent; a Cancel in the 2 s after it changes nothing.
    "planned": ("run", "keep", "restart"),
    # A display: mime types, one buffer each. "to" and "encoding" for `--to NAME`.
    "shown": ("mimes", "to", "encoding"),
    # The namespace equals the program. cells: {id: {"state", "seconds", "names"}};
    # kept: [{"name", "bytes", "seconds", "age"}]; names: {name: type}; gpus: readings.
    "synced": ("cells", "kept", "names", "gpus", "notes"),
    # A job began.
    "job": ("job",),
    # What production would POST while the job runs; buffer 0 is the JSON text.
    "progress": ("job",),
    "chunk": ("job",),
    # A job ended. Buffer 0 is the JSON text production would POST, absent where it
    # would POST nothing; "problem" then says why. exception: see runner.py.
    "finished": ("job", "status", "problem", "exception", "stop", "metrics"),
    # The request ended well / badly. error: {"type", "message", "frames", "traceback"};
    # phase: "plan", "step", "scratch", "worker" or "cancelled"; cell: where known.
    "done": (),
    "failed": ("phase", "error", "cell"),
    # The worker's process ended. signal, peak_bytes and reason may be null.
    "exited": ("generation", "code", "signal", "peak_bytes", "reason"),
}

Message = Union[
    Hello, Submit, Blob, Cancel, Ping, Replay, SetEnv, Restart, Stop,
    Welcome, Refused, Pong, Need, Output, Announce, Event, Trimmed, Notice,
]  # fmt: skip
_CLASSES = {cls.__name__: cls for cls in Message.__args__}  # type: ignore[attr-defined]

# Annotations are kept as text (PEP 563), which is the same on every Python.
_NONE = type(None)
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "bytes": (bytes,),
    "str | None": (str, _NONE),
    "float | None": (int, float, _NONE),
    "list[Any]": (list,),
    "dict[str, Any]": (dict,),
    "dict[str, Any] | None": (dict, _NONE),
    "tuple[bytes, ...]": (tuple,),
}


class _Field(NamedTuple):
    """A field of a message: `allowed` are the types that a received value may have."""

    name: str
    annotation: str
    allowed: tuple[type, ...]
    is_optional: bool


def _fields(cls: Any) -> tuple[_Field, ...]:
    missing = dataclasses.MISSING
    return tuple(
        _Field(
            item.name,
            str(item.type),
            _TYPES[str(item.type)],
            item.default is not missing or item.default_factory is not missing,
        )
        for item in dataclasses.fields(cls)
    )


# Asked once: a flood of chunks passes here a million times.
_FIELDS = {cls: _fields(cls) for cls in _CLASSES.values()}


def encode(message: Message) -> bytes:
    """Return the message as one frame."""
    head: dict[str, Any] = {"type": type(message).__name__}
    buffers: list[bytes] = []
    for item in _FIELDS[type(message)]:
        value = getattr(message, item.name)
        if item.annotation == "bytes":
            buffers.append(value)
        elif item.annotation == "tuple[bytes, ...]":
            buffers.extend(value)
        else:
            head[item.name] = value
    return frames.encode(head, buffers)


def decode(frame: frames.Frame) -> Message:
    """Return the message that a frame holds.

    Raises:
        ProtocolError: an unknown message, or a field that is missing or of another type.
    """
    name = str(frame.head.get("type"))
    cls = _CLASSES.get(name)
    if cls is None:
        raise ProtocolError(f"expected a message, got type {name!r}")
    buffers = list(frame.buffers)
    values: dict[str, Any] = {}
    for item in _FIELDS[cls]:
        if item.annotation == "bytes":
            values[item.name] = buffers.pop(0) if buffers else None
        elif item.annotation == "tuple[bytes, ...]":
            values[item.name], buffers = tuple(buffers), []
        elif item.name in frame.head:
            values[item.name] = frame.head[item.name]
        elif item.is_optional:
            continue
        else:
            raise ProtocolError(f"expected {name}.{item.name}, got nothing")
        _check(name, item, values[item.name])
    message: Message = cls(**values)
    if isinstance(message, Event):
        _check_event(message)
    return message


def _check(name: str, item: _Field, value: Any) -> None:
    # bool is an int to isinstance; a number field must not take it.
    if not isinstance(value, item.allowed) or (
        isinstance(value, bool) and bool not in item.allowed
    ):
        raise ProtocolError(
            f"expected {name}.{item.name} to be {item.annotation}, got {type(value).__name__}"
        )


def _check_event(event: Event) -> None:
    keys = EVENTS.get(event.kind)
    if keys is None:
        raise ProtocolError(f"expected a known kind of event, got {event.kind!r}")
    missing = [key for key in keys if key not in event.body]
    if missing:
        raise ProtocolError(f"expected {event.kind}.{missing[0]}, got {sorted(event.body)}")
