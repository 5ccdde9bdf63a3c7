"""The plan: what to drop, what to run, what to restore, whether to start anew, and why.

How a worker uses it::

    watch = Watch(namespace)
    while True:
        todo = plan(executed, steps(text, modules), kinds=watch.kinds, ...)
        if todo.restart: exit; the fresh worker has nothing executed
        watch.drop(todo.drop)            # then gc.collect(), torch.cuda.empty_cache()
        restore each of todo.restore to what was probed before that executed step
        executed = [executed[old] for _, old in todo.keep] + (what it runs now, in order)
        if nothing but the `always` steps ran: break

It asks again because a step may show, when it runs, effects that its text did
not show (`exec`, `import *`, a library that changes `os.environ`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Collection, Mapping, Sequence

from .facts import Facts, facts
from .statements import Statement, split


@dataclass(frozen=True)
class Step:
    """One statement of a program, with what it is known by and what it does."""

    statement: Statement
    identity: str
    facts: Facts = field(repr=False)

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
    # When it ran: a later run has a higher number. The worker counts, never restarts at 0.
    serial: int = 0
    # False for a step that raised: it has had effects and must run again.
    ok: bool = True
    # `Watch.stop()`: names bound, rebound or deleted while it ran.
    binds: frozenset[str] = frozenset()
    # Resources (`effects.RESOURCES`, or "world") whose probe differed after it.
    writes: frozenset[str] = frozenset()
    # `Watch.was_pure`: all its calls were known-pure calls on values that answer them.
    pure: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Reason:
    """Why a step runs: `kind` is new | changed | failed | uses | undone | moved | always | world.

    `name` is the name or resource that carried it, `line` the line of the step
    that caused it in the program it stands in, `text` that step's first line.
    """

    kind: str
    name: str = ""
    line: int = 0
    cause: str = ""

    def text(self) -> str:
        """The reason for people, without a full stop."""
        return f"{self.kind} {self.name}".strip()


@dataclass(frozen=True)
class Rerun:
    """Step `index` of the new program is to be run, because of `reason`."""

    index: int
    reason: Reason


@dataclass(frozen=True)
class JobWrite:
    """What served jobs stored in globals through the function `function`."""

    function: str
    handler: str


@dataclass(frozen=True)
class Plan:
    """What makes the warm namespace equal to a fresh process; apply it in this order."""

    # Not None: start a new worker; nothing else of the plan counts.
    restart: Reason | None = None
    # Names to delete first, before anything is loaded.
    drop: frozenset[str] = frozenset()
    # Local modules to remove from sys.modules, with their submodules.
    purge: frozenset[str] = frozenset()
    # Resource -> index in `executed`: restore to what was probed before that step ran.
    restore: Mapping[str, int] = field(default_factory=dict)
    # Steps to run, in order.
    run: tuple[Rerun, ...] = ()
    # (index in the new program, index in `executed`) of the steps that stay warm.
    keep: tuple[tuple[int, int], ...] = ()
    # Writes of jobs that still stand; pass them to the next plan.
    job_writes: tuple[JobWrite, ...] = ()
    # New indexes whose pragma changed the plan, for the person's line.
    obeyed: tuple[int, ...] = ()

    @property
    def is_settled(self) -> bool:
        """Nothing is left to do but the steps that always run (`serverless.start`)."""
        return self.restart is None and all(r.reason.kind == "always" for r in self.run)


def steps(text: str, modules: Mapping[str, str] | None = None) -> list[Step]:
    """Return the steps of a program; `modules` maps local modules to their tree hashes.

    A step that imports a local module is another step when that hash differs
    (`closures` makes hashes that cover what the module itself imports).

    Raises:
        SyntaxError: the running Python cannot parse the text.
    """
    return [Step(s, s.identity, facts(s)) for s in split(text)]


def plan(
    executed: Sequence[Executed],
    new: Sequence[Step],
    *,
    kinds: Mapping[str, str],
    models: Collection[str] = (),
    job_writes: Sequence[JobWrite] = (),
) -> Plan:
    """Return what to do so that the namespace is what a fresh run of `new` would make.

    `kinds` is `Watch.kinds`, `models` is `kinds.models(namespace)`.
    """
    old = sorted(range(len(executed)), key=lambda i: executed[i].serial)
    same = 0
    for index, step in zip(old, new):
        if executed[index].step.identity != step.identity or not executed[index].ok:
            break
        same += 1
    gone: set[str] = set()
    for index in old[same:]:
        gone |= executed[index].step.facts.binds | executed[index].binds
    run = [Rerun(i, Reason("changed", line=new[i].line)) for i in range(same, len(new))]
    run += [Rerun(i, Reason("always")) for i in range(same) if new[i].facts.is_start]
    return Plan(
        drop=frozenset(gone),
        run=tuple(sorted(run, key=lambda r: r.index)),
        keep=tuple((i, old[i]) for i in range(same) if not new[i].facts.is_start),
    )


def served(executed: Sequence[Executed], handler: str) -> tuple[JobWrite, ...]:
    """Return what a job of `handler` may have left in globals; call it after each job."""
    return ()
