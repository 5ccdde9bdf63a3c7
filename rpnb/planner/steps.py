"""Steps: what a program consists of, what a worker has run, what its jobs have stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Collection, Mapping, Sequence

from .facts import Facts, facts
from .looks import Looks
from .statements import Statement, split


@dataclass(frozen=True)
class Step:
    """One statement of a program, with what it is known by and what it does."""

    statement: Statement
    identity: str
    facts: Facts = field(repr=False)
    # The local modules that it imports, and those with state that they import.
    modules: frozenset[str] = frozenset()

    @property
    def line(self) -> int:
        """The first line in the program's text."""
        return self.statement.first_line

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it binds, sorted: what people know the step by."""
        return tuple(sorted(self.facts.binds))


@dataclass(frozen=True)
class Executed:
    """A step that a worker has run, and what was seen while it ran."""

    step: Step
    # False for a step that raised: it has had effects and must run again.
    ok: bool = True
    # `Watch.stop()`: names bound, rebound or deleted while it ran.
    binds: frozenset[str] = frozenset()
    # It raised at the first name that it looked up: `misses.did_nothing`.
    did_nothing: bool = False
    # Resources (`effects.RESOURCES`, or "world") whose probe differed after it.
    writes: frozenset[str] = frozenset()
    # All that it called was known right before to change nothing, and did not.
    pure: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class JobWrite:
    """What served jobs stored in globals through the function `function`.

    `handler` is the jobs' handler, or the function that one of them left running.
    """

    function: str
    handler: str


def steps(
    text: str,
    modules: Mapping[str, str] | None = None,
    stateful: Mapping[str, Collection[str]] | None = None,
) -> list[Step]:
    """Return the steps of a program; `modules` maps local modules to their tree hashes.

    A step that imports a local module is another step when that hash differs
    (`closures` makes hashes that cover what the module itself imports). `stateful`
    names what a module reaches and what must be imported anew together with it.

    Raises:
        SyntaxError: the running Python cannot parse the text.
    """
    return [_step(statement, modules or {}, stateful or {}) for statement in split(text)]


def _step(
    statement: Statement, modules: Mapping[str, str], stateful: Mapping[str, Collection[str]]
) -> Step:
    found = facts(statement)
    local = {path.split(".")[0] for path in found.loads | found.deferred_loads} & set(modules)
    parts = [statement.identity, *(f"{name}:{modules[name]}" for name in sorted(local))]
    reached = frozenset(local).union(*(stateful.get(name, ()) for name in local))
    return Step(statement, " ".join(parts), found, reached)


def closures(trees: Mapping[str, str], imports: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return a hash for each local module that covers the local modules it imports, too."""
    found = {}
    for name in trees:
        reached, todo = {name}, [name]
        while todo:
            more = (set(imports.get(todo.pop(), ())) & set(trees)) - reached
            reached |= more
            todo.extend(more)
        parts = "\n".join(f"{module} {trees[module]}" for module in sorted(reached))
        found[name] = hashlib.blake2b(parts.encode(), digest_size=8).hexdigest()
    return found


def is_known(looks: Looks, answers: Mapping[str, Collection[str]]) -> bool:
    """Tell whether every look is one that the values answer without changing."""
    return bool(looks) and all(what in answers.get(name, ()) for name, what in looks)


def served(executed: Sequence[Executed], handler: str) -> tuple[JobWrite, ...]:
    """Return what a job of `handler` may have left in globals; call it after each job.

    One for each function, among those that the handler may call, whose text stores
    into a global; add them to those that still stand.
    """
    reached, every = reached_by(executed, handler), [e.step.facts for e in executed]
    writers = (f.binds & reached for f in every if f.deferred_binds or f.deferred_changes)
    return tuple(JobWrite(min(names), handler) for names in writers if names)


def reached_by(executed: Sequence[Executed], handler: str) -> set[str]:
    """Return the names that a job of `handler` may look up, through what they lead to."""
    every = [e.step.facts for e in executed]
    reached, todo = set[str](), [handler]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            for found in every:
                if name in found.binds:
                    todo.extend(found.reads | found.deferred_reads)
    return reached


def mentioning(executed: Sequence[Executed], name: str) -> set[str]:
    """Return the functions whose text mentions `name`."""
    every = (e.step.facts for e in executed)
    return {min(f.binds) for f in every if f.binds and name in f.deferred_reads}
