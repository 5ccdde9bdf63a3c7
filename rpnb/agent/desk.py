"""The desk: what each client may ask, and who answers it.

One client drives; any number watch. The driver's place is free when its link
ends, and the same client, connecting anew, takes it over. Another that wants to
drive has the driver asked whether it is still there: a laptop that sleeps keeps
its link for hours.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from ..errors import NoSpace, ProtocolError
from ..protocol.messages import (
    VERSION,
    Blob,
    Cancel,
    Hello,
    Message,
    Ping,
    Pong,
    Refused,
    Replay,
    Restart,
    SetEnv,
    Stop,
    Submit,
    Welcome,
)
from .charge import Charge
from .clients import Client
from .directory import RunDirectory
from .idle import Idle
from .record import Record

# Requests that Welcome tells of.
_RECENT = 20
# How long a driver may take to say that it is there, when another wants its place.
_SIGN_OF_LIFE = 3.0


class Desk:
    """Takes the clients' messages; `drop` ends the link of a client."""

    def __init__(
        self,
        directory: RunDirectory,
        record: Record,
        charge: Charge,
        idle: Idle,
        drop: Callable[[Client], None],
    ) -> None:
        self._directory, self._record, self._charge = directory, record, charge
        self._idle, self._drop = idle, drop
        self._driver: Client | None = None
        # When the driver was asked for a sign of life, and what waits for the answer.
        self._asked_at = 0.0
        self._held: list[tuple[Client, Message]] = []
        self._actions: dict[type, Callable[[Client, Any], None]] = {
            Submit: self._submit,
            Blob: self._blob,
            Cancel: lambda _client, message: self._charge.cancel(message),
            Ping: self._ping,
            Pong: lambda client, _message: self._answer(client),
            Replay: self._replay,
            SetEnv: lambda _client, message: self._charge.set_env(message),
            Restart: lambda _client, message: self._charge.end(message),
            Stop: lambda _client, message: self._charge.end(message),
        }

    @property
    def is_waiting(self) -> bool:
        """Whether a driver was asked for a sign of life."""
        return bool(self._held)

    def step(self) -> None:
        """Give the wheel of a driver that is gone, or that gives no sign, to who waits for it."""
        if not self._held:
            return
        if self._driver is not None:
            if time.monotonic() - self._asked_at < _SIGN_OF_LIFE:
                return
            self._drop(self._driver)
        held, self._held = self._held, []
        for client, message in held:
            self.receive(client, message)

    def receive(self, client: Client, message: Message) -> None:
        """Answer a message, or see to it that it is done."""
        if isinstance(message, Hello):
            self._hello(client, message)
        elif self._may(client, message) and not self._knows(client, message):
            self._actions[type(message)](client, message)

    def _knows(self, client: Client, message: Message) -> bool:
        """Tell whether this was asked before, over another link: then it is only told again."""
        if not isinstance(message, (Submit, SetEnv, Restart, Stop)):
            return False
        trace = self._record.traces.get(message.request)
        if trace is not None:
            client.rerun(self._record, trace)
        return trace is not None or self._is_forgotten(client, message.request)

    def _is_forgotten(self, client: Client, request: str) -> bool:
        """Tell whether a run is no longer kept; the client is told so."""
        status = self._record.known.forgotten.get(request)
        if status is not None:
            text = f"The request {request[:4]} ended {status}; what it said is no longer kept."
            client.say(Refused("trimmed", text, request))
        return status is not None

    def _may(self, client: Client, message: Message) -> bool:
        """Tell whether the client may say so; it is told why not."""
        if isinstance(message, (Ping, Pong, Replay, Blob)):
            return True
        wants = client.hello is not None and client.hello.role == "drive"
        if self._driver is None and wants:
            self._driver = client
        if self._driver is client:
            return True
        if self._driver is None or not wants:
            self._refuse(client, message)
        else:
            self._hold(self._driver, client, message)
        return False

    def _refuse(self, client: Client, message: Message) -> None:
        who = self._driver.name if self._driver is not None else "nobody"
        text = (
            f"{who} drives the worker {self._directory.worker}; this client may watch. It can "
            "drive once the other one disconnects."
        )
        if isinstance(message, Stop):
            text += f" `rpnb stop {self._directory.worker}` ends the worker all the same."
        client.say(Refused("driver", text, getattr(message, "request", None)))

    def _hold(self, driver: Client, client: Client, message: Message) -> None:
        if not self._held:
            self._asked_at = time.monotonic()
            driver.say(Ping(0))
        self._held.append((client, message))

    def _answer(self, client: Client) -> None:
        """The driver is there: nobody else may drive."""
        if client is self._driver:
            held, self._held = self._held, []
            for waiting, message in held:
                self._refuse(waiting, message)

    def _hello(self, client: Client, hello: Hello) -> None:
        if hello.version != VERSION:
            text = f"This agent speaks version {VERSION}, the client {hello.version}."
            client.say(Refused("version", text))
            client.is_closing = True
            return
        client.hello = hello
        if hello.role == "drive":
            # The same client again: the link it had is dead, whatever the system thinks.
            if self._driver is not None and _is_same(self._driver.hello, hello):
                self._drop(self._driver)
            self._driver = self._driver or client
        client.say(self._welcome(client))
        client.attach(hello, self._record)
        self._tell_notice(client)

    def _tell_notice(self, client: Client) -> None:
        if self._charge.notice is not None:
            client.tell(self._charge.notice)

    def _welcome(self, client: Client) -> Welcome:
        record, generation = self._record, self._charge.generation
        born = record.known.born
        is_born = born is not None and born["generation"] == generation.number
        return Welcome(
            worker=self._directory.worker,
            generation=generation.number,
            seq=record.seq,
            out=record.settled["out"],
            err=record.settled["err"],
            drives=self._driver is client,
            driver=self._driver.name if self._driver is not None else "",
            secrets=self._charge.secret_names,
            program=self._directory.read_program(),
            requests=[trace.summary() for trace in list(record.traces.values())[-_RECENT:]],
            info=born["info"] if born is not None and is_born else {},
            warm=record.warm(),
        )

    def _submit(self, client: Client, submit: Submit) -> None:
        self._charge.submit(submit, client)

    def _blob(self, client: Client, blob: Blob) -> None:
        try:
            self._charge.uploads.take(blob)
        except (NoSpace, ProtocolError) as error:
            self._refuse_next(client, error)

    def _refuse_next(self, client: Client, error: Exception) -> None:
        """A value did not arrive: the request that waits for it ends, and says why."""
        waiting = self._charge.requests.next()
        reason = type(error).__name__
        if waiting is None or waiting.client is None:
            client.say(Refused(reason, str(error)))
        else:
            self._charge.refuse(waiting, reason, str(error))

    def _ping(self, client: Client, ping: Ping) -> None:
        generation, left = self._charge.generation, self._idle.left()
        # Only who asks for it, and not each sign of life, is worth a look.
        holds = bool(ping.number) and left is not None and generation.holds_gpu()
        waits = self._idle.seconds if left is not None else None
        client.say(Pong(ping.number, generation.state.value, left, holds, waits))

    def _replay(self, client: Client, replay: Replay) -> None:
        if client.follow(self._record):
            self._tell_notice(client)
        trace = self._record.traces.get(replay.request)
        if trace is not None:
            client.rerun(self._record, trace)
        elif self._is_forgotten(client, replay.request):
            pass
        elif self._charge.requests.find(replay.request) is None:
            text = f"This worker knows no request {replay.request}."
            client.say(Refused("unknown", text, replay.request))

    def leave(self, client: Client) -> None:
        """Take note that a client is gone."""
        self._held = [each for each in self._held if each[0] is not client]
        if self._driver is client:
            self._driver = None


def _is_same(known: Hello | None, hello: Hello) -> bool:
    return known is not None and (known.client, known.session) == (hello.client, hello.session)
