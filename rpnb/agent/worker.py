"""The worker: one process running the person's Python, as production's container would.

Its namespace is `__main__`, its file `app/handler.py`. The main thread runs one event
loop for ever between jobs; steps run while it stands still, as at module level in
production. A control thread hands over what the relay says and does nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import platform
import signal
import socket
import sys
import types
from pathlib import Path
from typing import Any, NoReturn

from ..protocol.messages import Cancel, Message, SetEnv, Submit
from . import gpu, runner_sdk, worker_installed, worker_output
from .directory import RunDirectory, Settings
from .exits import RESTART
from .keeping import Allowance
from .worker_cancel import Cancellation
from .worker_code import Executor
from .worker_control import Control
from .worker_events import Events
from .worker_failure import NeedsRestart
from .worker_request import Parts, Requests
from .worker_start import Hook, Starts
from .worker_steps import Steps


def main(directory: RunDirectory, generation: int, lock: int) -> NoReturn:
    """Be the worker of a run directory, and end the process with it.

    Descriptors 1 and 2 are the logs already, and `lock` holds the worker's lock until the
    very end: whoever finds it free may start another one. It ends where the program's
    process would end in production, or with RESTART when only a fresh one can go on.
    """
    # A crash in compiled code then says at which line of the person's it struck.
    crash = os.open(directory.crash, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    faulthandler.enable(crash, all_threads=False)
    # What the program forks would hold the lock, too, and outlive the worker.
    os.register_at_fork(after_in_child=lambda: _be_child(lock))
    allowance = Allowance.of(os.environ)
    module = _become_main(directory)
    _clean_environment(_settings(directory))
    code = _Worker(directory, generation, module.__dict__, allowance).serve()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    # Not sys.exit: threads that the program left behind would keep the process alive.
    os._exit(code)


class _Worker:
    def __init__(
        self,
        directory: RunDirectory,
        generation: int,
        namespace: dict[str, Any],
        allowance: Allowance,
    ) -> None:
        self._directory, self._generation = directory, generation
        # A relay that was killed may have handed over what the next one hands over again.
        self._taken: set[str] = set()
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._cancellation = Cancellation(self._loop)
        self._control = Control(directory.control, self._receive)
        self._events = Events(
            directory, self._control.tell, allowance, lambda: self._cancellation.is_wanted
        )
        starts = Starts()
        Hook(starts).install()
        executor = Executor(self._loop, self._cancellation)
        self._steps = Steps(directory, namespace, executor, starts)
        self._requests = Requests(
            Parts(directory, self._events, self._cancellation, executor, self._steps, starts)
        )

    def serve(self) -> int:
        # Ctrl-C belongs to whoever sits at the client. A function, not SIG_IGN: that
        # would be inherited by the program's own subprocesses.
        signal.signal(signal.SIGINT, lambda *_: None)
        self._control.start()
        where = {"directory": os.fspath(self._directory.path)}
        info = {"generation": self._generation, "info": {**_info(self._generation), **where}}
        self._events.emit_for(None, "born", info)
        try:
            while True:
                message = self._loop.run_until_complete(self._inbox.get())
                code = self._take(message)
                if code is not None:
                    return code
        except SystemExit as error:
            # A task of the handler's own ended the process between two jobs.
            return error.code if isinstance(error.code, int) else 0 if error.code is None else 1

    def _receive(self, message: Message) -> None:
        """Runs in the control thread."""
        if isinstance(message, Cancel):
            self._cancellation.cancel(message.request)
        else:
            self._loop.call_soon_threadsafe(self._inbox.put_nowait, message)

    def _take(self, message: Message) -> int | None:
        if isinstance(message, SetEnv):
            self._steps.set_env({key: str(value) for key, value in message.values.items()})
            # The relay sends secrets again to each new worker, then without a request.
            if message.request:
                self._events.emit_for(message.request, "done", {})
        elif isinstance(message, Submit) and message.request not in self._taken:
            self._taken.add(message.request)
            try:
                return self._requests.run(message)
            except NeedsRestart:
                return RESTART
        return None


def _be_child(lock: int) -> None:
    """Let a process that the program forked be nothing to us: its crash is not the worker's."""
    faulthandler.disable()
    # The program may have closed all that it found open.
    with contextlib.suppress(OSError):
        os.close(lock)


def _become_main(directory: RunDirectory) -> types.ModuleType:
    """Make this process look like `python handler.py` started in `app/`."""
    app, file = os.fspath(directory.app), os.fspath(directory.app / "handler.py")
    module = types.ModuleType("__main__")
    module.__file__ = file
    module.__dict__.update(__builtins__=__import__("builtins"), __cached__=None)
    if "__annotations__" in vars(sys.modules["__main__"]):
        # Before Python 3.14 a script has them, be there any or not.
        module.__annotations__ = {}
    # The agent's own main module stays referenced: its functions are still running.
    sys.modules["_rpnb_main"] = sys.modules["__main__"]
    sys.modules["__main__"] = module
    home = os.fspath(Path(__file__).parent.parent.parent)
    sys.path[:] = [app, *(path for path in sys.path if path not in ("", home, app))]
    sys.argv[:] = ["handler.py"]
    os.chdir(app)
    worker_output.install()
    return module


def _settings(directory: RunDirectory) -> Settings:
    with contextlib.suppress(OSError, ValueError):
        return directory.read_settings()
    return Settings(sys.executable)


def _clean_environment(settings: Settings) -> None:
    """Keep a pod's own variables, its API key among them, from the program."""
    for name in list(os.environ):
        if name.startswith(("RUNPOD_", "RPNB_")) and name not in settings.env:
            del os.environ[name]


def _info(generation: int) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "sdk": runner_sdk.version(),
        # Another process may have held the memory until a moment ago.
        "gpus": gpu.readings() if generation == 1 else gpu.settled(),
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "packages": worker_installed.packages(),
        "search": worker_installed.search(),
    }
