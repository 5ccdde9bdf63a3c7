"""Drives a real worker process over its control socket, as the relay does."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rpnb.agent.directory import RunDirectory
from rpnb.agent.journal import JournalReader
from rpnb.protocol.frames import FrameReader
from rpnb.protocol.messages import Cancel, Event, SetEnv, Submit, encode

_REPOSITORY = Path(__file__).parent.parent.parent
_ENTRY = """
import sys
from rpnb.agent.directory import RunDirectory, hold
from rpnb.agent import worker
directory = RunDirectory(sys.argv[1])
worker.main(directory, int(sys.argv[2]), hold(directory.lock))
"""


def wire(*sources: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a program of cells c1, c2, … in wire form."""
    lines, origins, cells = [], [], []
    for number, source in enumerate(sources, 1):
        count = source.count("\n") + 1
        origins.append([len(lines) + 1, count, f"c{number}", 2])
        lines += [*source.split("\n"), ""]
        cells.append({"id": f"c{number}", "kind": "setup", "name": None, "label": f"cell {number}"})
    text = "\n".join(lines)
    return {"text": text, "origins": origins, "cells": cells, "files": {}, "env": env or {}}


def handler_program(body: str, start: str = '{"handler": handler}') -> dict[str, Any]:
    """Return a program of one cell: `body` defines the handler, start() gets `start`."""
    return wire(f"import runpod\n{body}\nrunpod.serverless.start({start})")


class Worker:
    """A worker process in a directory of its own."""

    def __init__(
        self, home: Path, *, python: str = sys.executable, env: dict[str, str] | None = None
    ):
        self.directory = RunDirectory(home / "run" / "w")
        self.directory.create()
        self._python, self._env = python, env or {}
        self.generation = 0
        self._requests = 0
        self._unread: list[Event] = []
        self.start()

    def start(self) -> None:
        """Start a generation and connect to it."""
        self.generation += 1
        path = self.directory
        with path.out.open("ab") as out, path.err.open("ab") as err:
            self.process = subprocess.Popen(
                [self._python, "-u", "-c", _ENTRY, os.fspath(path.path), str(self.generation)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.fspath(_REPOSITORY), **self._env},
            )  # fmt: skip
        self._reader = JournalReader(path.journal)
        self._frames = FrameReader()
        while not any(
            e.kind == "born" and e.body["generation"] == self.generation
            for e in self._reader.poll()
        ):
            assert self.process.poll() is None, path.err.read_text()
            time.sleep(0.005)
        self.reconnect()

    def reconnect(self) -> None:
        """Connect to the worker, as a new relay does."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(90)
        self._socket.connect(os.fspath(self.directory.control))

    def patient(self) -> None:
        """Wait longer for what it does next: importing torch on a busy machine."""
        self._socket.settimeout(150)

    def disconnect(self) -> None:
        """Leave the worker alone, as a relay that was killed."""
        self._socket.close()

    def history(self) -> list[Event]:
        """Return every event of the journal."""
        with contextlib.closing(JournalReader(self.directory.journal)) as reader:
            return list(reader.poll())

    def send(self, message: Any) -> None:
        """Send any message, as the relay would."""
        self._socket.sendall(encode(message))

    def submit(self, program: dict[str, Any] | None = None, **options: Any) -> str:
        """Send a request and return its id."""
        self._requests += 1
        request = f"r{self.generation}-{self._requests}"
        options.setdefault("jobs", [])
        self.send(Submit(request, program, **options))
        return request

    def run(
        self, program: dict[str, Any] | None = None, *inputs: Any, **options: Any
    ) -> list[Event]:
        """Run a request, one job for each input, and return its events."""
        jobs = [{"id": f"j{number}", "input": value} for number, value in enumerate(inputs, 1)]
        return self.events(self.submit(program, **{"jobs": jobs, **options}))

    def job(self, program: dict[str, Any] | None, value: Any = None) -> Event:
        """Run one job and return its `finished` event."""
        events = self.run(program, value)
        finished = [e for e in events if e.kind == "finished"]
        assert finished, events[-1].body
        return finished[0]

    def events(self, request: str, until: tuple[str, ...] = ("done", "failed")) -> list[Event]:
        """Return the request's events up to the one that ends it."""
        found: list[Event] = []
        while not (found and found[-1].kind in until):
            event = self._next()
            if event.request == request:
                found.append(event)
        return found

    def _next(self) -> Event:
        """Return the next event of any request; events behind it stay for the next call."""
        while not self._unread:
            self._unread += self._reader.poll()
            if not self._unread:
                self._wait()
        return self._unread.pop(0)

    def cancel(self, request: str) -> None:
        """Ask for the end of a request."""
        self.send(Cancel(request))

    def set_env(self, **values: str) -> list[Event]:
        """Give the worker secrets."""
        self._requests += 1
        request = f"e{self._requests}"
        self.send(SetEnv(request, values))
        return self.events(request)

    def logs(self) -> str:
        """Return what the program wrote to stdout."""
        return self.directory.out.read_text()

    def close(self) -> None:
        """Kill the worker and what it started."""
        self._socket.close()
        self._reader.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.wait()

    def _wait(self) -> None:
        """Return when the worker announced something."""
        data = self._socket.recv(1 << 16)
        if not data:
            error = f"the worker ended: {self.process.wait()}\n{self.directory.err.read_text()}"
            raise AssertionError(error)


def posted(event: Event) -> Any:
    """Return what production would have posted, parsed."""
    return json.loads(event.buffers[0]) if event.buffers else None
