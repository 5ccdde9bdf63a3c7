"""What a served job left, and what of a program's names jobs may look up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Sequence

from .facts import Facts
from .steps import Settings
from .torch_modules import top

# What the state of a local module is called.
STATE = "$module:"


@dataclass(frozen=True)
class JobWrite:
    """What served jobs bound and changed; `functions` are what that depends on.

    A resource that they wrote is bound as `$environ` and its like, a local module that
    they changed as `$module:NAME`.
    `calls` are the calls, with constant arguments alone, that had it made: as long
    as the program makes the same ones, their callers do not matter. `sets` are attributes
    (`pipe.scheduler`): to set these back undoes all that was done to what they begin with.
    `runs` is a function that one of them left running, `settings` what stood when they ran.
    """

    functions: frozenset[str]
    binds: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    runs: str = ""
    settings: Settings = ()

    @property
    def undone(self) -> frozenset[str]:
        """The names that are again what they were when `sets` are set back."""
        return frozenset(map(top, self.sets))

    @property
    def resources(self) -> frozenset[str]:
        """The resources (`environ`) that they wrote."""
        return frozenset(name[1:] for name in self.binds if name[:1] == "$" and not is_state(name))


def reached_by(every: Sequence[Facts], names: Collection[str]) -> set[str]:
    """Return the names that code which looks up `names` may look up, through what they lead to."""
    makers: dict[str, list[Facts]] = {}
    for facts in every:
        for name in facts.binds:
            makers.setdefault(name, []).append(facts)
    reached, todo = set[str](), list(names)
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            for facts in makers.get(name, ()):
                todo.extend(facts.reads | facts.deferred_reads)
                todo.extend(makers if facts.is_opaque_later else ())
    return reached


def is_state(name: str) -> bool:
    """Tell whether a name stands for what a local module keeps."""
    return name.startswith(STATE)
