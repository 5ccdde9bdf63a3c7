"""A worker that speaks the real one's interface in a page: packed in its place.

It executes a program's whole text at each sync, calls `handler` for each job, and
asks for a fresh process where the text says `# restart` and it has run something.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from typing import Any

from ..protocol.messages import Cancel, SetEnv, Submit
from .directory import RunDirectory
from .worker_control import Control
from .worker_events import Events

# Comes through while a handler runs: an event that it interrupts would tear the journal.
CANCEL = {signal.SIGUSR2}
SYNCED: dict[str, Any] = {"cells": {}, "kept": [], "names": {}, "gpus": [], "notes": []}


class Worker:
    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.inbox: queue.Queue[Any] = queue.Queue()
        self.control = Control(directory.control, self.receive)
        self.events = Events(directory, self.control.tell)
        self.names: dict[str, Any] = {}

    def receive(self, message: Any) -> None:
        if isinstance(message, Cancel):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)
        else:
            self.inbox.put(message)

    def take(self, message: Any) -> int | None:
        if isinstance(message, SetEnv):
            os.environ.update(message.values)
            if message.request:
                self.events.emit_for(message.request, "done", {})
            return None
        self.events.request = message.request
        self.events.emit("accepted", {})
        try:
            return self.sync(message) or self.jobs(message.jobs)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a program's own, reported
            phase = "cancelled" if isinstance(error, KeyboardInterrupt) else "step"
            text = {"type": type(error).__name__, "message": str(error)}
            shown = {**text, "frames": [], "traceback": []}
            self.events.emit("failed", {"phase": phase, "error": shown, "cell": None})
            return None

    def sync(self, submit: Submit) -> int | None:
        if submit.program is None:
            return None
        text = submit.program["text"]
        restart = "the text says so" if "# restart" in text and self.names else None
        self.events.emit("planned", {"run": [], "keep": [], "restart": restart})
        if restart:
            return 75
        exec(text, self.names)
        self.directory.write_program(submit.program)
        self.events.emit("synced", SYNCED)
        return None

    def jobs(self, jobs: list[Any]) -> int | None:
        for job in jobs:
            status, problem, buffers = "COMPLETED", None, (b"{}",)
            self.events.emit("job", {"job": {"id": job["id"]}})
            try:
                # A test cancels as soon as it hears of the job: that waits for the handler.
                signal.pthread_sigmask(signal.SIG_UNBLOCK, CANCEL)
                buffers = (repr(self.names["handler"](job)).encode(),)
                signal.pthread_sigmask(signal.SIG_BLOCK, CANCEL)
            except KeyboardInterrupt:
                signal.pthread_sigmask(signal.SIG_BLOCK, CANCEL)
                status, problem, buffers = "CANCELLED", "cancelled", ()
            body = {"job": job["id"], "status": status, "problem": problem, "exception": None}
            self.events.emit("finished", {**body, "stop": False, "metrics": {}}, *buffers)
        self.events.emit("done", {})
        return 0 if self.names.get("stop") else None


def main(directory: RunDirectory, generation: int, _lock: int) -> int:
    signal.signal(signal.SIGUSR2, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_BLOCK, CANCEL)
    worker = Worker(directory)
    worker.control.start()
    info = {
        "executable": sys.executable,
        "pid": os.getpid(),
        "search": {"names": [], "path": sys.path},
    }
    worker.events.emit_for(None, "born", {"generation": generation, "info": info})
    while True:
        code = worker.take(worker.inbox.get())
        if code is not None:
            return code
