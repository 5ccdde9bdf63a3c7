"""What each rule is worth, by taking it out: `python -m tests.planner.ablation [--seeds N]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from rpnb.agent import worker_kept, worker_served
from rpnb.planner import (
    constants,
    footprints,
    keeping,
    kinds,
    local,
    masks,
    names,
    plan,
    sources,
    spared,
    spread,
)

_draft = footprints.Footprints._draft
_finish = footprints.Footprints._finish
_widened = footprints.Footprints.widened
_kind = kinds.kind


def _without_aliases(self: Any, reads: int, binds: int, changes: int, shared: int) -> Any:
    kept, self._classes = self._classes, []
    try:
        return _finish(self, reads, binds, changes, shared)
    finally:
        self._classes = kept


def _without_world(self: Any, number: int, *, is_pure: bool) -> Any:
    reads, binds, changes, shared = _draft(self, number, is_pure=is_pure)
    return reads, binds & ~masks.WORLD_MASK, changes, shared


def _without_arguments(self: Any, number: int, *, is_pure: bool) -> Any:
    reads, binds, changes, shared = _draft(self, number, is_pure=is_pure)
    masks = self._names.masks[number]
    return reads, binds, changes & ~(masks.calls & ~masks.changes), shared


def _only_facts(self: Any, number: int, binds: int, *more: int) -> Any:
    return _widened(self, number, binds & ~self._names.all, *more)


def _never_active(value: Any, program: str = "", depth: int = 0) -> str:
    found = _kind(value, program, depth)
    return "data" if found == "active" else found


def _forwards_only(one: Any, later: Any) -> int:
    return spread._reaches(one, later)


RULES: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "undo of what old steps spoiled": (spread, "_spoils", lambda one, earlier: 0),
    "undo of mutations (of binds only)": (
        spread,
        "_spoils",
        lambda one, earlier: one.binds & earlier.binds & ~masks.PROBED_MASK,
    ),
    "anti-dependence": (spread, "_meets", _forwards_only),
    "moved steps": (spread.Spread, "_drop_moved", lambda self: None),
    "aliases": (footprints.Footprints, "_finish", _without_aliases),
    "calls change their arguments": (footprints.Footprints, "_draft", _without_arguments),
    "effects through functions": (names.Names, "deferred", lambda *_: names._NOTHING_DONE),
    "results of functions": (names.Names, "through", lambda self, functions: 0),
    "library state": (footprints.Footprints, "_draft", _without_world),
    "probed resources": (plan._Planning, "_restore", lambda *_: {}),
    "active kinds": (kinds, "kind", _never_active),
    "observed binds": (footprints.Footprints, "widened", _only_facts),
    "what jobs store": (worker_served.plan, "served", lambda *_, **__: ()),
    "what jobs move unseen": (worker_kept.Kept, "moved", lambda *_: ([], frozenset())),
    "what local modules do": (local.Local, "touch", lambda *_: local.Effect()),
    "what their functions keep": (sources, "keeping", lambda text: keeping.Keeping()),
    "settings that they make": (plan, "_parted", lambda then, now: 0),
    "libraries handed to functions": (names, "altered", lambda every: set()),
    "what containers hold": (kinds, "held", lambda value, parts: iter(())),
    "what constants are": (constants.Constants, "are", lambda *_: True),
    "which fields are the same": (spared, "_is_same", lambda *_: True),
    "methods that ran are run again": (plan._Planning, "_running_edited", lambda *_: iter(())),
}


@contextmanager
def without(rule: str) -> Iterator[None]:
    """Take one rule out."""
    where, name, other = RULES[rule]
    with mock.patch.object(where, name, other):
        yield


def main() -> int:
    """Print the figures with all rules and without each."""
    from tests.planner.differential import Tally, try_seed
    from tests.planner.stage import Stage

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rule", choices=["", *RULES], default=None)
    options = parser.parse_args()
    for rule in ("", *RULES) if options.rule is None else (options.rule,):
        tally = Tally()
        with Stage(without=rule) as stage:
            for seed in range(options.first, options.first + options.seeds):
                try_seed(stage, seed, tally)
        tally.seeds = tally.seeds[:3]
        share = tally.stale / max(1, tally.edits)
        sys.stdout.write(f"{'without ' + rule if rule else 'all':45} {share:.1%} stale: {tally}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
