"""What `import rpnb` and `%load_ext rpnb` add to a bare IPython: time, and the modules."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile

_BARE = """
import sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before, began = set(sys.modules), time.perf_counter()
{work}
seconds = time.perf_counter() - began
import json
print(json.dumps([seconds, sorted(set(sys.modules) - before)]))
"""
_LOAD = "import rpnb\nshell.run_line_magic('load_ext', 'rpnb')"


def measure(rounds: int = 7) -> tuple[float, list[str]]:
    """Return the median seconds that loading adds, and the modules it imports.

    Compiled once before, as after every installation: an environment that keeps no
    bytecode would measure the compiler.
    """
    with tempfile.TemporaryDirectory() as compiled:
        first, *found = [_load(compiled) for _ in range(rounds + 1)]
    return statistics.median(seconds for seconds, _ in found), first[1]


def _load(compiled: str) -> tuple[float, list[str]]:
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", _BARE.format(work=_LOAD)],
        capture_output=True,
        text=True,
        check=True,
        env={**kept, "PYTHONPYCACHEPREFIX": compiled},
    )
    seconds, modules = json.loads(done.stdout.splitlines()[-1])
    return seconds, modules
