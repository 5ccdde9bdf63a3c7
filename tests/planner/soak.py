"""Random series of edits for hours: `python -m tests.planner.soak [--hours H] [--seed N]`.

Prints the figures every minute; a series that ends stale is shrunk and printed
with its seed, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.planner.differential import Tally, difference, try_seed, versions
from tests.planner.shrink import shrunk
from tests.planner.stage import Stage


def soak(stage: Stage, first: int, seconds: float, report: float = 60.0) -> Tally:
    """Try seeds from `first` on for so many seconds; return the figures."""
    tally = Tally()
    start = told = time.monotonic()
    seed = first
    while time.monotonic() - start < seconds:
        found = try_seed(stage, seed, tally)
        if found:
            sys.stdout.write(f"STALE seed {seed}: {found}\n{shown(stage, seed)}\n")
            sys.stdout.flush()
        seed += 1
        if time.monotonic() - told > report:
            told = time.monotonic()
            sys.stdout.write(f"seeds {first}..{seed}: {tally}\n")
            sys.stdout.flush()
    return tally


def shown(stage: Stage, seed: int) -> str:
    """Return the smallest series of a stale seed, for people."""
    smallest = shrunk(stage, versions(stage, seed))
    parts = [version.shown() for version in smallest]
    return "\n------ then\n".join(parts) + f"\n------ {difference(stage, smallest)}"


def main() -> int:
    """Run the soak as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    with Stage() as stage:
        tally = soak(stage, options.seed, options.hours * 3600)
    sys.stdout.write(f"from seed {options.seed}: {tally}\n")
    return int(bool(tally.stale))


if __name__ == "__main__":
    sys.exit(main())
