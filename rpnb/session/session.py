"""A session: one client attached to one worker on one target."""

from __future__ import annotations

import atexit
import contextlib
import platform
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CannotReach, LinkLost, RemoteError, WorkerDied
from ..protocol import messages
from .away import warn, warner
from .dialogue import Dialogue, OpenRequest
from .inbox import Inbox
from .link import Link
from .names import new_name, worker_name
from .reach import Options, Reach
from .run import Run
from .script import Script
from .target import default_target
from .updates import Done, Exited, Failed, Finished, LinkChanged, Streamed, Synced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from typing_extensions import Self

    from ..program.steps import Program
    from ..transport.targets import Target
    from .history import PastJob
    from .result import Result

# A worker that has not said what it is by then will not (a slow network disk included).
_BIRTH = 120.0
# How often to see meanwhile that the link is up.
_LOOK = 0.5
# A job outlives a lost link for hours; who restarts or stops a worker waits no longer than this.
_HOLD = 30.0
# Nor does a loop over a stream that was left: who breaks out of it wants to go on.
_LEAVE = 10.0


def connect(
    target: str | None = None,
    *,
    name: str | None = None,
    path: str | Path | None = None,
    **options: Any,
) -> Session:
    """Return a session on `target`; a worker of that name which is there already is adopted.

    Without `target`: RPNB_TARGET, else `[tool.rpnb] target` in pyproject.toml. The
    worker's name is `name`, else made of `path`, which is the running script's.
    `options` are the fields of `Options`: `python`, `gpu`, `sdk`, `ask`, `ask_secret`,
    `accept_key`, `on_progress`.

    Raises:
        BadTarget: the text names no target, or there is none.
        TargetError: the target cannot be reached or prepared.
        AgentError: the agent there refuses this client.
    """
    from ..transport import targets

    place = path or _script()
    worker = name or (worker_name(place) if place else new_name("python"))
    client = f"{Path(place).name if place else worker} on {platform.node()}"
    session = Session(targets.parse(target or default_target()), worker, client, Options(**options))
    try:
        session.open()
    except BaseException:
        # Ctrl-C, too: nobody else can close what was opened so far.
        session.close()
        raise
    return session


