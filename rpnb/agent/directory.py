"""The run directory: where each file of one worker lies, and who is alive.

Liveness is a lock that a process holds (the kernel drops it at death, however
that came), never a pid alone: pids are used again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import socket
import stat
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Iterator

from ..errors import CannotPrepare, NoSpace, TargetError
from ..protocol.messages import VERSION

# sun_path has 108 bytes on Linux, 104 on a Mac that connects, the final NUL included.
MAX_SOCKET_PATH = 100
# What the system says when there is no room, or no leave to write.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}


@dataclass(frozen=True)
class Settings:
    """How a worker is started: its Python, what the overlay adds, its variables.

    `path` goes at the end of the worker's `sys.path`, `shadows` to its front.
    """

    python: str
    path: list[str] = field(default_factory=list)
    shadows: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    sdk: str | None = None


class RunDirectory:
    """The files of one worker, `root/run/<worker>/`; every property is a path."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self.worker = self.path.name
        self.root = self.path.parent.parent
        # The logs: the worker's descriptors 1 and 2 are these files.
        self.out = self.path / "out"
        self.err = self.path / "err"
        self.journal = self.path / "journal"
        # What a relay knows of the journal, so that the next one need not read it all.
        self.index = self.path / "index"
        # The program as `handler.py`, and what lies beside it.
        self.app = self.path / "app"
        self.program = self.path / "program"
        self.exit = self.path / "exit"
        # Where Python was when compiled code crashed, in faulthandler's words.
        self.crash = self.path / "crash"
        # Held by the worker, the keeper and the relay while they are alive.
        self.lock = self.path / "lock"
        self.keeper_lock = self.path / "keeper.lock"
        self.relay_lock = self.path / "relay.lock"
        self.settings = self.path / "settings"
        # There where a person asked that the worker is not ended for being unused.
        self.keep = self.path / "keep"
        self.generation = self.path / "generation"
        # The version of the protocol, and so of the journal, in which all this is written.
        self.version = self.path / "version"
        self.pids = self.path / "pids"
        self.relay_log = self.path / "relay.log"
        self.socket_path = self.path / "socket.path"
        # Blobs by digest, shared by all workers.
        self.values = self.root / "values"

    @property
    def socket(self) -> Path:
        """The unix socket on which the relay serves clients."""
        return self._sockets() / "socket"

    @property
    def control(self) -> Path:
        """The unix socket on which the worker serves the relay."""
        return self._sockets() / "control"

    def create(self) -> None:
        """Make the directory and what every process expects in it; repeatable.

        Raises:
            NoSpace: the disk is full or read-only.
        """
        with writing(self.path):
            # Each by itself: `parents` makes the upper ones for everybody.
            for folder in (self.path.parent, self.path, self.app, self.values):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            for log in (self.out, self.err):
                log.touch(mode=0o600)
            if not self.version.exists():
                write_file(self.version, str(VERSION).encode())
            if not self.socket_path.exists() and not _can_bind(self.path):
                write_file(self.socket_path, str(_short_folder(self.path)).encode())

    def is_worker_alive(self) -> bool:
        """Tell whether a worker process runs in this directory."""
        return is_locked(self.lock)

    def is_keeper_alive(self) -> bool:
        """Tell whether a keeper watches over a worker, which may still be starting."""
        return is_locked(self.keeper_lock)

    def is_relay_alive(self) -> bool:
        """Tell whether a relay serves this directory."""
        return is_locked(self.relay_lock)

    def read_settings(self) -> Settings:
        """Return the settings that `start` wrote."""
        return Settings(**json.loads(self.settings.read_bytes()))

    def write_settings(self, settings: Settings) -> None:
        """Store the settings; they hold from the next worker on."""
        write_file(self.settings, json.dumps(asdict(settings)).encode())

    def read_program(self) -> dict[str, Any] | None:
        """Return the program that was synced last, in wire form."""
        return read_json(self.program)

    def write_program(self, program: dict[str, Any]) -> None:
        """Store the program that was synced last."""
        write_file(self.program, json.dumps(program).encode())

    def is_alive(self) -> bool:
        """Tell whether any process of this worker's runs."""
        return self.is_relay_alive() or self.is_worker_alive() or self.is_keeper_alive()

    def is_foreign(self) -> bool:
        """Tell whether another version of rpnb wrote it: what lies here is not to be read."""
        try:
            return self.version.read_bytes() != str(VERSION).encode()
        except OSError:
            return self.journal.exists()

    def read_generation(self) -> int:
        """Return the number of the worker that was started last, 0 before the first."""
        try:
            return int(self.generation.read_bytes())
        except (OSError, ValueError):
            return 0

    def _sockets(self) -> Path:
        try:
            return Path(os.fsdecode(self.socket_path.read_bytes()))
        except OSError:
            return self.path


