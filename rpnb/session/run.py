"""One request under way: journal events become updates, jobs become results."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from ..errors import AgentError, JournalTrimmed, ProtocolError, RpnbError
from ..protocol import messages
from ..transport.text import one_line
from . import updates
from .chunks import Chunks
from .logs import KeptLog
from .result import RemoteException, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..program.steps import Program
    from .dialogue import OpenRequest
    from .link import Link

# How soon Ctrl-C is noticed on platforms where a wait cannot be interrupted.
_PATIENCE = 0.5
# A scratch cell, and what it uses of ordinary ones, are named by their cells already.
_CELL = re.compile(r'File "(cell \d+)", line (\d+)')
_PLACE = re.compile(r'File "(?:[^"]*/app/)?([^"/][^"]*)", line (\d+)')

# A request of this client has one.
_MOST_JOBS = 1000
# What is new in a Python fails like this under an older one.
_BY_VERSION = frozenset({"AttributeError", "ImportError", "ModuleNotFoundError", "TypeError"})
# Nothing follows these.
_LAST = (updates.Done, updates.Failed, messages.Refused, Exception)


@dataclass
class _Job:
    """What is gathered about a job until it is finished."""

    stream: Chunks = field(default_factory=Chunks)
    progress: Chunks = field(default_factory=Chunks)
    logs: KeptLog = field(default_factory=KeptLog)


class Run:
    """Iterate over it for the updates, in order; the last is `Done` or `Failed`.

    Iterating raises `AgentError` where the agent refuses the request and
    `LinkLost` where the link does not come back; the job goes on in that case.
    """

    def __init__(self, link: Link, request: str, opened: OpenRequest, program: Program | None):
        """Before the request is submitted, or news of it could be missed."""
        self.request = request
        self._link, self._inbox, self._program = link, opened.inbox, program
        self._jobs: dict[str, _Job] = {}
        self._running: str | None = None
        # What was given out last. It leaves the inbox when more is asked for.
        self._given: Any = None
        self._inbox.read = self._read

    @property
    def ended(self) -> bool:
        """Whether the last update was given out."""
        return isinstance(self._given, _LAST)

    def __iter__(self) -> Iterator[updates.Update]:
        return self

    def __next__(self) -> updates.Update:
        # No generator: Ctrl-C in the wait must not end the run, which still has to be cancelled.
        if self.ended:
            raise StopIteration
        self._inbox.drop(self._given)
        news = self._wait()
        self._given = news
        if self.ended:
            self._link.forget(self.request)
        if isinstance(news, messages.Refused):
            raise self._refused(news)
        if isinstance(news, Exception):
            raise news
        return cast("updates.Update", news)

    def _refused(self, refused: messages.Refused) -> RpnbError:
        if refused.reason == "lacking" and self._program is not None:
            # It says which of the program's needs; what they are for is known here.
            from ..program.problems import joined
            from ..program.skew import lacked

            problems = lacked(self._program, refused.text.split())
            if problems:
                return joined(problems)
        return (JournalTrimmed if refused.reason == "trimmed" else AgentError)(refused.text)

    def watched(self) -> Iterator[updates.Update]:
        """Yield the updates; Ctrl-C cancels what runs, a second press kills the worker.

        Raises:
            KeyboardInterrupt: it was pressed; the run has ended by then.
        """
        pressed, last = False, None
        while True:
            try:
                update = next(self, None)
            except KeyboardInterrupt:
                # Wherever it struck: what was not yielded comes again.
                self._given = last
                self.cancel(force=pressed)
                pressed = True
                continue
            if update is None:
                break
            last = update
            yield update
        if pressed:
            raise KeyboardInterrupt

    def cancel(self, *, force: bool = False) -> None:
        """Ask for the end of what runs; `force` kills the worker without a grace time."""
        if not self.ended:
            self._link.cancel(messages.Cancel(self.request, force))

    def leave(self, seconds: float) -> None:
        """Cancel, and wait for the end; no longer than this where there is no link.

        Raises:
            LinkLost: there was none.
        """
        self.cancel()
        deadline = time.monotonic() + seconds
        while not self.ended:
            self._inbox.drop(self._given)
            if self._inbox.first(_PATIENCE) is not None:
                next(self)
            elif time.monotonic() > deadline:
                self._link.abandon(self.request)

    def _wait(self) -> Any:
        while (news := self._inbox.first(_PATIENCE)) is None:
            pass
        return news

    def _read(self, news: Any) -> Any:
        """Turn what the link heard into an update, None for what is none."""
        if isinstance(news, updates.Logged) and self._running in self._jobs:
            self._jobs[self._running].logs.add(news.text)
        if isinstance(news, updates.LeftOut) and self._running in self._jobs:
            self._jobs[self._running].logs.leave_out(news.size_bytes)
        if isinstance(news, messages.Notice):
            return updates.Waiting(one_line(news.text))
        if not isinstance(news, messages.Event):
            return news
        reader = _READERS.get(news.kind)
        return reader(self, news) if reader else None

    def _planned(self, event: messages.Event) -> updates.Update:
        body = event.body
        reload = body.get("reload")
        if reload is not None:
            reload = {**reload, "place": _place(self._program, reload["line"])}
        return updates.Planned(body["run"], body["keep"], body["restart"], reload)

    def _shown(self, event: messages.Event) -> updates.Update:
        mimes = dict(zip(event.body["mimes"], event.buffers, strict=False))
        return updates.Shown(mimes, event.body["to"], event.body["encoding"])

    def _synced(self, event: messages.Event) -> updates.Update:
        body = event.body
        return updates.Synced(
            body["cells"], body["kept"], body["names"], body["gpus"], body["notes"]
        )

    def _started(self, event: messages.Event) -> updates.Update:
        self._running = str(event.body["job"]["id"])
        self._job(self._running)
        return updates.JobStarted(self._running)

    def _progressed(self, event: messages.Event) -> updates.Update:
        job, value = event.body["job"], _posted(event).get("output")
        self._job(job).progress.add(value, _size(event))
        return updates.Progressed(job, value)

    def _streamed(self, event: messages.Event) -> updates.Update:
        job, value = event.body["job"], _posted(event).get("output")
        self._job(job).stream.add(value, _size(event))
        return updates.Streamed(job, value)

    def _finished(self, event: messages.Event) -> updates.Update:
        body = event.body
        gathered = self._jobs.pop(body["job"], _Job())
        text = event.buffers[0].decode("utf-8", "surrogatepass") if event.buffers else None
        raised = body["exception"]
        # Read again when somebody asks for it; what is no JSON ends the run, and not a reader.
        _posted(event)
        kept = {"stream": gathered.stream, "progress": gathered.progress}
        return updates.Finished(
            Result(
                id=body["job"],
                status=body["status"],
                posted=text,
                problem=body["problem"],
                exception=remote_exception(raised, self._program) if raised else None,
                stream=gathered.stream.values,
                progress=gathered.progress.values,
                left_out={name: each.left_out for name, each in kept.items() if each.left_out},
                logs=gathered.logs.text(),
                metrics=body["metrics"],
            )
        )

    def _exited(self, event: messages.Event) -> updates.Update:
        body = event.body
        return updates.Exited(body["code"], body["signal"], body["reason"])

    def _done(self, _event: messages.Event) -> updates.Update:
        return updates.Done()

    def _failed(self, event: messages.Event) -> updates.Update:
        raised = remote_exception(event.body["error"], self._program)
        if event.body["phase"] == "step" and raised.type in _BY_VERSION:
            raised = replace(raised, message=raised.message + _older(self._link.info))
        return updates.Failed(event.body["phase"], raised, event.body["cell"])

    def _job(self, job: str) -> _Job:
        if job not in self._jobs:
            if len(self._jobs) >= _MOST_JOBS:
                raise ProtocolError(f"expected at most {_MOST_JOBS} jobs at once in a request")
            self._jobs[job] = _Job()
        return self._jobs[job]


_READERS: dict[str, Callable[[Run, messages.Event], updates.Update]] = {
    "planned": Run._planned,
    "shown": Run._shown,
    "synced": Run._synced,
    "job": Run._started,
    "progress": Run._progressed,
    "chunk": Run._streamed,
    "finished": Run._finished,
    "exited": Run._exited,
    "done": Run._done,
    "failed": Run._failed,
}


def remote_exception(error: dict[str, Any], program: Program | None) -> RemoteException:
    """Return the exception that an event describes, its lines mapped to the cells."""
    frames = [
        _mapped(str(file), int(line), str(function), str(source or ""), program)
        for file, line, function, source in error.get("frames") or ()
    ]
    # The innermost frame in the person's own code is where they will look.
    own = [frame for frame in frames if not frame[0].startswith("/")]
    cell, line, _, source = own[-1] if own else (None, None, "", "")
    return RemoteException(
        type=one_line(str(error.get("type", "Exception"))),
        message=str(error.get("message", "")),
        cell=cell,
        line=line,
        source=source,
        frames=frames,
        traceback=[_named(text, program) for text in error.get("traceback") or ()],
    )


def _older(info: Mapping[str, Any]) -> str:
    """A word where the target's Python is older than the one here: it may lack what is used."""
    there = str(info.get("python") or "")
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not re.match(r"3\.\d+", there) or int(there.split(".")[1]) >= sys.version_info.minor:
        return ""
    return f" (the target has Python {there}, older than the {here} here)"


