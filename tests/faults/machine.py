"""Client and agent as one state machine: sends, cuts, silences, kills, restarts, trims, watchers.

No process and no clock: the client's dialogue, the agent's desk, charge, record and journal
are the real ones; sockets are pairs in this process, and a worker is a list of what it does.
"""

from __future__ import annotations

import collections
import contextlib
import os
import shutil
import socket
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rpnb.agent import charge as charges
from rpnb.agent import clients, journal
from rpnb.agent.clients import Client
from rpnb.agent.desk import Desk
from rpnb.agent.directory import RunDirectory
from rpnb.agent.generation import Generation, State
from rpnb.agent.journal import Journal, path_of, segments
from rpnb.agent.record import Record
from rpnb.errors import RpnbError
from rpnb.protocol.connection import CLIENT, Connection
from rpnb.protocol.frames import FrameReader
from rpnb.protocol.messages import (
    Cancel,
    Event,
    Hello,
    Ping,
    Pong,
    Refused,
    Replay,
    Submit,
    Trimmed,
    Welcome,
    decode,
    encode,
)
from rpnb.session.dialogue import Dialogue, OpenRequest

# What may wait in this process for one client: what is queued, and one piece above it.
MOST_QUEUED = 1 << 19
# Answers that may wait; and so little that a segment of the journal holds few events.
MOST_SAID, SEGMENT_BYTES = 8192, 300
# More than may be queued, and much more than a socket takes.
_LOUD, _SOCKET_BYTES = 600_000, 1 << 14
_ENDS = ("done", "failed")
_CANCELLED = {
    "phase": "cancelled",
    "error": {"type": "JobCancelled", "message": "", "frames": [], "traceback": []},
    "cell": None,
}


