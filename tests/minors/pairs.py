"""Pairs of Python versions: defined under one, run by a worker under the other.

`python -m tests.minors.pairs` runs all that this machine has, and prints the share
of equal results, the refusals and whatever is neither; its exit status is 1 then.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle

from tests.agent.driver import Worker
from tests.minors.defining import USE
from tests.minors.table import CASES

ROOT = Path(__file__).parents[2]
OLDEST_HERE, OLDEST_THERE = (3, 10), (3, 9)
# What can become of a case. OLDER: the target's Python is older than what the case
# uses, and its error says which line it cannot run.
EQUAL, REFUSED, OLDER = "equal", "refused", "older"
_RIGHT = (EQUAL, REFUSED, OLDER)
# Cases that no one can send, with what their refusal says.
REFUSALS = {
    "class variable of instances": "the class `A` was changed after it was defined (`A.all`)",
}


def pythons() -> dict[str, str]:
    """Return the interpreters of this machine that can be one side: {"3.9": path}."""
    found: dict[str, str] = {}
    places = [Path(p) for p in os.environ.get("PATH", "").split(os.pathsep)]
    places += sorted((Path.home() / ".pyenv/versions").glob("3.*/bin"), reverse=True)
    for minor in range(OLDEST_THERE[1], 20):
        name = f"python3.{minor}"
        for place in places:
            if f"3.{minor}" not in found and (place / name).is_file() and _works(place / name):
                found[f"3.{minor}"] = str(place / name)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    return dict(sorted({**found, own: sys.executable}.items(), key=lambda each: number(each[0])))


def _works(python: Path) -> bool:
    return not subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode


def number(minor: str) -> tuple[int, ...]:
    """Return "3.9" as something that compares as versions do."""
    return tuple(map(int, minor.split(".")))


@dataclass(frozen=True)
class Outcome:
    """What one case came to, and what was said."""

    case: str
    kind: str
    said: str = ""


class Environment:
    """A folder where each Python finds cloudpickle, and what was built with it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._packages = folder / "packages"
        # It is one package in pure Python: the same files serve every version.
        shutil.copytree(Path(cloudpickle.__file__).parent, self._packages / "cloudpickle")

    def define(self, python: str, targets: list[str]) -> dict[str, dict[str, Any]]:
        """Return what a local Python builds of every case for each target's version."""
        place = Path(tempfile.mkdtemp(dir=self.folder))
        paths = os.pathsep.join([str(ROOT), str(self._packages)])
        done = subprocess.run(
            [python, "-m", "tests.minors.defining", str(place), *targets],
            env={**os.environ, "PYTHONPATH": paths}, cwd=place,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return {each: json.loads((place / f"{each}.json").read_text()) for each in targets}

    def run(self, python: str, minor: str, built: dict[str, Any]) -> list[Outcome]:
        """Return what a worker under this Python makes of the cases, one after the other."""
        paths = os.pathsep.join([str(ROOT), str(self._packages)])
        home = Path(tempfile.mkdtemp(dir=self.folder))
        worker = Worker(home, python=python, env={"PYTHONPATH": paths})
        there = _There(worker, minor)
        try:
            return [there.outcome(case, found) for case, found in built.items()]
        finally:
            there.worker.close()


class _There:
    """A worker that gets one program after the other, and a new process when it asks for one."""

    def __init__(self, worker: Worker, minor: str):
        self.worker, self.minor = worker, minor

    def outcome(self, case: str, found: dict[str, Any]) -> Outcome:
        if "error" in found:
            is_expected = REFUSALS.get(case, " ") in found["error"]
            return Outcome(case, REFUSED if is_expected else "cannot travel", found["error"])
        values = self.worker.directory.values
        values.mkdir(exist_ok=True)
        for digest, data in found["blobs"].items():
            (values / digest).write_bytes(base64.b64decode(data))
        try:
            events = self.worker.run(found["program"], show=USE)
        except (AssertionError, ConnectionError):
            if self.worker.process.wait() != 75:
                said = f"the worker ended: {self.worker.process.returncode}"
                self.worker.start()
                return Outcome(case, "crash", said)
            self.worker.start()
            return self.outcome(case, found)
        if events[-1].kind == "failed":
            return self._failed(case, events[-1].body["error"])
        [shown] = [each for each in events if each.kind == "shown"]
        got = json.loads(eval(shown.buffers[shown.body["mimes"].index("text/plain")]))
        if got != [case, found["value"]]:
            return Outcome(case, "wrong", f"{got!r}, not {found['value']!r}")
        return Outcome(case, EQUAL)

    def _failed(self, case: str, error: dict[str, Any]) -> Outcome:
        said = f"{error['type']}: {error['message']}"
        is_older = number(self.minor) < CASES[case].since
        if is_older and error["type"] == "SyntaxError":
            is_older = f"Python {self.minor}." in said
        return Outcome(case, OLDER if is_older and error["frames"] else "error", said)


def main() -> int:
    """Run every pair of this machine and print what came of it."""
    there = pythons()
    here = [each for each in there if number(each) >= OLDEST_HERE]
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(Path(folder))
        for local in here:
            built = environment.define(there[local], list(there))
            for target, python in there.items():
                outcomes = environment.run(python, target, built[target])
                counts = Counter(each.kind for each in outcomes)
                total += counts
                sys.stdout.write(f"{local} -> {target}: {dict(counts)}\n")
                for each in outcomes:
                    if each.kind not in _RIGHT:
                        sys.stdout.write(f"    {each.kind}: {each.case}: {each.said}\n")
                sys.stdout.flush()
    able = total.total() - total[OLDER]
    bad = total.total() - sum(total[kind] for kind in _RIGHT)
    sys.stdout.write(
        f"{len(here) * len(there)} pairs, {len(CASES)} cases: of {able} that both versions can "
        f"run {total[EQUAL] / able:.2%} equal, {total[REFUSED]} refused; {total[OLDER]} in newer "
        f"Python than the target's named as such; {bad} neither\n"
    )
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
