"""Random series of edits for hours: `python -m tests.planner.soak [--hours H] [--seed N]`.

Prints the figures every minute; a series that ends stale is shrunk and printed
with its seed, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time

from tests.planner.differential import Tally, difference, series, shrunk, try_seed
from tests.planner.jobs import try_jobs


def soak(first: int, seconds: float, report: float = 60.0) -> tuple[Tally, Tally]:
    """Try seeds from `first` on for so many seconds; return the figures (state, jobs)."""
    states, jobs = Tally(), Tally()
    start = told = time.monotonic()
    seed = first
    while time.monotonic() - start < seconds:
        for found, tally in ((try_seed(seed, states), states), (try_jobs(seed, jobs), jobs)):
            if found:
                sys.stdout.write(f"STALE seed {seed} ({(tally is jobs and 'jobs') or 'state'})\n")
                sys.stdout.write(_shown(seed) if tally is states else found + "\n")
        seed += 1
        if time.monotonic() - told > report:
            told = time.monotonic()
            sys.stdout.write(f"seeds {first}..{seed}: {states} | jobs: {jobs}\n")
            sys.stdout.flush()
    return states, jobs


def _shown(seed: int) -> str:
    with contextlib.redirect_stdout(io.StringIO()):
        smallest = shrunk(series(seed))
        found = difference(smallest)
    return found + "\n" + "\n--- then ---\n".join(smallest) + "\n"


def main() -> int:
    """Run the soak as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 1000))
    states, jobs = soak(options.seed, options.hours * 3600)
    sys.stdout.write(f"from seed {options.seed}: {states} | jobs: {jobs}\n")
    return int(bool(states.stale or jobs.stale))


if __name__ == "__main__":
    sys.exit(main())
