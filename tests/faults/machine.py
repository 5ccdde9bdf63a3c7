"""Client and agent as one state machine: sends, cuts, silences, kills, trims, watchers.

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
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rpnb.agent import charge as charges
from rpnb.agent import clients, journal
from rpnb.agent.clients import Client
from rpnb.agent.desk import Desk
from rpnb.agent.directory import RunDirectory
from rpnb.agent.idle import Idle
from rpnb.agent.journal import Journal, path_of, segments
from rpnb.agent.record import Record
from rpnb.protocol.messages import Hello, Replay, Submit, encode
from rpnb.session.dialogue import Dialogue
from tests.faults.one_end import ENDS, End
from tests.faults.one_worker import Processes, generation_of

# What may wait in this process for one client: what is queued, and one piece above it.
MOST_QUEUED = 1 << 19
# Answers that may wait; and so little that a segment of the journal holds few events.
MOST_SAID, SEGMENT_BYTES = 8192, 300
_SOCKET_BYTES = 1 << 14


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
        # Clients that were killed, and what of theirs was still open then.
        self.past, self.orphans = [], []
        self.kinds, self.watchers, self.intruders = {}, {}, 0
        self.clients, self.relay = [], None
        self.begin_relay()

    # The agent

    def begin_relay(self):
        record = Record(self.directory)
        charge = charges.Charge(self.directory, record, self.folder / "agent")
        desk = Desk(self.directory, record, charge, Idle(self.directory, 3600.0), self._drop)
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
        forgotten = record.known.forgotten
        self.begin_relay()
        found = self.relay[0].known
        assert found.forgotten.items() >= forgotten.items(), "a run may be executed again"
        assert not found.traces.keys() & forgotten.keys(), "half a run is shown"

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

    @precondition(lambda self: self.main.dialogue.open_requests())
    @rule(rounds=st.integers(0, 2))
    def restart_client(self, rounds):
        """The kernel is killed: what it asked for goes on, and the next one knows nothing of it."""
        if rounds:
            self.go_on(rounds, 60)
        self.main.close()
        self.past.append(self.main)
        self.orphans += self.main.dialogue.open_requests()
        self.main = End(self, Dialogue("machine"))

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
        ends = [*self.past, self.main, *self.watchers.values()]
        assert all(count == 1 for end in ends for count in end.ends.values())

    @invariant()
    def little_waits_for_a_client(self):
        for client in self.clients:
            assert client.channel.pending_bytes < MOST_QUEUED
            assert client._said_bytes <= MOST_SAID

    def teardown(self):
        """Left alone it comes to its end: each request ends once, and all was heard."""
        try:
            for request in self.orphans:
                self._watch(request)
            self._come_to_an_end()
            for request in sorted(self.main.ends.keys() - self.watchers.keys())[:2]:
                self._watch(request)
            self._come_to_an_end()
            ends = sum((end.ends for end in [*self.past, self.main]), collections.Counter())
            for request in self.orphans:
                ends += self.watchers[request].ends
                # Nobody knows what the agent never got; but what ran is known.
                is_unknown = self.watchers[request].refused.get(request) == "unknown"
                assert not (is_unknown and self.processes.executed[request])
            assert dict(ends) == dict.fromkeys(self.kinds, 1)
            self._compare()
        finally:
            self._close()

    def _come_to_an_end(self):
        ends = [self.main, *self.watchers.values()]
        for request, kind in self.kinds.items():
            if kind == "endless":
                self.main.cancel(request, is_own=request not in self.orphans)
        for _ in range(400):
            self.go_on(1, 1 << 20)
            for request in self.orphans:
                if self.watchers[request].ends[request]:
                    self.main.dialogue.drop(request)
            if not any(end.dialogue.open_requests() or end.pending for end in ends):
                return
        raise AssertionError("a request never ends")

    def _compare(self):
        """What was heard is what was written, each once; of a run that is watched all of it."""
        with contextlib.closing(Journal(self.directory.journal)) as kept:
            written = {event.seq: event for event in kept.read()}
        heard, log = {}, self.directory.out.read_bytes()
        for end in [*self.past, self.main]:
            assert all(heard.get(event.seq, event) == event for event in end.heard)
            heard.update({event.seq: event for event in end.heard})
            start = end.base.out if end.base is not None else 0
            assert end.output == log[start : start + len(end.output)]
        assert all(written.get(seq, event) == event for seq, event in heard.items())
        for request, end in self.watchers.items():
            numbers = [event.seq for event in end.heard]
            assert numbers == sorted(set(numbers))
            if end.heard and end.heard[-1].kind in ENDS:
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
