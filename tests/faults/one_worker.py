"""A worker without a process: a list of what it does, and the generation that starts it."""

from __future__ import annotations

import collections
import contextlib
import os
import socket

from rpnb.agent.generation import Generation, State
from rpnb.agent.journal import Journal
from rpnb.protocol.frames import FrameReader
from rpnb.protocol.messages import Cancel, Submit, decode

# More than may be queued for a client.
_LOUD = 600_000
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
