"""What served jobs leave in the program's globals, and on what code that depends.

A job may fill a cache, load a model when it is first asked for, keep something in
an object's attribute, in a default, or in what a closure holds. All that stands as
long as the code that made it does. Where the text shows a store, it shows what that
depends on; what moved otherwise depends on all that jobs reach. What a call on a model
may do inside it is trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import AbstractSet, Collection, Iterable, Mapping, Sequence

from .effects import WORLD, is_effect_verb, resources
from .facts import imported
from .routines import routines
from .steps import Step
from .stored import Modules, Stored, calls_of
from .torch_modules import top
from .writes import STATE, JobWrite, is_state, reached_by

__all__ = [
    "STATE",
    "JobWrite",
    "Modules",
    "Moved",
    "is_left",
    "is_registering",
    "is_state",
    "looked_up",
    "mentioning",
    "served",
    "set_by_jobs",
    "settings_of_libraries",
    "stands",
]

_NO_MODULES: Modules = MappingProxyType({})


@dataclass(frozen=True)
class Moved:
    """A value that jobs changed in place.

    `names` lead to it, modules' state (`$module:NAME`) among them. `makers` are classes,
    and modules' state, whose code may have done it.
    """

    names: frozenset[str]
    makers: frozenset[str]


def served(
    steps: Sequence[Step],
    start: Step,
    kinds: Mapping[str, str],
    seen: Collection[str] = (),
    moved: Collection[Moved] = (),
    modules: Modules = _NO_MODULES,
) -> tuple[JobWrite, ...]:
    """Return what jobs may have left in globals; `start` is the step that gave the handler.

    `seen` are names that were bound and resources (`$environ`) that were written while
    they ran, `moved` what was changed in place: what no text shows depends on all that
    jobs use. `modules` are the statements of the local modules that have to do with it.
    Add it to what still stands; call it before the next plan.
    """
    reader = Stored(steps, start, kinds, modules)
    found = reader.writes(frozenset(seen))
    hidden = frozenset(seen).difference(*(job.binds for job in found))
    # Who sets an attribute of a model that an object holds tells nothing of that object.
    told = frozenset[str]().union(*(job.binds | job.changes - job.undone for job in found))
    changed = [each.names for each in moved if told.isdisjoint(each.names | each.makers)]
    names = frozenset[str]().union(*changed)
    state = frozenset(filter(is_state, names))
    if hidden or names:
        found += (JobWrite(reader.entry, hidden | state, names - state),)
    return found


def mentioning(steps: Sequence[Step], name: str) -> set[str]:
    """Return the functions whose text mentions `name`."""
    every = (step.facts for step in steps)
    return {min(f.binds) for f in every if f.binds and name in f.deferred_reads}


def set_by_jobs(steps: Sequence[Step], start: Step, kinds: Mapping[str, str]) -> frozenset[str]:
    """Return the attributes of globals (`pipe.scheduler`) that jobs may set."""
    every = (routine for step in steps for routine in routines(step.statement.text))
    if not any(store.sets for routine in every for store in routine.stores):
        return frozenset()
    writes = Stored(steps, start, kinds, _NO_MODULES).writes()
    return frozenset[str]().union(*(job.sets for job in writes))


def settings_of_libraries(steps: Sequence[Step]) -> frozenset[str]:
    """Return what jobs of a program set in libraries, of which no other place tells."""
    if not any(map(is_registering, steps)):
        return frozenset()
    imports, reached = imported([step.facts for step in steps]), looked_up(steps)
    touches = {t for step in steps if step.facts.binds & reached for t in step.facts.touches}
    local = frozenset[str]().union(*(step.modules for step in steps))
    return frozenset(
        path
        for touch in touches
        if touch.deferred and touch.root in imports
        for path in [f"{imports[touch.root]}.{touch.path}"]
        if touch.form == "store" or _is_for_effect(touch.form, path.rpartition(".")[2])
        if WORLD in resources(path, touch.form) and top(path) not in local
    )


def _is_for_effect(form: str, name: str) -> bool:
    return form != "load" and (name.startswith("set") or is_effect_verb(name))


def is_left(job: JobWrite, touched: Iterable[str], reached: AbstractSet[str]) -> bool:
    """Tell whether jobs that look up `reached` find what they, or their like, did not make.

    `touched` are all names through which what the job wrote may be found.
    """
    makers = {name for name in job.functions if name[:1] != "$"}
    if makers <= reached:
        return False
    # Whether anything asks for a resource, no text shows.
    return bool(job.resources) or not reached.isdisjoint(touched)


def stands(job: JobWrite, new: Sequence[Step], kinds: Mapping[str, str]) -> bool:
    """Tell whether the new program would still make the same calls with constant arguments."""
    if not job.calls:
        return True
    paths = {call[1:].partition("(")[0] for call in job.calls if call[0] == "$"}
    if paths:
        return job.calls == calls_of(new, paths)
    starts = [step for step in new if is_registering(step)]
    writes = served(new, starts[-1], kinds) if starts else ()
    return any(job.functions == each.functions and job.calls == each.calls for each in writes)


def looked_up(steps: Sequence[Step]) -> set[str]:
    """Return the names that jobs of a program may look up."""
    every = [step.facts for step in steps if not step.facts.is_start]
    starts = [step.facts for step in steps if is_registering(step)]
    return reached_by(every, {n for f in starts for n in f.reads | f.deferred_reads})


def is_registering(step: Step) -> bool:
    """Tell whether a step may call `runpod.serverless.start`."""
    return step.facts.is_start or "serverless.start" in step.statement.text
