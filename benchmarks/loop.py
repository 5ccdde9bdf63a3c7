"""The loop of an edit: rpnb beside what people do today, in one run, as ratios.

    python -m benchmarks.loop [--quick]

Today's loop is `scp handler.py` and `ssh python handler.py --test_input …` on the
same loopback OpenSSH server; the set-up takes LOAD seconds to load, as a small
model does. Times drift with the machine: read the ratios.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rpnb
from benchmarks import floods, imports, planning
from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.names import Names
from rpnb.session.updates import Finished, Streamed
from tests.sshd import Sshd

LOAD = 1.0
_SETUP = f"import time\n\ntime.sleep({LOAD})\nmodel = list(range(1000))"
_HANDLER = """
def handler(job):
    return {{"sum": sum(model), "version": {version}, "echo": job["input"]["text"]}}
"""
_CHUNKS = """
def handler(job):
    for number in range(4):
        yield number
"""
_JOB = {"input": {"text": "hello"}}


def program(handler: str) -> Any:
    """Return the program of the set-up and this handler."""
    cells = [
        Cell("a", "setup", "model", "cell 1", _SETUP),
        Cell("b", "handler", "", "cell 2", handler),
    ]
    return build(cells, Names())


def result_of(run: Any) -> Any:
    """Return a run's result; a run without one ends the benchmark."""
    found = [update.result for update in run if isinstance(update, Finished)]
    if not found or not found[0].ok:
        raise SystemExit(f"the job did not succeed: {found}")
    return found[0]


def edits(session: Any, rounds: int) -> list[float]:
    """Return the seconds from an edited handler cell to its result, warm."""
    result_of(session.submit(program(_HANDLER.format(version=-1)), job={"id": "0", **_JOB}))
    samples = []
    for version in range(rounds):
        began = time.perf_counter()
        edited = program(_HANDLER.format(version=version))
        result = result_of(session.submit(edited, job={"id": str(version), **_JOB}))
        samples.append(time.perf_counter() - began)
        assert result.output["version"] == version, "a stale answer is no measurement"
    return samples


def warm_calls(session: Any, rounds: int) -> list[float]:
    """Return the seconds of a call of the unchanged handler."""
    samples = []
    for number in range(rounds):
        began = time.perf_counter()
        result_of(session.submit(None, job={"id": f"w{number}", **_JOB}))
        samples.append(time.perf_counter() - began)
    return samples


def chunk_calls(session: Any, rounds: int) -> list[float]:
    """Return the seconds of a reply of several events: four chunks and a result."""
    list(session.submit(program(_CHUNKS)))
    samples = []
    for number in range(rounds):
        began = time.perf_counter()
        run = session.submit(None, job={"id": f"c{number}", **_JOB})
        chunks = sum(isinstance(update, Streamed) for update in run)
        samples.append(time.perf_counter() - began)
        assert chunks == 4, chunks
    return samples


def direct_calls(rounds: int) -> list[float]:
    """Return the seconds of calling the handler as a function, here."""
    namespace: dict[str, Any] = {"model": list(range(1000))}
    exec(_HANDLER.format(version=0), namespace)  # the benchmark's own text
    samples = []
    for _ in range(rounds):
        began = time.perf_counter()
        namespace["handler"](_JOB)
        samples.append(time.perf_counter() - began)
    return samples


def todays_loop(sshd: Sshd, rounds: int) -> list[float]:
    """Return the seconds of scp and `ssh python handler.py --test_input`, edited each time."""
    samples = []
    *ssh, host = shlex.split(sshd.target)
    scp = ["scp", "-O", *("-P" if word == "-p" else word for word in ssh[1:])]
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "there"
        there.mkdir()
        for version in range(rounds):
            text = program(_HANDLER.format(version=version)).text
            file = Path(folder) / "handler.py"
            file.write_text(text)
            command = (
                f"cd {there} && {shlex.quote(sys.executable)} handler.py "
                f"--test_input {shlex.quote(json.dumps(_JOB))}"
            )
            began = time.perf_counter()
            subprocess.run([*scp, str(file), f"{host}:{there}/"], check=True, capture_output=True)
            done = subprocess.run([*ssh, host, command], check=True, capture_output=True, text=True)
            samples.append(time.perf_counter() - began)
            assert f"'version': {version}" in done.stdout, done.stdout
    return samples


def main() -> None:
    """Measure, print the table, and write it to benchmarks/results.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 20 if parser.parse_args().quick else 100
    rows: list[tuple[str, str, str]] = []

    def say(what: str, figure: str, target: str) -> None:
        rows.append((what, figure, target))
        print(f"  {what:<58} {figure:>12}   {target}", flush=True)

    print("rpnb on a loopback OpenSSH server; medians\n")
    with tempfile.TemporaryDirectory() as folder:
        sshd = Sshd(Path(folder) / "sshd")
        try:
            measure(sshd, rounds, say)
        finally:
            sshd.stop()
    planning.measure(say, quick=rounds < 100)
    floods.measure(say, quick=rounds < 100)
    seconds, modules = imports.measure()
    say("`import rpnb` and `%load_ext rpnb`", f"{seconds * 1e3:.0f} ms", "target: < 100 ms")
    own = [name for name in modules if name.startswith("rpnb")]
    print(f"\n  imported with them: {len(modules)} modules, {len(own)} of rpnb's:")
    print("  " + ", ".join(modules))
    Path(__file__).with_name("results.json").write_text(json.dumps(rows, indent=1) + "\n")


def measure(sshd: Sshd, rounds: int, say: Callable[[str, str, str], None]) -> None:
    """Measure what needs a worker."""
    session = rpnb.connect(sshd.target, name="benchmark", python=sys.executable)
    try:
        edited = statistics.median(edits(session, rounds))
        warm = statistics.median(warm_calls(session, rounds))
        chunks = statistics.median(chunk_calls(session, rounds))
    finally:
        session.stop()
    today = statistics.median(todays_loop(sshd, 3))
    direct = statistics.median(direct_calls(rounds))
    say("an edited handler, today: scp, ssh python --test_input", f"{today:.2f} s", "")
    say("an edited handler, rpnb: build, send, plan, run, result", f"{edited * 1e3:.1f} ms", "")
    say("ratio", f"{today / edited:.0f} x", "target: 100 x")
    say("a warm call", f"{warm * 1e3:.1f} ms", "")
    over = (warm - direct) * 1e3
    say("over calling the handler directly", f"{over:.1f} ms", "target: < 5 ms")
    say("a reply of several events (4 chunks, a result)", f"{chunks * 1e3:.1f} ms", "")


if __name__ == "__main__":
    main()
