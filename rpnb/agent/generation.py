"""One worker process after the other, as the relay sees and steers them.

The worker's states are a table: an event that its state does not name is a
fault of the relay's and says so.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from enum import Enum
from pathlib import Path
from typing import Any

from ..errors import AgentError
from . import gpu
from .directory import RunDirectory, Settings, hold, read_json, write_file
from .processes import boot, started


class State(Enum):
    """What Pong says of the worker."""

    GONE = "gone"
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"


TRANSITIONS = {
    State.GONE: {"start": State.STARTING},
    State.STARTING: {"ready": State.IDLE, "die": State.GONE},
    State.IDLE: {"take": State.BUSY, "die": State.GONE},
    State.BUSY: {"end": State.IDLE, "die": State.GONE},
}

# RunPod's own variables (an API key among them) would let user code act on the pod.
_PRIVATE = "RUNPOD_"
# How long a dead worker's keeper may take to write what happened.
_EXIT_TIMEOUT = 10.0


class Generation:
    """The worker of now: its state, its number, its processes."""

    def __init__(self, directory: RunDirectory, agent: Path) -> None:
        self._directory, self._agent = directory, agent
        self._keeper: subprocess.Popen[bytes] | None = None
        self._lost_at: float | None = None
        self.number = directory.read_generation()
        self.state = State.STARTING if self._is_held() else State.GONE

    def move(self, event: str) -> None:
        """Go where the table says.

        Raises:
            AgentError: the state does not know the event.
        """
        following = TRANSITIONS[self.state].get(event)
        if following is None:
            raise AgentError(f"expected no {event!r} of a worker that is {self.state.value}")
        self.state = following

    def start(self) -> None:
        """Start the next worker under a keeper; returns at once.

        Raises:
            NoSpace: the disk is full; nothing was started.
        """
        settings = self._directory.read_settings()
        write_file(self._directory.generation, str(self.number + 1).encode())
        self.move("start")
        self.number += 1
        self._lost_at = None
        # The last worker's: nobody must connect to it and wait.
        self._directory.control.unlink(missing_ok=True)
        # -u, as production's images have it: what is printed is in the log at once.
        command = [settings.python, "-u", str(self._agent), "keeper", str(self._directory.path)]
        # From now on there is a keeper: a relay that is killed leaves it to the next one.
        held = hold(self._directory.keeper_lock)
        assert held is not None
        try:
            with self._directory.relay_log.open("ab") as log:
                self._keeper = subprocess.Popen(
                    [*command, str(self.number), str(held)],
                    pass_fds=[held],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment(settings),
                    start_new_session=True,
                )
        except OSError as error:
            # A Python that was removed meanwhile: dead at birth, with these last words.
            self._keeper = None
            with self._directory.err.open("a") as err:
                err.write(f"cannot start {settings.python}: {error.strerror}\n")
        finally:
            os.close(held)

    def connect(self) -> socket.socket | None:
        """Return a connection to the worker's control socket, None where there is none yet."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(os.fspath(self._directory.control))
        except OSError:
            connection.close()
            return None
        return connection

    def lose(self) -> None:
        """Say that the worker hung up: it is dying, or already dead."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()

    @property
    def is_lost(self) -> bool:
        """Whether the worker hung up and its end is still to be seen."""
        return self._lost_at is not None

    def is_dead(self) -> bool:
        """Tell whether worker and keeper are gone, and what they held with them."""
        if self._keeper is not None and self._keeper.poll() is None:
            return False
        if not self._is_held():
            return True
        # The keeper may have been killed, and what the worker forked may hold its lock.
        if self._lost_at is not None and time.monotonic() - self._lost_at > _EXIT_TIMEOUT:
            self.kill()
        return False

    def kill(self, number: int = signal.SIGKILL) -> bool:
        """Send a signal to the worker's whole process group, if it is this worker's.

        Tell whether it was sent.
        """
        pids = read_json(self._directory.pids)
        if pids is None or pids["generation"] != self.number or not self._is_held():
            return False
        # Its number may be another's by now; while it has children left it cannot be.
        if started(pids["worker"]) not in (None, pids.get("started")):
            return False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pids["worker"], number)
            return True
        return False

    def holds_gpu(self) -> bool:
        """Tell whether the worker, or what it started, has memory of a GPU."""
        pids = read_json(self._directory.pids)
        if pids is None or pids["generation"] != self.number or not self._is_held():
            return False
        return gpu.is_held_by(pids["worker"])

    def exit(self) -> dict[str, Any]:
        """Return the keeper's record of the end: "code", "signal", "peak_bytes", … or None each.

        "rebooted" tells of one that nobody saw: whether the machine was restarted since.
        """
        found = read_json(self._directory.exit) or {}
        if found.get("generation") != self.number:
            found = {}
        pids = read_json(self._directory.pids) or {}
        keys = ("code", "signal", "peak_bytes", "pid", "since", "oom_kills")
        return {
            "generation": self.number,
            **{key: found.get(key) for key in keys},
            "rebooted": not found and pids.get("boot") != boot(),
        }

    def _is_held(self) -> bool:
        return self._directory.is_worker_alive() or self._directory.is_keeper_alive()


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables that a worker is born with."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
    return {**kept, **settings.env}