class Session:
    """A connection to a worker; use it as a context manager, or `close` it.

    `adopted` is the program that the worker had when the session began, `names`
    what its namespace holds (name to type), `kept` what was warm there, `info`
    what the machine says of itself, `driver` who else drives the worker, if anybody.
    """

    def __init__(self, target: Target, worker: str, client: str, options: Options) -> None:
        self.target, self.worker = target, worker
        self.adopted: Program | None = None
        self.names: Mapping[str, str] = {}
        self.kept: list[Any] = []
        self.driver = ""
        self.reach = Reach(target, worker, options)
        self._dialogue = Dialogue(client)
        self._link = Link(self.reach.dial, self.reach.beside, self._dialogue)
        self._script = Script(lambda: self.info)

    def open(self) -> None:
        """Start or find the agent and attach to it; `connect` has done so already."""
        try:
            welcome = self._link.open()
        except LinkLost:
            # Nobody listens there any more: the next try starts the agent.
            welcome = self._link.open()
        if welcome.program is not None:
            from ..program.steps import Program

            self.adopted = Program.from_wire(welcome.program)
        self.driver = "" if welcome.drives else welcome.driver
        self.names, self.kept = welcome.warm.get("names", {}), welcome.warm.get("kept", [])
        deadline = time.monotonic() + _BIRTH
        while not self._link.born.wait(_LOOK) and time.monotonic() < deadline:
            # Another client of this name takes our place; the news may be told meanwhile.
            self._link.reopen()
        if not self._link.born.is_set():
            raise CannotReach(
                f"the worker on {self.target.label} did not start within {_BIRTH:.0f} s. "
                "%runpod_stop ends it; its log is in the agent's directory."
            )

    @property
    def info(self) -> Mapping[str, Any]:
        """The worker's machine: python, executable, sdk, gpus, hostname, pid."""
        return self._link.info

    @property
    def jobs(self) -> list[PastJob]:
        """The worker's jobs, the oldest first: earlier ones, this client's, other clients'."""
        return self._dialogue.history.jobs

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know of how the target was reached."""
        return self.reach.notes

    def submit(
        self,
        program: Program | None,
        *,
        job: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        blobs: Mapping[str, bytes | memoryview] | None = None,
        **work: Any,
    ) -> Run:
        """Bring the worker's program up to date, do at most one kind of work; return at once.

        `program` None leaves the program as it is. `job` is a whole RunPod job,
        `timeout` its limit in seconds. `work` are the further fields of
        `protocol.messages.Submit`: `show`, `again` (a cell's id), `scratch`, whose
        files are in `blobs`.
        """
        request = uuid.uuid4().hex[:12]
        message = messages.Submit(
            request,
            program.to_wire() if program is not None else None,
            jobs=[dict(job)] if job is not None else [],
            timeout=timeout,
            **work,
        )
        own = program.blobs if program is not None else {}
        opened = OpenRequest(message, {**own, **(blobs or {})})
        run = Run(self._link, request, opened, program or self.adopted)
        self._link.submit(request, opened)
        return run

    def beside(self, name: str) -> Session:
        """Return an open session on a fresh worker of its own, `WORKER#name`, on the same target.

        The caller stops it. Its `adopted` is set where one was left behind.
        """
        client = f"the {name} of {self.worker}"
        fresh = Session(self.target, f"{self.worker}#{name}", client, self.reach.options)
        fresh.open()
        return fresh

    def order(self, cancel: messages.Cancel, fail: Callable[[str, str], None]) -> bool:
        """Cancel a request that a link of its own follows; tell whether that is on its way.

        It is sent once there is a link. `fail` is called with the request and why, where
        that is never.
        """

        def read(news: Any) -> None:
            if isinstance(news, (Exception, messages.Refused)):
                self._link.withdraw(cancel.request)
                fail(cancel.request, news.text if isinstance(news, messages.Refused) else str(news))

        inbox = Inbox()
        inbox.read = read
        return self._link.order(cancel, inbox)

    def withdraw(self, request: str) -> None:
        """Order its cancel no longer."""
        self._link.withdraw(request)

    def ask(self) -> messages.Pong | None:
        """Return what the agent says of the worker now, None where it does not answer."""
        return self._link.ask()

    def census(self) -> Mapping[str, Any]:
        """Return what runs on the target now: {"workers", "gpus"}.

        Raises:
            TargetError: the target cannot be reached.
        """
        return self.reach.census()

    def setup(self, code: str | Callable[[], Any]) -> None:
        """Run set-up code on the target and keep what it makes; nothing, if it ran already.

        `code` is a cell's text, or a function without parameters.

        Raises:
            RemoteError: the code raised.
            ProgramError: it cannot be sent.
        """
        program = self._script.add_setup(code, sys._getframe(1).f_globals)
        self._finish(self.submit(program))

    def run(self, job: Any, handler: Any = None, *, timeout: float | None = None) -> Result:
        """Run the handler on one input, or one whole job; return what came of it.

        `handler` is a function or the path of a handler file; None is the one
        marked with `@rpnb.handler` in the caller's module, else the last one.

        Raises:
            RemoteError: a set-up step raised. What the handler raises is in the result.
            NoHandler: there is none.
        """
        program = self._script.with_handler(handler, sys._getframe(1).f_globals)
        return result_of(self.submit(program, job=_job(job), timeout=timeout), self._noting())

    def stream(
        self, job: Any, handler: Any = None, *, timeout: float | None = None
    ) -> Iterator[Any]:
        """Yield the chunks of a generator handler; leaving the loop cancels the job.

        Raises:
            RemoteError: a set-up step raised, or the handler did.
        """
        program = self._script.with_handler(handler, sys._getframe(1).f_globals)
        return streamed(self.submit(program, job=_job(job), timeout=timeout), self._noting())

    def clear(self) -> None:
        """Empty the program; the next run undoes what its steps have made."""
        self._script = Script(lambda: self.info)
        self._finish(self.submit(self._script.program({})))

    def set_env(self, values: Mapping[str, str]) -> None:
        """Hand secrets to the worker's environment; kept in memory only, here and there."""
        self._request(lambda request: messages.SetEnv(request, dict(values)))
        self._dialogue.secrets.update(values)

    def restart(self) -> None:
        """Give the same program a new process; it is rebuilt at the next run."""
        self._request(messages.Restart)

    def stop(self) -> None:
        """End the worker and its agent, and free what they hold.

        Raises:
            AgentError: another client drives the worker.
        """
        with contextlib.suppress(LinkLost):
            self._request(messages.Stop)
        self.close()

    def close(self) -> None:
        """Disconnect; the worker stays warm."""
        self._link.close()
        atexit.unregister(_part)
        atexit.register(_part)

    disconnect = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def _request(self, message: Callable[[str], messages.Message]) -> None:
        request = uuid.uuid4().hex[:12]
        opened = OpenRequest(message(request))
        run = Run(self._link, request, opened, None)
        self._link.submit(request, opened)
        for update in run.watched():
            if isinstance(update, Failed):
                raise raised(update)
            if not isinstance(update, LinkChanged) or update.state == "back":
                continue
            if update.seconds > _HOLD:
                self._link.forget(request)
                known = "nothing was sent, as there is no link"
                if update.state != "away":
                    known = "whether it was done is not known"
                # No `LinkLost`: that is how an agent goes which was stopped.
                raise CannotReach(
                    f"{self.target.label} has not answered for {update.seconds:.0f} s: {known}"
                )

    def _finish(self, run: Run) -> None:
        note = self._noting()
        for update in run.watched():
            note(update)

    def _noting(self) -> Callable[[Any], None]:
        """Return what takes note of a run's updates; it warns of an outage, and raises."""
        see = warner(self.target.label)

        def note(update: Any) -> None:
            if isinstance(update, Synced):
                self.names = update.names
            elif isinstance(update, LinkChanged):
                see(update)
            elif isinstance(update, Failed):
                raise raised(update)

        return note


def _part() -> None:
    """Wait for threads that are closing: one inside OpenSSL crashes an interpreter that ends."""
    deadline = time.monotonic() + 1.0
    for thread in threading.enumerate():
        if thread.name.startswith("rpnb "):
            thread.join(max(0.0, deadline - time.monotonic()))


def raised(failed: Failed) -> RemoteError:
    """Return the error that stands for a failed request."""
    exception = failed.exception
    where = f" ({exception.where})" if exception.where else ""
    if failed.phase == "worker":
        return WorkerDied(f"{exception.message}{where}", exception)
    return RemoteError(f"{exception}{where}", exception)


def result_of(run: Run, note: Callable[[Any], None] = lambda _update: None) -> Result:
    """Return what came of a run's job; `note` is told everything else.

    Raises:
        RemoteError: the request failed before there was a result.
    """
    result: Result | None = None
    for update in run.watched():
        if isinstance(update, Finished):
            result = update.result
        elif not isinstance(update, Failed):
            note(update)
        elif result is None:
            raise raised(update)
    if result is None:
        raise RemoteError("the request ended without a result")
    if result.left_out:
        warn(result.shortfall)
    return result


def streamed(run: Run, note: Callable[[Any], None]) -> Iterator[Any]:
    """Yield a run's chunks; cancel it where the caller leaves early."""
    try:
        for update in run:
            if isinstance(update, Streamed):
                yield update.value
            elif isinstance(update, Finished) and not update.result.ok:
                said = update.result.exception or update.result.problem or update.result.error
                raise RemoteError(str(said), update.result.exception)
            elif not isinstance(update, Done | Exited):
                note(update)
    finally:
        # Until it has ended the next job would wait behind it.
        try:
            run.leave(_LEAVE)
        except LinkLost as error:
            warn(str(error))


def _job(value: Any) -> dict[str, Any]:
    from ..program.inputs import as_job

    job = dict(as_job(value).job)
    job.setdefault("id", uuid.uuid4().hex[:8])
    return job


def _script() -> str | None:
    return getattr(sys.modules.get("__main__"), "__file__", None)
