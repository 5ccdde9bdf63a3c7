"""Client and agent as one state machine: every interleaving of sends, cuts, kills and restarts.

No process and no clock: the client's dialogue, the agent's desk, charge, record and journal
are the real ones; sockets are pairs in this process, and a worker is a list of what it does.
"""

from __future__ import annotations

import collections
import contextlib
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rpnb.agent import charge as charges
from rpnb.agent.clients import Client
from rpnb.agent.desk import Desk
from rpnb.agent.directory import RunDirectory
from rpnb.agent.generation import Generation, State
from rpnb.agent.journal import Journal
from rpnb.agent.record import Record
from rpnb.protocol.connection import CLIENT, Connection
from rpnb.protocol.frames import FrameReader
from rpnb.protocol.messages import Submit, Welcome, decode, encode
from rpnb.session.dialogue import Dialogue, OpenRequest

_LINES = b"a line of output\n"


class Worker:
    """One process in the worker's life: executes what it is given, an event at a time."""

    def __init__(self, directory, number, processes):
        self._directory, self._executed = directory, processes.executed
        self._sockets = processes.sockets
        self._journal = Journal(directory.journal)
        self._control, self._frames = None, FrameReader()
        self._taken, self._todo = set(), collections.deque()
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
        if self._todo:
            request, kind, body = self._todo.popleft()
            if kind == "accepted":
                self._executed[request] += 1
            with self._directory.out.open("ab") as out:
                out.write(_LINES)
            self._emit(request, kind, body)

    def die(self):
        self._hang_up()
        self._journal.close()

    def _hear(self):
        with contextlib.suppress(BlockingIOError, AttributeError, OSError):
            for frame in self._frames.receive_data(self._control.recv(1 << 16)):
                message = decode(frame)
                # As the real one: a relay that was killed may have handed it over already.
                if isinstance(message, Submit) and message.request not in self._taken:
                    self._taken.add(message.request)
                    steps = [("accepted", {}), ("job", {"job": {"id": "j"}}), ("done", {})]
                    self._todo += [(message.request, *step) for step in steps]

    def _emit(self, request, kind, body):
        out = self._directory.out.stat().st_size if self._directory.out.exists() else 0
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

        def kill(self, _number=9):
            processes.kill()

        def exit(self):
            keys = ("code", "peak_bytes", "pid", "since", "oom_kills")
            return {"generation": self.number, "signal": 9, **dict.fromkeys(keys)}

    return Stand


