"""Programs run in real processes: fresh ones, and warm ones that go from program to program.

A `Stage` is a process that has imported what every run needs and then only forks: a
fresh run costs some milliseconds, and what a program does to its process ends with
it. A warm process is a worker's: `agent.worker_steps.Steps` in `agent.worker`'s
`__main__`, asked for one version after the other. Its restarts are new processes.

As a program (`python -m tests.planner.stage DESCRIPTOR`), this module is that process.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tests.planner.version import Version

if TYPE_CHECKING:
    from typing import Self

_ROOT = Path(__file__).parent.parent.parent
_SHM = Path("/dev/shm")
# As little as possible: all of it is compared.
_ENVIRON = {
    **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
}
# A warm worker that does not answer for so long hangs, which a fresh run did not.
_PATIENCE = 600.0
_ENDED = "the process ended"


@dataclass
class Outcome:
    """What a version left: an error, or the state of the process and its jobs' answers."""

    error: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    answers: list[Any] = field(default_factory=list)
    # The parts of the process outside the namespace that jobs changed.
    moved: frozenset[str] = frozenset()
    # What it cost: statements run, models loaded.
    ran: list[str] = field(default_factory=list)
    loads: list[Any] = field(default_factory=list)
    # What its jobs loaded when they asked for it.
    lazy: list[Any] = field(default_factory=list)
    restarts: int = 0
    # Why the first of the plan's steps ran, and why the worker began anew.
    reasons: list[str] = field(default_factory=list)
    # A worker that has to begin anew says nothing else.
    restart: str = ""


class Stage:
    """A process that forks fresh and warm runs; `without` takes a rule of the planner out.

    Libraries of `preload` are there from the start; imported anew by each process they
    would take most of the time.
    """

    def __init__(
        self,
        *,
        without: str = "",
        strategy: str = "",
        standins: bool = False,
        preload: tuple[str, ...] = (),
    ) -> None:
        shm = _SHM if os.access(_SHM, os.W_OK) else None
        self.home = Path(tempfile.mkdtemp(prefix="rpnb-stage-", dir=shm))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        options = {"without": without, "strategy": strategy, "has_standins": standins}
        options["preload"] = ("modelkit", "torchlike", "numpy.random", *preload)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.planner.stage", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=_ROOT,
            env=_ENVIRON,
        )
        theirs.close()
        self._socket = ours
        self._numbers = 0
        self._send(pickle.dumps((self.home, options)), ours)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and the warm ones with it."""
        self._socket.close()
        self._process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def fresh(self, version: Version, *, skip: bool = False) -> Outcome:
        """Run a version in a fresh process; with `skip`, leave out what raises.

        Then `ran` are the statements that did not raise.
        """
        for _ in range(2):
            with self._actor("skip" if skip else "fresh") as connection:
                connection.send(version)
                found = _received(connection)
            if found.error != _ENDED:
                break
            # Once more: a program that ends its process does so again.
        return found

    def warm(self) -> Warm:
        """Return a worker that has run nothing yet."""
        return Warm(self)

    def _actor(self, sort: str) -> Connection:
        ours, theirs = socket.socketpair()
        self._numbers += 1
        # Names of equal length: portraits replace them.
        name = "cold" if sort != "warm" else f"w{self._numbers % 1000:03}"
        self._send(f"{sort} {name}".encode(), theirs)
        theirs.close()
        return Connection(ours.detach())

    def _send(self, data: bytes, passed: socket.socket) -> None:
        socket.send_fds(self._socket, [data], [passed.fileno()])


class Warm:
    """A worker that goes from version to version, in as many processes as it asks for."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._connection = stage._actor("warm")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def sync(self, version: Version) -> Outcome:
        """Bring the worker to a version, serve its jobs, and tell how things are then."""
        self._connection.send(version)
        found = _received(self._connection)
        if not found.restart:
            return found
        self._connection.close()
        self._connection = self._stage._actor("warm")
        self._connection.send(version)
        again = _received(self._connection)
        assert not again.restart, f"a fresh worker began anew: {again.restart}"
        again.restarts, again.reasons = 1, [found.restart, *again.reasons]
        return again


def _received(connection: Connection) -> Outcome:
    if not connection.poll(_PATIENCE):
        return Outcome(error="no answer")
    try:
        found: Outcome = connection.recv()
    except (EOFError, ConnectionError):
        return Outcome(error=_ENDED)
    return found


def _act(connection: Connection, home: Path, sort: str) -> NoReturn:
    """Be an actor, and end with all that the programs have forked."""
    from tests.planner import actors

    os.setpgid(0, 0)
    try:
        actors.serve(connection, home, sort)
    finally:
        os.killpg(0, signal.SIGKILL)


def main(descriptor: int) -> None:
    """Fork what the other side asks for, until it hangs up."""
    # What each fork would otherwise import anew.
    import gc

    from tests.planner import actors

    control = socket.socket(fileno=descriptor)
    data, (passed,), *_ = socket.recv_fds(control, 1 << 16, 1)
    os.close(passed)
    home, options = pickle.loads(data)
    actors.prepare(**options)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    while True:
        data, descriptors, *_ = socket.recv_fds(control, 1 << 16, 1)
        if not data:
            return
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            sort, name = data.decode().split()
            _act(Connection(descriptors[0]), home / name, sort)
        os.close(descriptors[0])


if __name__ == "__main__":
    main(int(sys.argv[1]))
