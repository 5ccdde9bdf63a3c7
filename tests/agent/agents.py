"""A real agent in a directory of its own, and a client that talks to it."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, Callable, Iterator

from rpnb.agent.directory import RunDirectory
from rpnb.protocol.connection import CLIENT, Connection
from rpnb.protocol.messages import Event, Hello, Message, Output, Submit, Welcome, encode
from rpnb.session.agent import pack

# Of a machine that is busy with other tests; pytest's own is 180.
DEADLINE = 90.0
STAND_IN = (Path(__file__).parent / "stand_in.py").read_text()


def until(condition: Callable[[], Any], what: str = "it", within: float = DEADLINE) -> Any:
    """Return the condition's first true value; fail when it stays false."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"waited {within} s for {what}")


def program(text: str, files: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a program of one cell in wire form."""
    return {
        "text": text,
        "origins": [[1, text.count("\n") + 1, "c1", 1]],
        "cells": [],
        "files": files or {},
        "env": {},
    }


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _with_worker(source: str) -> bytes:
    """Return the packed agent with another worker in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(pack()[0])) as real, zipfile.ZipFile(packed, "w") as changed:
        for name in real.namelist():
            is_worker = name.endswith("/agent/worker.py")
            changed.writestr(name, source if is_worker else real.read(name))
    return packed.getvalue()


class Agent:
    """The packed agent under one RPNB_HOME, for one worker."""

    def __init__(self, home: Path, worker: str = "w", *, stand_in: bool = True) -> None:
        self.home, self.worker = home, worker
        self.directory = RunDirectory(home / "run" / worker)
        home.mkdir(exist_ok=True)
        self.zip = home / "agent.pyz"
        self.zip.write_bytes(_with_worker(STAND_IN) if stand_in else pack()[0])
        self.peers: list[Peer] = []
        self.env = {**os.environ, "RPNB_HOME": str(home)}

    def command(self, *verb: str, python: str = sys.executable) -> list[str]:
        return [python, "-I", str(self.zip), *verb]

    def run(self, *verb: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        return subprocess.run(
            self.command(*verb, python=python),
            env=self.env,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

    def start(self, *options: str) -> dict[str, Any]:
        """Run `start` and return what it says when it is ready."""
        done = self.run("start", "--worker", self.worker, *options)
        said = [json.loads(line) for line in done.stdout.splitlines()]
        assert said and "ready" in said[-1], (done.stdout, done.stderr)
        return dict(said[-1]["ready"])

    def relay_pid(self) -> int:
        return int(self.directory.relay_lock.read_bytes())

    def worker_pid(self) -> int:
        return int(json.loads(self.directory.pids.read_bytes())["worker"])

    def kill_relay(self) -> None:
        """Kill the relay as the system would, and wait until it is gone."""
        os.kill(self.relay_pid(), signal.SIGKILL)
        until(lambda: not self.directory.is_relay_alive(), "the relay's end")

    def end(self) -> None:
        """End every process of this home, and close what was connected to it."""
        for peer in self.peers:
            peer.close()
        # Again until there is none: one may just have forked.
        until(lambda: not [_kill(pid) for pid in self.pids()], "the end of every process")

    def pids(self) -> list[int]:
        """Return the processes that were started with this home."""
        mark, found = f"RPNB_HOME={self.home}".encode(), []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                is_ours = mark in path.read_bytes().split(b"\0")
            except OSError:
                continue
            if is_ours:
                found.append(int(path.parent.name))
        return found


class Peer:
    """A client of the agent: sends messages, collects what comes."""

    def __init__(self, agent: Agent, client: str = "me", role: str = "drive", **rest: Any) -> None:
        agent.peers.append(self)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(agent.directory.socket))
        self._connection = Connection(CLIENT)
        self._incoming = self._messages()
        self.log = {"out": b"", "err": b""}
        self.events: list[Event] = []
        self.send(Hello(client, role, **rest))
        welcome = self.next()
        assert isinstance(welcome, Welcome), welcome
        self.welcome = welcome

    def send(self, message: Message) -> None:
        self._socket.sendall(encode(message))

    def next(self, within: float = DEADLINE) -> Message | None:
        """Return the next message, None at the end of the connection."""
        self._socket.settimeout(within)
        message = next(self._incoming, None)
        if isinstance(message, Output):
            self.log[message.stream] += message.data
        elif isinstance(message, Event):
            self.events.append(message)
        return message

    def wait(self, wanted: Callable[[Message], bool], within: float = DEADLINE) -> Any:
        """Read until a wanted message comes, and return it."""
        deadline = time.monotonic() + within
        while True:
            message = self.next(max(0.01, deadline - time.monotonic()))
            assert message is not None, f"the agent hung up after {self.kinds()}"
            if wanted(message):
                return message

    def event(self, kind: str, within: float = DEADLINE) -> Event:
        """Read until an event of this kind comes."""
        return self.wait(lambda m: isinstance(m, Event) and m.kind == kind, within)

    def ended(self, request: str) -> Event:
        """Read until the request's last event."""
        return self.wait(
            lambda m: isinstance(m, Event) and m.request == request and m.kind in ("done", "failed")
        )

    def run(self, request: str, text: str | None = None, **rest: Any) -> Event:
        """Submit a program and wait for its end."""
        self.send(Submit(request, program(text) if text is not None else None, **rest))
        return self.ended(request)

    def wait_ready(self) -> None:
        """Read until the worker is born, if it is not yet."""
        if not self.welcome.info:
            self.event("born")

    def kinds(self, request: str | None = None) -> list[str]:
        return [e.kind for e in self.events if request is None or e.request == request]

    def close(self) -> None:
        self._socket.close()

    def _messages(self) -> Iterator[Message]:
        while data := self._socket.recv(1 << 18):
            yield from self._connection.receive_data(data)
