"""The rpnb command in a process of its own, as a shell runs it."""

import json
import os
import subprocess
import sys


def rpnb(*arguments, cwd=None, **environment):
    """Run the command; arguments are turned into text."""
    return subprocess.run(
        [sys.executable, "-m", "rpnb", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
    )


def results(done):
    """The objects that `--json` printed, one for each line."""
    return [json.loads(line) for line in done.stdout.splitlines()]
