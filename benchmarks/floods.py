"""What an agent holds while nothing happens, and what a flood costs: memory and seconds.

    python -m benchmarks.floods [--quick]

On `local`, in a home of its own. Peaks are of resident memory (VmHWM), over what the
process held before.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rpnb
from rpnb.agent.directory import RunDirectory
from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.names import Names
from rpnb.session.updates import Finished, LeftOut, Logged, Streamed

Say = Callable[[str, str, str], None]

_BARE = (
    "import runpod, re; print(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read())[1])"
)
_PRINTS = """
import runpod
def handler(job):
    line = "x" * 999
    for number in range(job["input"]["count"]):
        print(line)
"""
_YIELDS = """
import runpod
def handler(job):
    for number in range(job["input"]["count"]):
        yield number
"""


def program(handler: str) -> Any:
    """Return the program of this handler."""
    return build([Cell("h", "handler", "", "cell 1", handler.strip("\n"))], Names())


def memory(pid: int, what: str = "VmRSS") -> int:
    """Return the bytes of resident memory that a process holds, or held at most (VmHWM)."""
    found = re.search(rf"{what}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None, what
    return int(found.group(1)) * 1024


def measure(say: Say, *, quick: bool = False) -> None:
    """Measure all of it and say each figure."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["RPNB_HOME"] = home
        session = rpnb.connect("local", name="floods", python=sys.executable)
        directory = RunDirectory(Path(home) / "run" / "floods")
        try:
            _at_rest(session, directory, say)
            lines, chunks = (100_000, 100_000) if quick else (1_000_000, 1_000_000)
            _flood(session, directory, "prints", lines, say)
            _flood(session, directory, "yields", chunks, say)
        finally:
            session.stop()
            del os.environ["RPNB_HOME"]


def _pids(directory: RunDirectory) -> dict[str, int]:
    pids = json.loads(directory.pids.read_bytes())
    relay = int(directory.relay_lock.read_bytes())
    return {"relay": relay, "keeper": pids["keeper"], "worker": pids["worker"]}


def _at_rest(session: Any, directory: RunDirectory, say: Say) -> None:
    _run(session, program(_PRINTS), 1)
    time.sleep(1)
    pids = _pids(directory)
    for name in ("relay", "keeper"):
        say(f"memory of an idle {name}", f"{memory(pids[name]) / 1e6:.1f} MB", "target: < 25 MB")
    bare = subprocess.run([sys.executable, "-c", _BARE], capture_output=True, text=True, check=True)
    over = memory(pids["worker"]) - int(bare.stdout) * 1024
    say("memory of a worker over a bare Python with runpod imported", f"{over / 1e6:.1f} MB", "")


def _flood(session: Any, directory: RunDirectory, kind: str, count: int, say: Say) -> None:
    made = program(_PRINTS if kind == "prints" else _YIELDS)
    _run(session, made, 1)
    pids = {**_pids(directory), "client": os.getpid()}
    for pid in pids.values():
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # begins a new VmHWM
    before = {name: memory(pid, "VmHWM") for name, pid in pids.items()}
    began = time.perf_counter()
    text, left_out, chunks, inside = _run(session, made, count)
    seconds = time.perf_counter() - began
    peaks = {name: (memory(pid, "VmHWM") - before[name]) / 1e6 for name, pid in pids.items()}
    what = (
        f"{count / 1e6:g} GB printed" if kind == "prints" else f"{count:,} chunks".replace(",", " ")
    )
    if kind == "prints":
        assert text + left_out == count * 1000, (text, left_out)
    else:
        assert chunks == count, chunks
    say(
        f"{what}: the handler's seconds, and until all had come",
        f"{inside:.0f}, {seconds:.0f} s",
        "",
    )
    told = " · ".join(f"{name} +{peaks[name]:.0f}" for name in ("worker", "relay", "client"))
    say(f"{what}: peak memory in MB", told, "relay, worker: bounded")


def _run(session: Any, made: Any, count: int) -> tuple[int, int, int, float]:
    """Run a job; return the bytes of log that came and did not, its chunks, and its seconds."""
    text = left_out = chunks = 0
    inside = 0.0
    for update in session.submit(made, job={"id": "f", "input": {"count": count}}):
        if isinstance(update, Logged):
            text += len(update.text)
        elif isinstance(update, LeftOut):
            left_out += update.size_bytes
        elif isinstance(update, Streamed):
            chunks += 1
        elif isinstance(update, Finished):
            if not update.result.ok:
                raise SystemExit(f"the job did not succeed: {update.result}")
            inside = float(update.result.metrics["seconds"])
    return text, left_out, chunks, inside


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of each flood")

    def say(what: str, figure: str, target: str) -> None:
        print(f"  {what:<62} {figure:>12}   {target}", flush=True)

    measure(say, quick=parser.parse_args().quick)


if __name__ == "__main__":
    main()