class Wire(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="rpnb-machine-"))
        self.directory = RunDirectory(self.folder / "run" / "w")
        self.directory.create()
        self.directory.out.touch()
        self.directory.err.touch()
        self.processes = Processes(self.directory)
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(charges, "Generation", generation_of(self.processes))
        self.dialogue = Dialogue("machine")
        self.runs, self.ends, self.heard, self.output = {}, collections.Counter(), [], b""
        self.stream, self.clients, self.relay = None, [], None
        self.pending = bytearray()
        self.base = None
        self._tap()
        self.begin_relay()

    def _tap(self):
        plain = self.dialogue._hear_event

        def hear(event, size):
            self.heard.append(event)
            if event.kind in ("done", "failed"):
                self.ends[event.request] += 1
            plain(event, size)

        self.dialogue._hear_event = hear

    # The agent

    def begin_relay(self):
        record = Record(self.directory)
        charge = charges.Charge(self.directory, record, self.folder / "agent")
        self.relay = record, charge, Desk(self.directory, record, charge, lambda: None, self._drop)

    def _drop(self, client):
        if client in self.clients:
            self.clients.remove(client)
            client.close()
        self.relay[2].leave(client)

    def _pump(self, client):
        try:
            client.pump()
        except OSError:
            self._drop(client)

    @rule()
    def kill_relay(self):
        for client in self.clients:
            client.close()
        self.clients.clear()
        record, charge, _ = self.relay
        if charge.control is not None:
            charge.control.close()
        record.close()
        self.begin_relay()

    @rule()
    def agent_turns(self):
        _, charge, desk = self.relay
        for client in list(self.clients):
            with contextlib.suppress(OSError):
                data = client.channel.receive()
                if data == b"":
                    self._drop(client)
                    continue
                for message in client.protocol.receive_data(data or b""):
                    desk.receive(client, message)
        if charge.control is not None:
            charge.hear()
        charge.step()
        for client in list(self.clients):
            self._pump(client)

    # The worker

    @precondition(lambda self: self.processes.worker is not None)
    @rule()
    def worker_turns(self):
        self.processes.worker.turn()

    @rule()
    def kill_worker(self):
        self.processes.kill()

    # The client

    @rule()
    def submit(self):
        request = f"r{len(self.runs)}"
        opened = OpenRequest(Submit(request))
        self.runs[request] = opened
        self.dialogue.add(request, opened)
        if self.stream is not None and self.connection.state.value == "attached":
            self.pending += encode(opened.message)

    @precondition(lambda self: self.stream is None)
    @rule()
    def connect(self):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.stream, self.connection = ours, Connection(CLIENT)
        self.clients.append(Client(theirs))
        self.pending = bytearray(encode(self.dialogue.hello()))

    @precondition(lambda self: self.stream is not None)
    @rule(size=st.sampled_from([1, 7, 60, 10_000]))
    def client_sends(self, size):
        with contextlib.suppress(OSError):
            del self.pending[: self.stream.send(self.pending[:size])]

    @precondition(lambda self: self.stream is not None)
    @rule(size=st.sampled_from([1, 7, 60, 400, 100_000]))
    def client_hears(self, size):
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
            if isinstance(message, Welcome):
                self.base = message.seq if self.base is None else self.base
                for again in self.dialogue.meet(message):
                    self.pending += encode(again)
            else:
                self.dialogue.hear(message)

    @precondition(lambda self: self.stream is not None)
    @rule()
    def cut(self):
        """At whatever byte either side has come to."""
        self.stream.close()
        self.stream = None

    @rule(rounds=st.integers(1, 4), size=st.sampled_from([60, 300, 100_000]))
    def go_on(self, rounds, size):
        """Everybody in turn, as it mostly is."""
        for _ in range(rounds):
            if self.stream is None:
                self.connect()
            self.client_sends(1 << 20)
            self.agent_turns()
            if self.processes.worker is not None:
                self.worker_turns()
            self.agent_turns()
            self.client_hears(size)

    # What always holds

    @invariant()
    def no_request_is_executed_twice(self):
        assert all(count == 1 for count in self.processes.executed.values())

    @invariant()
    def each_event_is_heard_once_and_in_order(self):
        if self.heard:
            first = self.base + 1
            assert [e.seq for e in self.heard] == list(range(first, first + len(self.heard)))

    @invariant()
    def little_waits_for_a_client(self):
        assert all(client.channel.pending_bytes < 1 << 19 for client in self.clients)

    def teardown(self):
        """Left alone it comes to its end: each request ends once, each event is the journal's."""
        try:
            for _ in range(300):
                self.go_on(1, 1 << 20)
                if not self.dialogue.open_requests() and not self.pending:
                    break
            assert not self.dialogue.open_requests()
            assert {request: self.ends[request] for request in self.runs} == dict.fromkeys(
                self.runs, 1
            )
            journal = [e for e in Journal(self.directory.journal).read() if e.seq > self.base]
            assert list(map(encode, self.heard)) == list(map(encode, journal[: len(self.heard)]))
        finally:
            self._close()

    def _close(self):
        self.patch.undo()
        self.processes.kill()
        for each in self.processes.sockets:
            each.close()
        for client in self.clients:
            client.close()
        if self.stream is not None:
            self.stream.close()
        self.relay[0].close()
        self.relay[1].uploads.close()
        shutil.rmtree(self.folder)


def test_whatever_is_cut_or_killed_each_request_runs_once_and_each_event_comes_once():
    from hypothesis.stateful import run_state_machine_as_test

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    options = settings(
        max_examples=80, stateful_step_count=30, deadline=None, suppress_health_check=checks
    )
    run_state_machine_as_test(Wire, settings=options)
