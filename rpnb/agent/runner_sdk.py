"""The one module that knows runpod's SDK: which of its functions run a job, and where to listen.

Production's loop awaits `rp_job.handle_job` (there since 1.7.2). It is called as it
is; only what would leave the process is caught: the HTTP send (`rp_http._transmit`,
unchanged from 1.7.0 to 2.0.0rc2), progress updates, and the SDK's own log lines.
What is caught goes to the `Recording` of the running job.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import json
import sys
import traceback
from typing import Any, Callable, Coroutine

from ..errors import CannotPrepare

# Modules of the SDK whose log lines tell what a Recording tells better.
_FOLDED = frozenset(
    f"runpod.serverless.modules.{name}"
    for name in ("rp_job", "rp_http", "rp_scale", "rp_progress", "rp_handler", "rp_tips")
)
_LOGGER = "runpod.serverless.modules.rp_logger"
_NOTHING = object()


class Recording:
    """What one job would have sent to RunPod, and what the SDK saw of it."""

    def __init__(self, job: Any, post: Callable[[str, bytes], None]) -> None:
        self.job = job
        self.id = job.get("id") if isinstance(job, dict) else None
        self._post = post
        self._result: Any = _NOTHING
        self.done: bytes | None = None
        # The id that the result went to: a handler may have changed it.
        self.sent_to: Any = None
        self.error: BaseException | None = None
        self.said: list[str] = []
        self.chunks = 0
        self.lost: list[tuple[str, Any]] = []
        self.is_open = True

    @property
    def has_result(self) -> bool:
        """Whether the SDK had something to send at the end."""
        return self._result is not _NOTHING

    @property
    def result(self) -> Any:
        """The object that the SDK wanted to send at the end."""
        return None if self._result is _NOTHING else self._result

    @result.setter
    def result(self, value: Any) -> None:
        self._result = value

    def post(self, kind: str, data: bytes) -> None:
        """Record a POST: "done", "chunk" or "progress"."""
        if not self.is_open:
            return
        if kind == "done":
            self.done, self.sent_to = data, self.job.get("id")
        else:
            self.chunks += kind == "chunk"
            self._post(kind, data)


_current: contextvars.ContextVar[Recording | None] = contextvars.ContextVar(
    "rpnb_recording", default=None
)
_open: list[Recording] = []


class _Session:
    """All that the SDK needs of an HTTP session once nothing is sent."""

    def __init__(self) -> None:
        self.headers: dict[str, Any] = {}


class Sdk:
    """The installed SDK, listened to.

    Raises:
        CannotPrepare: it is too old to have the function that production awaits.
    """

    def __init__(self) -> None:
        listen()
        self._job = importlib.import_module("runpod.serverless.modules.rp_job")
        if not hasattr(self._job, "handle_job"):
            raise CannotPrepare(
                f"runpod {version()} is too old: rpnb needs 1.7.2 or newer on the target. "
                "Connect again with --sdk 1.7.2 or a newer version."
            )
        self._session = _Session()

    @property
    def user_code_callers(self) -> tuple[Any, ...]:
        """The code objects of the SDK that call the handler."""
        return (self._job.run_job.__code__, self._job.run_job_generator.__code__)

    def is_generator(self, handler: Any) -> bool:
        """Tell whether the SDK takes `handler` for one that streams."""
        return bool(self._job.is_generator(handler))

    async def handle(self, config: dict[str, Any], recording: Recording) -> None:
        """Run the recording's job as production does; what it sends is in `recording`."""
        _current.set(recording)
        _open.append(recording)
        try:
            await self._job.handle_job(self._session, config, recording.job)
        finally:
            recording.is_open = False
            _open.remove(recording)


def version() -> str | None:
    """Return the version of the runpod package that an import would find."""
    try:
        from importlib import metadata

        return metadata.version("runpod")
    except metadata.PackageNotFoundError:
        return None


