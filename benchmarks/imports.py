"""What `import rpnb` and `%load_ext rpnb` add to a bare IPython: time, and the modules."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

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
    """Return the median seconds that loading adds, and the modules it imports."""
    samples, modules = [], []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", _BARE.format(work=_LOAD)],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds, modules = json.loads(done.stdout.splitlines()[-1])
        samples.append(seconds)
    return statistics.median(samples), modules
