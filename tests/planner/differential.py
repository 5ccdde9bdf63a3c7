"""Warm against fresh: one series of edits, and the smallest one that shows a difference."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any, Callable

from tests.planner import library, modelkit, programs
from tests.planner.portrait import Portrait
from tests.planner.warm import Fresh, Probes, Warm


@dataclass
class Tally:
    """What was tried and what it cost, warm against fresh."""

    edits: int = 0
    raising: int = 0
    stale: int = 0
    steps: int = 0
    steps_fresh: int = 0
    loads: int = 0
    loads_fresh: int = 0
    restarts: int = 0
    plans: int = 0
    seconds: float = 0.0
    seeds: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        """The figures, for people."""
        return (
            f"{self.edits} edits ({self.raising} raising), {self.stale} stale; steps re-run "
            f"{self.steps / max(1, self.steps_fresh):.0%}, loads "
            f"{self.loads / max(1, self.loads_fresh):.0%}, restarts {self.restarts}"
            + (f"; stale seeds {self.seeds}" if self.seeds else "")
        )


def difference(
    texts: list[str], tally: Tally | None = None, worker: Callable[[Probes], Any] = Warm
) -> str:
    """Return how a worker that saw all of `texts` differs from a fresh run of one; '' if never."""
    tally = tally or Tally()
    warm, fresh = worker(library.PROBES), Fresh(library.PROBES)
    state = library.save()
    for number, text in enumerate(texts):
        loads = modelkit.loads
        expected = fresh.sync(text)
        fresh_loads, fresh_state = modelkit.loads - loads, library.save()
        seen = _portrait(fresh.namespace)
        library.load(state)
        loads, restarts = modelkit.loads, warm.restarts
        error = warm.sync(text)
        state = library.save()
        if number:
            tally.edits += 1
            tally.raising += expected is not None
            tally.steps += len(warm.ran)
            tally.steps_fresh += fresh.ran
            tally.loads += modelkit.loads - loads
            tally.loads_fresh += fresh_loads
            tally.restarts += warm.restarts - restarts
        if error != expected:
            return f"edit {number}: raised {error}, fresh {expected}"
        if error is None:
            found = _differing(seen, _portrait(warm.namespace)) or _outside(fresh_state, state)
            if found:
                return f"edit {number}: {found}"
    return ""


def _portrait(namespace: dict[str, Any]) -> dict[str, Any]:
    try:
        return Portrait(namespace).draw()
    except RecursionError:
        return {}


def _differing(fresh: dict[str, Any], warm: dict[str, Any]) -> str:
    if not fresh or not warm:
        return ""
    names = [n for n in {**fresh, **warm} if fresh.get(n) != warm.get(n)]
    return "; ".join(f"{n}: warm {warm.get(n)}, fresh {fresh.get(n)}" for n in names[:3])


def _outside(fresh: tuple[Any, ...], warm: tuple[Any, ...]) -> str:
    """Objects of the program's classes are never equal: their type must do for them."""
    plain = (int, str, type(None))
    shown = [
        (
            state[:2],
            {k: v if isinstance(v, plain) else type(v).__name__ for k, v in state[2].items()},
        )
        for state in (fresh, warm)
    ]
    return "" if shown[0] == shown[1] else "library state differs"


def series(seed: int, edits: int = 6) -> list[str]:
    """Return the program of this seed, and what its edits made of it."""
    rng = random.Random(seed)
    steps = programs.program(rng)
    found = [steps]
    for _ in range(edits):
        steps = programs.edited(rng, steps)
        found.append(steps)
    return ["\n".join(program) for program in found]


def try_seed(seed: int, tally: Tally) -> str:
    """Try one series; return what differs, if anything."""
    start = time.perf_counter()
    found = difference(series(seed), tally)
    tally.seconds += time.perf_counter() - start
    if found:
        tally.stale += 1
        tally.seeds.append(seed)
    return found


def shrunk(texts: list[str]) -> list[str]:
    """Return fewer and shorter programs that still differ, as far as leaving out goes."""
    import ast

    programs_ = [[ast.unparse(n) for n in ast.parse(text).body] for text in texts]

    def differs(candidate: list[list[str]]) -> bool:
        return bool(difference(["\n".join(p) for p in candidate]))

    index = 0
    while index < len(programs_):
        fewer = programs_[:index] + programs_[index + 1 :]
        if len(programs_) > 1 and differs(fewer):
            programs_ = fewer
        else:
            index += 1
    for line in list(dict.fromkeys(s for p in programs_ for s in p)):
        less = [[s for s in p if s != line] for p in programs_]
        if differs(less):
            programs_ = less
    return ["\n".join(p) for p in programs_]