def listen() -> None:
    """Put the recorder into the SDK that is loaded. Harmless when done already."""
    names = ("rp_http", "rp_job", "rp_progress", "rp_logger")
    http, job, progress, logger = (
        importlib.import_module(f"runpod.serverless.modules.{name}") for name in names
    )
    if getattr(http, "_rpnb_listens", False):
        return
    http._rpnb_listens = True  # type: ignore[attr-defined] # a mark of our own
    http._transmit = _transmitter(http)  # type: ignore[attr-defined] # the seam of the whole module
    job.send_result = _noting_result(job.send_result)  # type: ignore[attr-defined] # as above
    job.stream_result = _noting_chunk(job.stream_result)  # type: ignore[attr-defined] # as above
    job.traceback = _Traceback()  # type: ignore[attr-defined] # as above
    progress.progress_update = progress_update  # type: ignore[attr-defined] # as above
    serverless = sys.modules.get("runpod.serverless")
    if serverless is not None:
        serverless.progress_update = progress_update  # type: ignore[attr-defined] # as above
    logger.RunPodLogger.log = _folding(logger.RunPodLogger.log)


def progress_update(job: dict[str, Any], progress: Any) -> None:
    """Updates the progress of a currently running job."""
    recording = _recording_of(job)
    # Production reads the id first, and so raises here for a job that lost it.
    job_id = job["id"]
    if recording is None:
        return
    try:
        text = json.dumps({"status": "IN_PROGRESS", "output": progress}, ensure_ascii=False)
        data = text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        recording.said.append(f"a progress update of {job_id} was lost: {error}")
        recording.lost.append(("progress", progress))
        return
    recording.post("progress", data)


def _recording_of(job: Any) -> Recording | None:
    """Find the job's recording; a thread of the handler's own has no context of ours."""
    here = _current.get()
    if here is not None and here.job is job:
        return here
    for recording in _open:
        if recording.job is job:
            return recording
    job_id = job.get("id") if isinstance(job, dict) else None
    return next((recording for recording in _open if recording.id == job_id), here)


def _transmitter(http: Any) -> Callable[..., Coroutine[Any, Any, None]]:
    stream_start = http.JOB_STREAM_URL.split("$ID")[0]

    async def _transmit(client_session: Any, url: str, job_data: str) -> None:
        del client_session
        # aiohttp encodes here, and here a lone surrogate ends the sending.
        data = job_data.encode("utf-8")
        recording = _current.get()
        if recording is not None:
            recording.post("chunk" if url.startswith(stream_start) else "done", data)
        # A real POST lets other tasks run; without this a generator starves them.
        await asyncio.sleep(0)

    return _transmit


def _noting_result(send: Any) -> Any:
    async def send_result(session: Any, job_data: Any, job: Any, is_stream: bool = False) -> None:
        recording = _current.get()
        if recording is not None:
            recording.result = job_data
        await send(session, job_data, job, is_stream=is_stream)

    return send_result


def _noting_chunk(stream: Any) -> Any:
    async def stream_result(session: Any, job_data: Any, job: Any) -> None:
        recording = _current.get()
        before = recording.chunks if recording is not None else 0
        await stream(session, job_data, job)
        if recording is not None and recording.chunks == before:
            recording.lost.append(("chunk", job_data))

    return stream_result


class _Traceback:
    """The module `traceback` for rp_job: notes the exception that it formats."""

    def format_exc(self, *arguments: Any, **options: Any) -> str:
        recording = _current.get()
        if recording is not None:
            recording.error = sys.exc_info()[1]
        return traceback.format_exc(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(traceback, name)


def _folding(log: Any) -> Any:
    def folded(self: Any, message: Any, message_level: str = "INFO", job_id: Any = None) -> None:
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_globals.get("__name__") == _LOGGER:
            frame = frame.f_back
        origin = frame.f_globals.get("__name__") or ""
        if origin in _FOLDED:
            recording = _current.get()
            if message_level == "ERROR" and recording is not None:
                recording.said.append(str(message))
            return
        if not origin.startswith("runpod.") or message_level in ("WARN", "ERROR", "TIP"):
            log(self, message, message_level, job_id)

    return folded
