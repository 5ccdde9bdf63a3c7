"""What breaks a session, on purpose: cut streams and killed processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path

from rpnb.agent.directory import RunDirectory
from rpnb.session.pulse import TICK

WORKER = "faults"
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "go on": signal.SIGCONT}


def until(condition, what, within=60.0):
    """Return the condition's first true value; fail when it stays false."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {within} s for {what}"
        time.sleep(0.005)
    return value


class Processes:
    """The processes of a worker on its target, which is this machine; `sshd` leads there."""

    def __init__(self, home, sshd=None):
        self.directory, self._sshd = RunDirectory(Path(home) / "run" / WORKER), sshd

    def pid(self, name):
        """Return a process's number, once it is there."""
        return until(lambda: self._living(name), name)

    def _living(self, name):
        directory = self.directory
        try:
            if name == "relay":
                pid = int(directory.relay_lock.read_bytes())
            else:
                pids = json.loads(directory.pids.read_bytes())
                assert pids["generation"] == directory.read_generation()
                pid = int(pids[name])
            # A zombie has none, and another process that has got its number has another one.
            assert os.fsencode(directory.path) in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (AssertionError, OSError, ValueError):
            return None
        return pid

    def signal(self, name, what):
        os.kill(self.pid(name), SIGNALS[what])

    def kill(self, *names):
        """Kill them all at one moment, as far as that can be, and wait for their ends."""
        pids = []
        for name in names:
            pids += self._sshd.connections() if name == "sshd" else [self.pid(name)]
        for pid in pids:
            # One may end with another: a command with its connection.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not any(is_alive(pid) for pid in pids), f"the end of {names}")


def is_alive(pid):
    """Tell whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def cpu_seconds(pid):
    """Return the processor time that a process's threads have used, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


class Lateness:
    """How many seconds too late, all together, a thread here went on that waits as a link's does.

    A client's clocks are late by that: so much more than documented may a test allow.
    """

    def __enter__(self):
        self.seconds, self._is_over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._is_over.set()
        self._thread.join()

    def _count(self):
        began, is_over = time.monotonic(), False
        while not is_over:
            is_over = self._is_over.wait(TICK)
            before, began = began, time.monotonic()
            self.seconds += max(0.0, began - before - TICK)


def open_files():
    """Return how many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))


class CutStream:
    """A stream that ends after so many bytes received, or sent; the last may be half a frame."""

    def __init__(self, stream, *, received=None, sent=None):
        self._stream, self._received, self._sent = stream, received, sent

    def send(self, data):
        if self._sent is not None:
            data = data[: self._sent]
            self._sent -= len(data)
        self._stream.send(data)
        if self._sent == 0:
            self.close()

    def receive(self):
        data = self._stream.receive()
        if self._received is not None:
            data = data[: self._received]
            self._received -= len(data)
            if self._received == 0:
                self.close()
        return data

    def unacknowledged(self):
        return self._stream.unacknowledged()

    def close(self):
        self._stream.close()


def cut_after(session, *cuts, direction="received"):
    """Let the session's next streams end after so many bytes each, then leave it alone."""
    dial, left = session._link._dial, list(cuts)

    def cutting():
        stream = dial()
        return CutStream(stream, **{direction: left.pop(0)}) if left else stream

    session._link._dial = cutting
    hang_up(session)


def hang_up(session):
    """Cut the link; it is mended at the next request, or at once while one is open."""
    line = session._link._line
    if line is not None:
        line.close()
        until(lambda: session._link._line is not line, "the reader to notice")


def heard_by(session):
    """Return the list that every event is added to once the session has taken it."""
    heard, dialogue = [], session._link._dialogue
    plain = dialogue._hear_event

    def hear(event, size):
        heard.append(event)
        plain(event, size)

    dialogue._hear_event = hear
    return heard