def root() -> Path:
    """Return rpnb's directory on this machine, made where it is not there.

    `$RPNB_HOME`, else under `/workspace` where that is a mount (it outlives a
    stopped pod), else `~/.cache/rpnb`.

    Raises:
        NoSpace: it cannot be made: a disk that is full or read-only, no writable home.
    """
    home = os.environ.get("RPNB_HOME")
    if home:
        path = Path(home).expanduser().absolute()
    else:
        cache = Path("/workspace") if os.path.ismount("/workspace") else _home()
        path = cache / ".cache" / "rpnb"
    with writing(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise NoSpace("this user has no home here: set RPNB_HOME to a writable folder") from None


def check_room(folder: Path, size: int) -> None:
    """Find that so many bytes can be written.

    Raises:
        NoSpace: they cannot.
    """
    # A full disk still makes empty files: only bytes tell.
    with writing(folder), tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(bytes(size))


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's "no": full, read-only or forbidden, into `NoSpace`."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise NoSpace(
            f"cannot write to {path}: {error.strerror}. "
            "Free some space there, or set RPNB_HOME on the target to a writable folder."
        ) from error


def write_file(path: Path, data: bytes) -> None:
    """Replace the file at once: a reader sees the old bytes or the new ones."""
    with writing(path):
        fresh = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
        try:
            fresh.touch(mode=0o600)
            fresh.write_bytes(data)
            fresh.replace(path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file, None where there is none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def hold(path: Path, *, wait: bool = True) -> int | None:
    """Return a descriptor that holds the lock until it is closed or the process ends.

    Children made by `exec` do not inherit it. With `wait` False: None where
    another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if wait:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor
    # `is_locked` shares the lock for some microseconds: that is no holder.
    for pause in (0.001, 0.005, 0.02, 0):
        if _flock(descriptor, fcntl.LOCK_EX):
            return descriptor
        time.sleep(pause)
    os.close(descriptor)
    return None


def is_locked(path: Path) -> bool:
    """Tell whether a living process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def worker_path(home: Path, worker: str) -> Path:
    """Return where the worker of this name lives.

    Raises:
        CannotPrepare: the name cannot be a folder's name.
    """
    if not worker or worker.startswith(".") or "/" in worker or "\0" in worker or len(worker) > 200:
        raise CannotPrepare(f"a worker's name must be a plain file name, and {worker!r} is not")
    return home / "run" / worker


def _can_bind(folder: Path) -> bool:
    # Too long a path, or a network mount that has no sockets.
    if len(os.fsencode(folder / "control")) > MAX_SOCKET_PATH:
        return False
    # Of this process alone: two clients that start at once must come to one answer.
    path = folder / f"p{os.getpid():x}"
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(os.fspath(path))
        except OSError:
            return False
    path.unlink()
    return True


def _short_folder(path: Path) -> Path:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    folder = Path(f"/tmp/rpnb-{os.getuid()}-{name}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    # Anybody can make folders in /tmp: one that is not ours alone is a trap.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise TargetError(
            f"{folder} is not a private folder of this user: remove it and start again"
        )
    return folder
