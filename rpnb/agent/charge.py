"""The relay's charge: one worker after the other, and the requests each is given."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import NoSpace, ProtocolError
from ..protocol.blobs import blobs_of
from ..protocol.frames import FrameReader
from ..protocol.messages import (
    Cancel,
    Event,
    Need,
    Notice,
    Refused,
    Restart,
    SetEnv,
    Stop,
    Submit,
    decode,
    encode,
)
from .channel import Channel, peer
from .clients import Client
from .directory import RunDirectory, check_room
from .exits import BROKEN, RESTART
from .generation import Generation, State
from .lacking import lacking
from .obituary import Obituary
from .record import Record
from .requests import GRACE, Request, Requests, with_program
from .uploads import Uploads

# Room for the events that end a dead worker's requests.
_LAST_WORDS = 1 << 16
_REASONS = {BROKEN: "CUDA was broken in its process"}


class Charge:
    """Starts workers, forwards requests, kills what does not stop, and buries the dead.

    `step` is called often: each 10 ms while `is_active`, else when something came.
    """

    def __init__(self, directory: RunDirectory, record: Record, agent: Path) -> None:
        self._directory, self._record = directory, record
        self.generation = Generation(directory, agent)
        self.requests = Requests()
        self.uploads = Uploads(directory.values)
        self.control: Channel | None = None
        self._frames = FrameReader()
        self._secrets: dict[str, Any] = {}
        # Secrets that the worker has not confirmed.
        self._unconfirmed: dict[str, SetEnv] = {}
        self._endings: dict[str, Restart | Stop] = {}
        self._kill_at: float | None = None
        # The worker that was asked to end; one that is starting cannot be found at once.
        self._asked = 0
        # Why nothing goes on just now, as the worker says, or as its relay found.
        self.notice: Notice | None = None
        # Whether the worker was given its program by us, and by no client since.
        self._is_rebuilt = False
        # Needs of programs that were found here: most requests have no others.
        self._met: set[str] = set()
        self.is_stopped = False
        # What clients are told at the end, where the journal could not say it.
        self.last_word: Refused | None = None
        for _ in record.poll():
            pass
        # A worker that another agent left may be at work already.
        self._is_adopting = self.generation.state is State.STARTING
        if self.generation.state is State.GONE:
            if self.generation.number > record.known.exited or record.open_requests():
                self._bury()
            self.generation.start()

    @property
    def is_active(self) -> bool:
        """Whether files must be looked at although nobody pokes."""
        starting = self.generation.state is State.STARTING
        lost = self.generation.is_lost or bool(self._endings)
        return starting or lost or self.requests.current is not None

    @property
    def secret_names(self) -> list[str]:
        """The names of the secrets that a worker is given when it is born."""
        return sorted(self._secrets)

    def step(self) -> None:
        """Look at the files and the clock, and do what follows."""
        seen = self._record.seq
        for event in self._record.poll():
            self._see(event)
        if self._record.seq != seen:
            self.notice = None
        try:
            self._go_on()
        except NoSpace as full:
            # Nothing was changed: it is tried again, until there is room.
            self._notice(Notice("", f"{full} It goes on when there is room."))

    def _go_on(self) -> None:
        if self.generation.state is State.STARTING:
            self._greet()
        self._enforce()
        if self.generation.state is State.GONE:
            has_died = bool(self._endings)
        else:
            may_be_dead = self.is_active and self.control is None
            has_died = may_be_dead and self.generation.is_dead()
        if has_died:
            self._mourn()
        self._forward()

    def hear(self) -> None:
        """Read what the worker says over the control socket: pokes, and why it waits."""
        assert self.control is not None
        try:
            data = self.control.receive()
            for frame in self._frames.receive_data(data or b""):
                message = decode(frame)
                if isinstance(message, Notice):
                    self._notice(message)
        except (OSError, ProtocolError):
            data = b""
        if data == b"":
            self._hang_up()

    def submit(self, submit: Submit, client: Client) -> None:
        """Queue a client's request, and tell what it waits for."""
        self._forget_stranded(submit.request)
        self.requests.add(submit, client)
        if self.requests.is_rebuilding:
            text = "the worker had died: its program is being rebuilt first"
            client.say(Notice(submit.request, text))

    def _forget_stranded(self, asked: str) -> None:
        """Drop what waits for values of a client that is gone; one that returns says it again."""
        for request in self.requests.queued():
            is_left = request.client is not None and request.client.is_gone
            # What nobody can read is refused in its turn.
            with contextlib.suppress(ProtocolError):
                if is_left and request.id != asked and self._missing(request):
                    self.requests.drop(request)

    def cancel(self, cancel: Cancel) -> None:
        """Cancel a request; one that has ended is left alone."""
        request = self.requests.find(cancel.request)
        if request is None:
            return
        if request is not self.requests.current:
            self.refuse(request, "cancelled", "The request was cancelled before it began.")
            return
        request.stop(cancel)
        self._tell(cancel)

    def set_env(self, message: SetEnv) -> None:
        """Keep secrets for this worker and the next ones."""
        self._secrets.update(message.values)
        self._unconfirmed[message.request] = message
        if self.generation.state is State.GONE:
            # Nobody else can confirm it; a worker gets it when it is born.
            with contextlib.suppress(NoSpace):
                obituary = Obituary(self._directory, self._record, self.generation.exit())
                obituary.done(message.request)
                obituary.close()
        else:
            self._tell(message)

    def end(self, message: Restart | Stop) -> None:
        """End the worker: for a fresh one, or for good."""
        self._endings[message.request] = message
        word = "stopped" if isinstance(message, Stop) else "restarted"
        current = self.requests.current
        if current is not None and current.cancel is None:
            current.cancel = Cancel(current.id, reason=f"the worker was {word}")
        # Asked twice, it is not spared longer.
        self._kill_at = self._kill_at or time.monotonic() + GRACE

    def abandon(self) -> None:
        """End a worker whose directory was removed: no file says any more who it is."""
        if self.control is not None:
            pid, _ = peer(self.control.connection)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def refuse(self, request: Request, reason: str, text: str) -> None:
        """Drop a queued request and tell who asked."""
        self.requests.drop(request)
        if request.client is not None:
            request.client.say(Refused(reason, text, request.id))

    def _see(self, event: Event) -> None:
        if event.kind == "done" and event.request is not None:
            self._unconfirmed.pop(event.request, None)
        current = self.requests.current
        if current is None or event.request != current.id:
            return
        if event.kind in ("done", "failed"):
            self.requests.current = None
            if self.generation.state is State.BUSY:
                self.generation.move("end")

    def _greet(self) -> None:
        """Connect to a worker that is starting, or that another agent left."""
        if self.control is None:
            connection = self.generation.connect()
            if connection is None:
                return
            self.control, self._frames = Channel(connection), FrameReader()
            if self._secrets:
                # Without a request: nobody waits for the worker to confirm it.
                self._tell(SetEnv("", self._secrets))
            for message in self._unconfirmed.values():
                self._tell(message)
        if not self._was_born():
            return
        self.generation.move("ready")
        # The last one: what is open before it belongs to workers that are dead.
        for trace in self._record.open_requests()[-1:] if self._is_adopting else []:
            self.requests.current = Request(trace.request, None, None)
            self.generation.move("take")
        self._is_adopting = False

    def _enforce(self) -> None:
        number, current = self.generation.number, self.requests.current
        if self._endings and self._asked != number and self.generation.kill(signal.SIGTERM):
            self._asked = number
        if current is not None:
            overdue = current.overdue(self._record.traces.get(current.id))
            if overdue is not None:
                self.cancel(overdue)
        times = [self._kill_at, current.kill_at if current is not None else None]
        if any(at is not None and time.monotonic() >= at for at in times):
            self.generation.kill()

    def _forward(self) -> None:
        request = self.requests.next()
        if request is None or self._endings:
            return
        if request.restarts == 0 and self._is_under_way(request):
            return
        if self.generation.state is State.GONE:
            self.generation.start()
        try:
            if self._is_unreadable(request) or self._lacks(request):
                return
        except ProtocolError as error:
            self.refuse(request, "ProtocolError", str(error))
            return
        if self.generation.state is State.IDLE and not self.generation.is_lost:
            assert request.submit is not None
            self.requests.take()
            self.generation.move("take")
            self._is_rebuilt = request.client is None
            stored = None if self._record.known.is_synced else self._directory.read_program()
            self._tell(with_program(request.submit, stored))

    def _is_under_way(self, request: Request) -> bool:
        """Tell whether a worker took the request from an agent that was killed since."""
        trace = self._record.traces.get(request.id)
        if trace is None:
            return False
        if trace.ended:
            self.requests.drop(request)
        elif self.generation.state is State.IDLE:
            self.requests.take()
            self.generation.move("take")
        return True

    def _is_unreadable(self, request: Request) -> bool:
        """Refuse a program whose values the worker could not read, before they are asked for.

        What its Python has, only a worker that was born can say.
        """
        assert request.submit is not None
        program, born = request.submit.program, self._record.known.born
        if request.has_asked or program is None or not program.get("needs"):
            return False
        if born is None or not self._was_born():
            return True
        found = lacking(set(program["needs"]) - self._met, born["info"])
        self._met.update(set(program["needs"]) - set(found))
        if found:
            self.refuse(request, "lacking", f"The target lacks: {' '.join(found)}")
        return bool(found)

    def _lacks(self, request: Request) -> bool:
        """Ask once for the blobs that a request still needs."""
        missing = self._missing(request)
        if missing and not request.has_asked and request.client is not None:
            request.has_asked = True
            request.client.say(Need(request.id, missing))
        return bool(missing)

    def _missing(self, request: Request) -> dict[str, list[int]]:
        assert request.submit is not None
        program, scratch = request.submit.program or {}, request.submit.scratch or {}
        return self.uploads.missing({**blobs_of(scratch), **blobs_of(program)})

    def _tell(self, message: Any) -> None:
        if self.control is None:
            return
        self.control.queue(encode(message))
        try:
            self.control.flush()
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        # The relay closes it, when its selector has forgotten it.
        self.control = None
        self.generation.lose()

    def _mourn(self) -> None:
        """Write what the dead worker could not, and go on without it.

        Raises:
            NoSpace: there is no room for it; nothing was changed.
        """
        try:
            check_room(self._directory.path, _LAST_WORDS)
        except NoSpace as full:
            if not _has_stop(self._endings):
                raise
            self._stop_unwritten(full)
            return
        if self.generation.state is not State.GONE:
            self.generation.move("die")
        # One that died at birth would be followed by the next, for ever.
        had_work = self._was_born() and self._record.known.is_synced
        lost = self._lost_program() if had_work else None
        had_work = had_work or self.requests.current is not None
        self._bury("The program is being rebuilt in a fresh worker." if lost else "")
        endings, self._endings, self._kill_at = self._endings, {}, None
        if _has_stop(endings):
            self._refuse_rest()
            self.is_stopped = True
        elif endings or had_work:
            # Its Python and its imports are ready when the next request comes.
            self.generation.start()
            if lost is not None and self.requests.next() is None:
                self.requests.rebuild(Submit(f"rebuild-{self.generation.number}", lost))

    def _stop_unwritten(self, full: NoSpace) -> None:
        """Stop although there is no room to say so; the next agent writes what is missing."""
        text = f"The worker was stopped. {full} How it ended is written when it is started again."
        self.last_word, self.is_stopped = Refused("NoSpace", text), True

    def _lost_program(self) -> dict[str, Any] | None:
        """Return the program to rebuild in the next worker, None where that is not wanted.

        Not where a person asked for the end, and not again for a worker that nobody
        has used since its program was rebuilt: it would die of it for ever.
        """
        if self._endings or self._is_rebuilt:
            return None
        program = self._directory.read_program()
        is_whole = program is not None and not self.uploads.missing(blobs_of(program))
        return program if is_whole else None

    def _bury(self, prospect: str = "") -> None:
        ended = self.generation.exit()
        for event in self._record.poll():
            self._see(event)
        obituary = Obituary(self._directory, self._record, ended, prospect)
        current = self.requests.current
        trace = self._record.traces.get(current.id) if current is not None else None
        fresh = ended["code"] == RESTART and trace is not None and trace.restart
        # Forwarded to one that was already on its way out, after a stopPod for one:
        # what was never accepted was never executed.
        untaken = current is not None and trace is None and self._was_born() and not self._endings
        if self.generation.number > self._record.known.exited:
            obituary.exited(self._reason(fresh or _REASONS.get(ended["code"])))
        again = bool(fresh or untaken) and self.requests.again()
        self._end_requests(obituary, current if again else None)
        for asked in [*self._unconfirmed, *self._endings]:
            obituary.done(asked)
        obituary.close()
        for event in self._record.poll():
            self._see(event)
        self.requests.current = None

    def _refuse_rest(self) -> None:
        request = self.requests.next()
        while request is not None:
            self.refuse(request, "stopped", "The worker was stopped before the request began.")
            request = self.requests.next()

    def _end_requests(self, obituary: Obituary, kept: Request | None) -> None:
        """End every request that the dead worker had, but the one that goes on."""
        waiting = self.requests.current or (None if self._was_born() else self.requests.next())
        ids = {trace.request for trace in self._record.open_requests()}
        if waiting is not None and kept is None:
            ids.add(waiting.id)
        for request in sorted(ids - ({kept.id} if kept is not None else set())):
            obituary.failed(request, self._record.traces.get(request), self.requests.current)
        if waiting is not None and kept is None and waiting is not self.requests.current:
            self.requests.drop(waiting)

    def _notice(self, notice: Notice) -> None:
        """Take note of why nothing goes on; without a request it is of the one that waits."""
        waiting = self.requests.current or self.requests.next()
        if not notice.request and waiting is not None:
            notice = replace(notice, request=waiting.id)
        self.notice = notice

    def _was_born(self) -> bool:
        born = self._record.known.born
        return born is not None and born["generation"] == self.generation.number

    def _reason(self, fresh: str | None) -> str | None:
        if self._endings:
            return "stopped" if _has_stop(self._endings) else "restarted"
        current = self.requests.current
        if current is not None and current.cancel is not None:
            return current.cancel.reason or "cancelled"
        return fresh


def _has_stop(endings: dict[str, Restart | Stop]) -> bool:
    return any(isinstance(message, Stop) for message in endings.values())
