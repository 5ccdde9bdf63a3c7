"""A run, brought to a stage in which something is done to it; here, or in a process of its own.

`python -m tests.faults.scene TARGET STAGE DIRECTORY NAME` is a client as a kernel is: it
says the run's request once it is there, and waits to be killed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading

import rpnb
from rpnb.agent.directory import RunDirectory
from rpnb.program.names import Names
from rpnb.session import upload as uploads
from rpnb.session.updates import JobStarted, Planned, Streamed
from tests.behaviour.cells import Seen, program
from tests.faults.breaking import WORKER, hang_up, until

STAGES = ("idle", "redial", "upload", "set-up", "run", "stream", "result")
# Waits where its input says so; each call is counted in a file.
HANDLER = """
import os, time

def handler(job):
    with open("calls", "a") as file:
        file.write(job["id"] + "\\n")
    for number in range(20):
        if number == job["input"]["waits_at"]:
            open(job["id"] + ".there", "w").close()
            while not os.path.exists(job["id"]):
                time.sleep(0.002)
        print("line", number)
        yield number
    yield "x" * job["input"]["size"] + str(len(value))
"""
SET_UP = """
import os, time

open("{name}.there", "w").close()
while not os.path.exists("{name}"):
    time.sleep(0.002)
"""
LINES = "".join(f"line {number}\n" for number in range(20))
# A result that takes a while on its way, and a value in two blocks.
RESULT_BYTES, VALUE_BYTES = 20 << 20, 6 << 20


class Scene:
    """A run of its own `name`; `stage` is where it is to be struck."""

    def __init__(self, stage, directory, name):
        self.stage, self.directory, self.name = stage, directory, name
        value = os.urandom(VALUE_BYTES) if stage == "upload" else b"value"
        size = RESULT_BYTES if stage == "result" else 0
        waits_at = {"run": 0, "redial": 0, "stream": 10}.get(stage)
        self.job = {"id": self.name, "input": {"size": size, "waits_at": waits_at}}
        self.chunks = [*range(20), "x" * size + str(len(value))]
        set_ups = [SET_UP.format(name=self.name)] if stage == "set-up" else []
        names = Names({"value": value}, send=["value"])
        self.program = program(*set_ups, handler=HANDLER, names=names)

    def play(self, session, strike):
        """Run it and `strike` in its stage; return its request and what was seen."""
        if self.stage == "idle":
            strike("")
        undo = _struck_upload(strike) if self.stage == "upload" else lambda: None
        try:
            running, seen = session.submit(self.program, job=self.job), Seen()
            for update in running:
                seen.append(update)
                if self._is_reached(update):
                    self._await()
                    if self.stage == "redial":
                        hang_up(session)
                    strike(running.request)
                    self.go_on()
        finally:
            undo()
        return running.request, seen

    def go_on(self):
        """Let it go on that waits in its stage."""
        (self.directory.app / self.name).touch()

    def calls(self):
        calls = self.directory.app / "calls"
        return calls.read_text().split().count(self.name) if calls.exists() else 0

    def _is_reached(self, update):
        if self.stage == "set-up":
            return isinstance(update, Planned)
        if self.stage in ("run", "redial"):
            return isinstance(update, JobStarted)
        last = {"stream": 9, "result": 19}.get(self.stage)
        return isinstance(update, Streamed) and update.value == last

    def _await(self):
        if self.stage == "result":
            until(lambda: _held_bytes(self.directory.journal) > RESULT_BYTES // 4, "the result")
        else:
            until((self.directory.app / f"{self.name}.there").exists, self.stage)


def _held_bytes(journal):
    size = 0
    for segment in journal.iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was let go meanwhile
            size += segment.stat().st_size
    return size


def _struck_upload(strike):
    """Let it strike when the first block of a value is on its way; return what undoes that."""
    plain, blows = uploads.Sending.send, [strike]

    def send(sending, frame):
        plain(sending, frame)
        if len(frame) > 1 << 20 and blows:
            blows.pop()("")

    def undo():
        uploads.Sending.send = plain

    uploads.Sending.send = send
    return undo


def main(target, stage, directory, name):
    def strike(request):
        print(request, flush=True)
        threading.Event().wait()

    session = rpnb.connect(target, name=WORKER, python=sys.executable)
    Scene(stage, RunDirectory(directory), name).play(session, strike)


if __name__ == "__main__":
    main(*sys.argv[1:])
