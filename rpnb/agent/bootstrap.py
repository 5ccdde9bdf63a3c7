"""The `start` verb: a directory, an overlay, settings, and a relay that outlives the login."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, NoReturn

from ..errors import AgentError, CannotPrepare, NoPython
from .directory import RunDirectory, Settings, check_room, root, worker_path

Report = Callable[[str], None]

# A relay listens after 0.2 s; a slow disk or a busy machine takes longer.
_START_TIMEOUT = 20.0
_POLL = 0.005
# What a worker writes before its first job, with room to spare.
_ROOM = 1 << 18
# Names the login session, where the process belongs to one.
CGROUP = Path("/proc/self/cgroup")
_MOST_DESCRIPTORS = 256
_THREAT = (
    "this machine ends what a login leaves behind (logind's KillUserProcesses), and its user "
    "has no systemd to ask for a scope: the worker ends with the last connection of this user"
)


@dataclass(frozen=True)
class Options:
    """What `start` was asked for; None leaves it as it is, or to the default."""

    python: str | None = None
    gpu: str | None = None
    sdk: str | None = None
    # The worker is not ended for being unused, until it is stopped.
    keep: bool = False


def start(worker: str, options: Options, *, agent: Path, on_progress: Report) -> dict[str, Any]:
    """Return {"socket", "worker", "root", "sdk", "python"} of a relay that listens.

    Idempotent: a relay that runs is used. Other options than it was started
    with hold from the next worker on, and the progress says so.

    Raises:
        NoSpace: no writable folder.
        NoPython: `options.python` names none.
        CannotPrepare: the overlay could not be made, or the relay did not start.
        AgentError: the worker is alive and of another version of rpnb.
    """
    home = root()
    directory = RunDirectory(worker_path(home, worker))
    if directory.is_foreign():
        _make_way(directory, on_progress)
    known = _known(directory)
    settings = known
    # A worker that runs is found again whatever its disk is like.
    is_held = directory.is_relay_alive() or directory.is_worker_alive()
    if known is None or not _fits(known, options) or not is_held:
        check_room(home, _ROOM)
        directory.create()
        settings = _prepare(known, options, home, on_progress)
        directory.write_settings(settings)
        if settings != known and directory.is_worker_alive():
            on_progress("the worker that runs keeps its Python and GPU until it is restarted")
    assert settings is not None
    if options.keep:
        directory.keep.touch(mode=0o600)
    if not listens(directory.socket):
        _start_relay(directory, agent, on_progress)
    return {
        "socket": os.fspath(directory.socket),
        "worker": worker,
        "root": os.fspath(home),
        "sdk": settings.sdk,
        "python": settings.python,
    }


def listens(path: Path) -> bool:
    """Tell whether a relay accepts connections on the socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
    return True


def detach(command: list[str], log: Path) -> None:
    """Run a command that outlives this process and its login; returns at once.

    Double fork, a session of its own, and no descriptor of ours: an `exec`
    over SSH ends only when nobody holds its pipes.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _run_detached(command, log)
    os.waitpid(pid, 0)


def scope(on_progress: Report) -> list[str]:
    """Return the command that saves a process from logind, [] where nothing threatens it.

    With KillUserProcesses logind ends what a login left behind; a scope of the
    user's own service manager is spared while the user lingers. Where none can be
    had, that is said.
    """
    try:
        is_login = "session-" in CGROUP.read_text()
    except OSError:
        is_login = False
    asked = ["loginctl", "show-session", "--property=KillUserProcesses", "--value"]
    if not is_login or _output(asked) != "yes":
        return []
    _output(["loginctl", "enable-linger"])
    command = ["systemd-run", "--user", "--scope", "--quiet", "--collect"]
    if _output([*command, "echo", "spared"]) == "spared":
        return command
    on_progress(_THREAT)
    return []


def _make_way(directory: RunDirectory, on_progress: Report) -> None:
    """Put aside what another version of rpnb left; leave a worker of its that is alive."""
    name = directory.worker
    if directory.is_alive():
        raise AgentError(
            f"the worker {name} was started by another version of rpnb, whose agent speaks "
            f"another protocol. It runs on, and so does its job. `rpnb stop {name}` ends it, "
            "another --name starts a worker beside it, and the version that started it can still "
            "attach to it."
        )
    aside = directory.path.with_name(f"{name}.{time.strftime('%Y%m%d-%H%M%S')}")
    directory.path.rename(aside)
    on_progress(f"what another version of rpnb had left of this worker lies in {aside}")


def _known(directory: RunDirectory) -> Settings | None:
    try:
        return directory.read_settings()
    except (OSError, ValueError, TypeError):
        return None


def _fits(known: Settings, options: Options) -> bool:
    gpu = options.gpu is None or known.env.get("CUDA_VISIBLE_DEVICES") == options.gpu
    sdk = options.sdk is None or known.sdk == options.sdk
    python = options.python is None or known.python == shutil.which(options.python)
    return gpu and sdk and python


def _prepare(known: Settings | None, options: Options, home: Path, on_progress: Report) -> Settings:
    from .overlay import prepare

    python = options.python or (known.python if known is not None else sys.executable)
    found = shutil.which(python)
    if found is None:
        raise NoPython(f"there is no Python {python} here; name another one with --python PATH.")
    env = dict(known.env) if known is not None else {}
    if options.gpu is not None:
        # By the numbers that nvidia-smi shows, not by speed.
        env.update(CUDA_VISIBLE_DEVICES=options.gpu, CUDA_DEVICE_ORDER="PCI_BUS_ID")
    overlay = prepare(found, home, sdk=options.sdk, on_progress=on_progress)
    return Settings(found, list(overlay.path), list(overlay.shadows), env, overlay.sdk)


def _start_relay(directory: RunDirectory, agent: Path, on_progress: Report) -> None:
    """Start a relay and wait until it listens; of two that race one ends by itself."""
    command = [sys.executable, "-I", str(agent), "relay", str(directory.path)]
    detach([*scope(on_progress), *command], directory.relay_log)
    deadline = time.monotonic() + _START_TIMEOUT
    while not listens(directory.socket):
        if time.monotonic() > deadline:
            raise CannotPrepare(_silence(directory))
        time.sleep(_POLL)


def _silence(directory: RunDirectory) -> str:
    if directory.is_relay_alive():
        return (
            f"another agent holds {directory.relay_lock}, and does not listen here: it may be "
            f"of another machine with the same volume. Stop {directory.worker} there, or choose "
            "another --name, or set RPNB_HOME here to a folder of this machine's own."
        )
    last = directory.relay_log.read_bytes()[-2000:].decode("utf-8", "replace").strip()
    said = last.splitlines()[-1] if last else "it wrote nothing"
    return (
        f"the agent of {directory.worker} did not listen within {_START_TIMEOUT:g} s ({said}); "
        f"its log is {directory.relay_log}."
    )


def _run_detached(command: list[str], log: Path) -> NoReturn:
    # Nothing of the caller's may run in here, whatever goes wrong.
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open(os.devnull, os.O_RDONLY)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for source, target in ((null, 0), (file, 1), (file, 2)):
            os.dup2(source, target)
        os.closerange(3, _MOST_DESCRIPTORS)
        os.chdir("/")
        os.execvp(command[0], command)
    finally:
        os._exit(127)


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