class Worker:
    """One process in the worker's life: executes what it is given, an event at a time."""

    def __init__(self, directory, number, processes):
        self._directory, self._executed = directory, processes.executed
        self._sockets, self._number = processes.sockets, number
        self._journal = Journal(directory.journal)
        self._control, self._frames = None, FrameReader()
        self._taken, self._todo = set(), collections.deque()
        self._lines = 0
        self._emit(None, "born", {"generation": number, "info": {"python": "3.11.7"}})

    def connect(self):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._hang_up()
        self._sockets += [ours, theirs]
        self._control, self._frames = ours, FrameReader()
        return theirs

    def turn(self):
        self._hear()
        if self._todo and self._todo[0][1] is not None:
            request, kind, body, size = self._todo.popleft()
            self._print(size)
            self._emit(request, kind, body)
            if kind == "accepted":
                self._executed[request] += 1

    def die(self):
        """As kill -9: what is not written is gone."""
        self._hang_up()
        os.close(self._journal._file)

    def _hear(self):
        with contextlib.suppress(BlockingIOError, AttributeError, OSError):
            for frame in self._frames.receive_data(self._control.recv(1 << 16)):
                message = decode(frame)
                # As the real one: a relay that was killed may have handed it over already.
                if isinstance(message, Submit) and message.request not in self._taken:
                    self._taken.add(message.request)
                    self._take(message)
                elif isinstance(message, Cancel) and message.request in self._taken:
                    self._cancel(message.request)

    def _take(self, submit):
        kind = submit.jobs[0]["input"] if submit.jobs else "plain"
        steps = [("accepted", {}, 9), ("job", {"job": {"id": "j"}}, 9)]
        steps += [("done", {}, _LOUD if kind == "loud" else 9)] if kind != "endless" else []
        steps += [(None, {}, 0)] if kind == "endless" else []
        self._todo += [(submit.request, *step) for step in steps]

    def _cancel(self, request):
        if any(each[0] == request for each in self._todo):
            first = [each for each in self._todo if each[:2] == (request, "accepted")]
            rest = [each for each in self._todo if each[0] != request]
            self._todo = collections.deque([*first, (request, "failed", _CANCELLED, 9), *rest])

    def _print(self, size):
        self._lines += 1
        line = b"%d.%d " % (self._number, self._lines)
        with self._directory.out.open("ab") as out:
            out.write(line * max(1, size // len(line)))

    def _emit(self, request, kind, body):
        out = self._directory.out.stat().st_size
        self._journal.append(kind, body, request=request, out=out, err=0)

    def _hang_up(self):
        if self._control is not None:
            self._control.close()


class Processes:
    """In place of real ones."""

    def __init__(self, directory):
        self.directory, self.executed = directory, collections.Counter()
        self.worker = None
        # Those of control connections, whoever let go of them: closed at the end.
        self.sockets = []

    def kill(self):
        if self.worker is not None:
            self.worker.die()
            self.worker = None


def generation_of(processes):
    class Stand:
        is_lost = False
        move = Generation.move

        def __init__(self, directory, _agent):
            self._directory = directory
            self.number = directory.read_generation()
            self.state = State.STARTING if processes.worker else State.GONE

        def start(self):
            self.move("start")
            self.number += 1
            self.is_lost = False
            self._directory.generation.write_text(str(self.number))
            processes.worker = Worker(self._directory, self.number, processes)

        def connect(self):
            return processes.worker.connect() if processes.worker else None

        def lose(self):
            self.is_lost = True

        def is_dead(self):
            return processes.worker is None

        def holds_gpu(self):
            return False

        def kill(self, _number=9):
            processes.kill()

        def exit(self):
            keys = ("code", "peak_bytes", "pid", "since", "oom_kills")
            return {"generation": self.number, "signal": 9, **dict.fromkeys(keys)}

    return Stand


class End:
    """A client's end of its streams, one after the other, and what it has heard on them."""

    def __init__(self, agent, dialogue):
        self.dialogue, self._agent = dialogue, agent
        self.stream, self.connection, self.pending = None, None, bytearray()
        self.heard, self.ends, self.output = [], collections.Counter(), bytearray()
        self.base = self._next = None
        self._zombies = []
        self._tap()

    def _tap(self):
        read, plain = self.dialogue._logs.read, self.dialogue._hear_event

        def logged(stream, missed, data):
            # Who watches one run takes no interest in what is printed after it.
            is_mine = self.dialogue._watched is None or self.dialogue.open_requests()
            assert stream == "out" and not (missed and is_mine), "log bytes are missing"
            self.output += data
            return read(stream, missed, data)

        def hear(event, size):
            self._see(event)
            plain(event, size)

        self.dialogue._logs.read, self.dialogue._hear_event = logged, hear

    def _see(self, event):
        if self.base is not None and self.dialogue._watched is None:
            assert event.seq == self._next, f"event {event.seq} came, and not {self._next}"
            self._next += 1
            assert self.base.out + len(self.output) >= event.out, "it came before its log"
        self.heard.append(event)

    def open(self, message):
        """Make a request; whatever ends it is counted."""
        request, opened = message.request, OpenRequest(message)

        def read(news):
            is_end = isinstance(news, Event) and news.kind in _ENDS
            if is_end or isinstance(news, (Refused, RpnbError)):
                self.ends[request] += 1
            if isinstance(news, Refused):
                self.dialogue.drop(request)

        opened.inbox.read = read
        self.dialogue.add(request, opened)
        self._say(message)

    def cancel(self, request):
        opened = self.dialogue.find(request)
        if opened is not None:
            opened.cancel = Cancel(request)
            self._say(opened.cancel)

    def ask(self, count):
        for number in range(1, count + 1):
            self._say(Ping(number))

    def _say(self, message):
        if self.stream is not None and self.connection.state.value == "attached":
            self.pending += encode(message)

    def connect(self):
        self.stream = self._agent.accept()
        self.connection = Connection(CLIENT)
        self.pending = bytearray(encode(self.dialogue.hello()))

    def send(self, size):
        with contextlib.suppress(OSError):
            del self.pending[: self.stream.send(self.pending[:size])]

    def hear(self, size):
        try:
            data = self.stream.recv(size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.cut()
            return
        for message in self.connection.receive_data(data):
            self._take(message)

    def _take(self, message):
        if isinstance(message, Welcome):
            if self.base is None:
                self.base, self._next = message, message.seq + 1
            for again in self.dialogue.meet(message):
                self.pending += encode(again)
        elif isinstance(message, Ping):
            self._say(Pong(message.number))
        else:
            if isinstance(message, Trimmed) and self._next is not None:
                self._next = max(self._next, message.seq + 1)
            self.dialogue.hear(message)
            if isinstance(message, Trimmed):
                for again in self.dialogue.again():
                    self._say(again)

    def cut(self):
        """At whatever byte either side has come to."""
        if self.stream is not None:
            self.stream.close()
        self.stream, self.pending = None, bytearray()

    def fall_silent(self):
        """The stream hangs: nobody learns that nobody is there."""
        self._zombies.append(self.stream)
        self.stream, self.pending = None, bytearray()

    def close(self):
        self.cut()
        for each in self._zombies:
            each.close()


class Wire(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="rpnb-machine-"))
        self.directory = RunDirectory(self.folder / "run" / "w")
        self.directory.create()
        self.processes = Processes(self.directory)
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(charges, "Generation", generation_of(self.processes))
        self.patch.setattr(journal, "SEGMENT_BYTES", SEGMENT_BYTES)
        # A frame's length, and so where a cut falls, must not hang on the time of day.
        self.patch.setattr(journal, "time", SimpleNamespace(time=lambda: 1.0))
        if clients._MOST_SAID < 1 << 30:
            self.patch.setattr(clients, "_MOST_SAID", MOST_SAID)
        self.main = End(self, Dialogue("machine"))
        self.kinds, self.watchers, self.intruders = {}, {}, 0
        self.clients, self.relay = [], None
        self.begin_relay()

    # The agent

    def begin_relay(self):
        record = Record(self.directory)
        charge = charges.Charge(self.directory, record, self.folder / "agent")
        desk = Desk(self.directory, record, charge, lambda: None, self._drop)
        self.relay = record, charge, desk

    def accept(self):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        self.clients.append(Client(theirs))
        return ours

    def _drop(self, client):
        if client in self.clients:
            self.clients.remove(client)
            client.close()
        self.relay[2].leave(client)

    @rule(with_worker=st.booleans())
    def kill_relay(self, with_worker):
        for client in self.clients:
            client.close()
        self.clients.clear()
        record, charge, _ = self.relay
        if charge.control is not None:
            charge.control.close()
        charge.uploads.close()
        record.close()
        if with_worker:
            self.processes.kill()
        self.begin_relay()

    @rule()
    def agent_turns(self):
        _, charge, desk = self.relay
        for client in list(self.clients):
            try:
                data = client.channel.receive()
            except OSError:
                data = b""
            if data == b"":
                self._drop(client)
                continue
            for message in client.protocol.receive_data(data or b""):
                desk.receive(client, message)
        desk.step()
        if charge.control is not None:
            charge.hear()
        charge.step()
        for client in list(self.clients):
            self._pump(client)

    def _pump(self, client):
        try:
            client.pump()
        except OSError:
            self._drop(client)

    @rule(count=st.integers(1, 3))
    def trim(self, count):
        """The oldest runs that have ended are no longer kept, nor the journal before the next."""
        self._forget(count)

    def _forget(self, count):
        record = self.relay[0]
        record.forget([trace for trace in record.traces.values() if trace.ended][:count])

    # The worker

    @precondition(lambda self: self.processes.worker is not None)
    @rule()
    def worker_turns(self):
        self.processes.worker.turn()

    @precondition(lambda self: self.processes.worker is not None)
    @rule(is_torn=st.booleans())
    def kill_worker(self, is_torn):
        self.processes.kill()
        if is_torn:
            last = path_of(self.directory.journal, segments(self.directory.journal)[-1])
            with last.open("ab") as file:
                file.write(b"rpn1\0\0\0\x09\0\0{")

    # The client

    @rule(kind=st.sampled_from(["plain", "plain", "loud", "endless"]))
    def submit(self, kind):
        request = f"r{len(self.kinds)}"
        self.kinds[request] = kind
        self.main.open(Submit(request, jobs=[{"id": "j", "input": kind}]))

    @precondition(lambda self: self.kinds)
    @rule(data=st.data())
    def cancel(self, data):
        self.main.cancel(data.draw(st.sampled_from(sorted(self.kinds))))

    @precondition(lambda self: self.main.stream is None)
    @rule()
    def connect(self):
        self.main.connect()

    @precondition(lambda self: self.main.stream is not None)
    @rule(size=st.sampled_from([1, 7, 60, 10_000]))
    def client_sends(self, size):
        self.main.send(size)

    @precondition(lambda self: self.main.stream is not None)
    @rule(size=st.sampled_from([1, 7, 60, 400, 100_000]))
    def client_hears(self, size):
        self.main.hear(size)

    @precondition(lambda self: self.main.stream is not None)
    @rule(is_silent=st.booleans())
    def cut(self, is_silent):
        if is_silent:
            self.main.fall_silent()
        else:
            self.main.cut()

    @rule(rounds=st.integers(1, 6), trimmed=st.integers(0, 3))
    def go_on_without_the_client(self, rounds, trimmed):
        """A laptop that sleeps: the jobs run on, and what they said may be old when it is back."""
        self.main.cut()
        for _ in range(rounds):
            self.agent_turns()
            if self.processes.worker is not None:
                self.processes.worker.turn()
        self.agent_turns()
        self._forget(trimmed)

    @precondition(lambda self: self.main.stream is not None)
    @rule()
    def ask_and_not_listen(self):
        self.main.ask(1000)
        for _ in range(3):
            self.main.send(1 << 20)
            self.agent_turns()

    @rule()
    def intrude(self):
        """Another window of the same name wants to drive, asks for something, and leaves."""
        for _ in range(3):
            # What was sent before a cut is read first, and only then its end.
            self.agent_turns()
        desk, before = self.relay[2], self.relay[2]._driver
        self.intruders += 1
        asked = Submit(f"x{self.intruders}")
        with contextlib.closing(self.accept()) as stream:
            stream.send(encode(Hello("machine", session="another")) + encode(asked))
            self.agent_turns()
            assert before in (None, desk._driver), "another one has taken the wheel"
        self.agent_turns()

    @precondition(lambda self: self.main.ends and len(self.watchers) < 2)
    @rule(data=st.data())
    def watch(self, data):
        """Somebody looks at a run from its start, whether it has ended or not."""
        request = data.draw(st.sampled_from(sorted(self.main.ends)))
        if request not in self.watchers:
            self._watch(request)

    def _watch(self, request):
        self.watchers[request] = End(self, Dialogue("watcher", watched=request))
        self.watchers[request].open(Replay(request))

    @rule(rounds=st.integers(1, 4), size=st.sampled_from([60, 300, 100_000]))
    def go_on(self, rounds, size):
        """Everybody in turn, as it mostly is."""
        ends = [self.main, *self.watchers.values()]
        for _ in range(rounds):
            for end in ends:
                if end.stream is None and end.dialogue.is_waiting:
                    end.connect()
                if end.stream is not None:
                    end.send(1 << 20)
            self.agent_turns()
            if self.processes.worker is not None:
                self.processes.worker.turn()
            self.agent_turns()
            for end in ends:
                if end.stream is not None:
                    end.hear(size)

    # What always holds

    @invariant()
    def no_request_is_executed_twice(self):
        assert all(count == 1 for count in self.processes.executed.values())

    @invariant()
    def no_request_ends_twice(self):
        ends = [self.main, *self.watchers.values()]
        assert all(count == 1 for end in ends for count in end.ends.values())

    @invariant()
    def little_waits_for_a_client(self):
        for client in self.clients:
            assert client.channel.pending_bytes < MOST_QUEUED
            assert client._said_bytes <= MOST_SAID

    def teardown(self):
        """Left alone it comes to its end: each request ends once, and all was heard."""
        try:
            self._come_to_an_end()
            for request in sorted(self.main.ends.keys() - self.watchers.keys())[:2]:
                self._watch(request)
            self._come_to_an_end()
            assert dict(self.main.ends) == dict.fromkeys(self.kinds, 1)
            self._compare()
        finally:
            self._close()

    def _come_to_an_end(self):
        ends = [self.main, *self.watchers.values()]
        for request, kind in self.kinds.items():
            if kind == "endless":
                self.main.cancel(request)
        for _ in range(400):
            self.go_on(1, 1 << 20)
            if not any(end.dialogue.open_requests() or end.pending for end in ends):
                return
        raise AssertionError("a request never ends")

    def _compare(self):
        """What was heard is what was written, each once; of a run that is watched all of it."""
        written = {event.seq: event for event in Journal(self.directory.journal).read()}
        heard = {event.seq: event for event in self.main.heard}
        assert all(written.get(seq, event) == event for seq, event in heard.items())
        if self.main.base is not None:
            start, log = self.main.base.out, self.directory.out.read_bytes()
            assert self.main.output == log[start : start + len(self.main.output)]
        for request, end in self.watchers.items():
            numbers = [event.seq for event in end.heard]
            assert numbers == sorted(set(numbers))
            if end.heard and end.heard[-1].kind in _ENDS:
                known = {**heard, **written}.items()
                own = {seq for seq, event in known if event.request == request}
                assert {seq for seq in own if seq <= numbers[-1]} <= set(numbers)

    def _close(self):
        self.patch.undo()
        self.processes.kill()
        for each in self.processes.sockets:
            each.close()
        for client in self.clients:
            client.close()
        for end in [self.main, *self.watchers.values()]:
            end.close()
        record, charge, _ = self.relay
        if charge.control is not None:
            charge.control.close()
        record.close()
        charge.uploads.close()
        shutil.rmtree(self.folder)