def _place(program: Program | None, line: int | None) -> str | None:
    """A line as a person finds it: "line 4 of `model`"; None where it is nobody's."""
    where = program.where(line) if program is not None and line is not None else None
    if program is None or where is None:
        return None
    names = [cell.name for cell in program.cells if cell.id == where.cell_id and cell.name]
    return f"line {where.line} of {f'`{names[0]}`' if names else where.label}"


def _mapped(
    file: str, line: int, function: str, source: str, program: Program | None
) -> tuple[str, int, str, str]:
    where = program.where(line) if program is not None and file == "handler.py" else None
    if where is None:
        return file, line, function, source
    return where.label, where.line, function, where.source or source


def _named(text: str, program: Program | None) -> str:
    def name(match: re.Match[str]) -> str:
        file, line = match.group(1), int(match.group(2))
        where = program.where(line) if program is not None and file == "handler.py" else None
        return f"{where.label}, line {where.line}" if where else f'File "{file}", line {line}'

    return _CELL.sub(r"\1, line \2", _PLACE.sub(name, text))


def _size(event: messages.Event) -> int:
    return sum(map(len, event.buffers))


def _posted(event: messages.Event) -> dict[str, Any]:
    try:
        text = event.buffers[0].decode("utf-8", "surrogatepass") if event.buffers else "{}"
        post = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"expected JSON of a job, got other bytes: {error}") from error
    return post if isinstance(post, dict) else {"output": post}
