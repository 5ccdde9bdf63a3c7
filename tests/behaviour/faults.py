"""What breaks a session, on purpose: cut streams and killed processes."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from rpnb.agent.directory import RunDirectory

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "go on": signal.SIGCONT}


def until(condition, what, within=20.0):
    """Return the condition's first true value; fail when it stays false."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {within} s for {what}"
        time.sleep(0.005)
    return value


class Processes:
    """The processes of a worker on its target, which is this machine."""

    def __init__(self, home, worker="behaviour"):
        self.directory = RunDirectory(Path(home) / "run" / worker)

    def pid(self, name):
        if name == "relay":
            return int(self.directory.relay_lock.read_bytes())
        return int(json.loads(self.directory.pids.read_bytes())[name])

    def signal(self, name, what):
        os.kill(self.pid(name), SIGNALS[what])

    def kill(self, *names):
        """Kill them all at one moment, as far as that can be, and wait for their ends."""
        pids = [self.pid(name) for name in names]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(is_alive(pid) for pid in pids), f"the end of {names}")


def is_alive(pid):
    """Tell whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def cpu_seconds(pid):
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
