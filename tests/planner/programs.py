"""Random programs in a hostile part of Python, and random edits of them.

A program takes some groups of statements (`grammar`), may have local modules
(`trees`), captured values and jobs that memoise (`jobs`), all mixed in one text.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from tests.planner import captured, jobs, trees
from tests.planner.grammar import Grammar, groups
from tests.planner.stage import Outcome
from tests.planner.version import Version

_IMPORTS = [
    "import modelkit, torchlike",
    "import abc, asyncio, collections, contextlib, copy, dataclasses, enum, functools, gc",
    "import importlib, inspect, io, itertools, logging, operator, os, pathlib, pickle, queue",
    "import random, sys, typing, warnings, weakref",
]
# These stay: without them nothing runs, and seeds make runs comparable.
_ARRAYS = ["import numpy as np", "np.random.seed(1)"]
_FIXED = len(_IMPORTS) + len(_ARRAYS) + 2
_SEED = "random.seed(1)"
LAST = "def handler(job):\n    return [x, y, job['input']]"
_ALWAYS = ["values", "changes", "models"]
_OPTIONAL = [n for n in groups() if n not in (*_ALWAYS, "failing", "jobs", "kept")]
# `# rpnb: keep` also keeps the worker: it is true only where nothing needs a new one.
_WITH_KEPT = ["binding", "classes", "functions", "iterators", "pure", "typed", "kept"]
_INPUTS = (1, 2, 1)

Judge = Callable[[Version, bool], Outcome]


@dataclass
class Draft:
    """A program as its author has it: statements, some of them with a role, and files."""

    grammar: Grammar
    steps: list[str]
    # Role -> its statement, which is among the steps.
    roles: dict[str, str] = field(default_factory=dict)
    values: dict[str, bytes] = field(default_factory=dict)
    tree: trees.Tree = field(default_factory=dict)
    has_jobs: bool = False
    is_kept: bool = False
    again: int | None = None

    def copy(self) -> Draft:
        """Return another draft that can be edited apart."""
        return replace(
            self,
            steps=list(self.steps),
            roles=dict(self.roles),
            values=dict(self.values),
            again=None,
        )

    def version(self) -> Version:
        """Return what the client would send now; the call of start() stands last."""
        files = {**self.values, **_travelling(trees.files(self.tree), "\n".join(self.steps))}
        steps = sorted(self.steps, key=lambda step: "serverless.start" in step)
        return Version(
            tuple(steps),
            {path: files[path] for path in sorted(files)},
            _INPUTS if self.has_jobs else (),
            jobs.HIDDEN if self.has_jobs else frozenset(),
            self.again,
        )


def _travelling(files: dict[str, bytes], text: str) -> dict[str, bytes]:
    """Only modules that the program names, or a module that it names, travel."""
    named, todo = set[str](), [text]
    while todo:
        for word in set(re.findall(r"\bl[mp]_\w+", todo.pop())) - named:
            named.add(word)
            todo += [files[path].decode() for path in files if _top(path) == word]
    return {path: content for path, content in files.items() if _top(path) in named}


def _top(path: str) -> str:
    return path.partition("/")[0].removesuffix(".py")


def series(seed: int, judge: Judge, edits: int = 12) -> Iterator[tuple[Version, Outcome]]:
    """Yield the program of this seed and what its edits made of it, each with its fresh outcome."""
    rng = random.Random(seed)
    draft = _program(rng, judge)
    found = judge(draft.version(), False)
    yield draft.version(), found
    for _ in range(edits):
        draft, found = _next(rng, draft, found, judge)
        yield draft.version(), found


def _program(rng: random.Random, judge: Judge) -> Draft:
    """Return a program that runs."""
    while True:
        draft = _attempt(rng)
        kept = judge(draft.version(), True)
        draft.steps = [step for step in draft.steps if step in kept.ran]
        # Nothing is left of a program that ends its process.
        if draft.steps and not judge(draft.version(), False).error:
            return draft


def _attempt(rng: random.Random) -> Draft:
    has_jobs, has_tree = rng.random() < 0.4, rng.random() < 0.35
    is_kept = not has_tree and rng.random() < 0.06
    chosen = _WITH_KEPT if is_kept else rng.sample(_OPTIONAL, rng.randrange(2, 5))
    names = [*_ALWAYS, *chosen, *(["jobs"] if has_jobs else [])]
    grammar = Grammar(names)
    arrays = _ARRAYS if "arrays" in chosen else ["pass"] * len(_ARRAYS)
    kept = "K = modelkit.table(1)  # rpnb: keep" if is_kept else "pass"
    fixed = [*_IMPORTS, _SEED, *arrays, kept]
    prelude = [*grammar.prelude, *(jobs.PRELUDE if has_jobs else ())]
    # Without some of it, what needs it is not in the program; what stands there is used more.
    some = [step for step in prelude if rng.random() < 0.75]
    draft = Draft(grammar, [*fixed, *some], has_jobs=has_jobs, is_kept=is_kept)
    if has_tree:
        draft.tree = trees.tree(rng)
    for name in captured.NAMES if rng.random() < 0.25 else ():
        _take_value(rng, draft, name, len(draft.steps))
    for _ in range(rng.randrange(4, 16)):
        draft.steps.append(_statement(rng, draft))
    if has_jobs:
        for slot, text in jobs.slots(rng).items():
            draft.roles[slot] = text
            draft.steps.append(text)
    else:
        draft.steps.append(LAST)
    return draft


def _statement(rng: random.Random, draft: Draft) -> str:
    if draft.tree and rng.random() < 0.4:
        return re.sub(r"\$n", lambda _: rng.choice("123"), rng.choice(trees.STATEMENTS))
    found = draft.grammar.statement(rng)
    if draft.has_jobs:
        # What a task does while jobs run, a process that has not served has not done.
        found = re.sub(r"ensure_future\(\w+\(", "ensure_future(asyncio.sleep(0, ", found)
    if draft.values and rng.random() < 0.15:
        # Captured values are used like any other name.
        found = re.sub(r"\b[abcd]\b", rng.choice(captured.NAMES), found, count=1)
    return found


def _take_value(rng: random.Random, draft: Draft, name: str, place: int) -> None:
    text, path, content = captured.value(rng, name)
    draft.steps.insert(place, text)
    draft.roles[name] = text
    draft.values[path] = content


def _next(rng: random.Random, old: Draft, found: Outcome, judge: Judge) -> tuple[Draft, Outcome]:
    """Return the draft after an edit or two; one in ten may raise, and soon does no more."""
    may_raise = rng.random() < (0.3 if found.error else 0.1)
    for _ in range(12):
        new = old.copy()
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            _edit(rng, new, may_raise=may_raise)
        if rng.random() < 0.05:
            new.again = rng.randrange(len(new.steps))
        version = new.version()
        if version == old.version():
            continue
        after = judge(version, False)
        if may_raise or not after.error:
            return new, after
    mended = old.copy()
    if found.error:
        mended = _program(rng, judge)
    return mended, judge(mended.version(), False)


def _edit(rng: random.Random, draft: Draft, *, may_raise: bool) -> None:
    if may_raise and rng.random() < 0.5 and not draft.is_kept:
        failing = Grammar(["failing"]).statement(rng)
        draft.steps.insert(rng.randrange(_FIXED, len(draft.steps)), failing)
        return
    sorts = ["text"] * 4
    sorts += ["tree"] * 2 if draft.tree else []
    sorts += ["slot"] * 3 if draft.has_jobs else []
    sorts += ["value"] if draft.values else []
    sorts += ["kept"] if draft.is_kept else []
    sort = rng.choice(sorts)
    if sort == "tree":
        draft.tree = trees.edited(rng, draft.tree)
    elif sort == "slot":
        slot, text = jobs.another(rng)
        _put(draft, slot, text)
    elif sort == "value":
        name = rng.choice(captured.NAMES)
        text, path, content = captured.value(rng, name)
        _put(draft, name, text)
        draft.values[path] = content
    elif sort == "kept":
        # Its text changes, its place does not: so the comment is true.
        draft.steps[_FIXED - 1] = _other_constant(rng, draft.steps[_FIXED - 1])
    else:
        _edit_text(rng, draft)


def _put(draft: Draft, role: str, text: str) -> None:
    """Write another statement where the role's one stands."""
    old = draft.roles.get(role)
    if old in draft.steps:
        draft.steps[draft.steps.index(old)] = text
    else:
        draft.steps.append(text)
    draft.roles[role] = text


def _edit_text(rng: random.Random, draft: Draft) -> None:
    steps = draft.steps
    sort = rng.choice(
        ["change", "change", "insert", "insert", "delete", "swap", "copy", "constant", "layout"]
        + (["first"] if rng.random() < 0.2 else [])
    )
    while len(steps) <= _FIXED:
        steps.append(_statement(rng, draft))
    # Where much stands, the statements that were written last are edited most.
    first = _FIXED if rng.random() < 0.3 else max(_FIXED, len(steps) - 24)
    place, other = rng.randrange(first, len(steps)), rng.randrange(first, len(steps))
    if "serverless.start" in steps[place] + steps[other]:
        return  # there is one, at the end: the builder sees to it
    if sort == "change":
        steps[place] = _statement(rng, draft)
    elif sort == "insert":
        steps.insert(place, _statement(rng, draft))
    elif sort == "delete":
        del steps[place]
    elif sort == "swap":
        steps[place], steps[other] = steps[other], steps[place]
    elif sort == "copy":
        steps.insert(other, steps[place])
    elif sort == "first":
        # What counts at the top of a file only, and what it changes below.
        head = rng.choice(["from __future__ import annotations", "'a docstring'", "'another'"])
        steps[0] = steps[0] if head in steps[0] else f"{head}\n{_IMPORTS[0]}"
        steps[0] = rng.choice([steps[0], _IMPORTS[0]])
    elif sort == "layout":
        steps.insert(place, rng.choice(["# a comment", "", "# rpnb", "\n\n"]))
    else:
        steps[place] = _other_constant(rng, steps[place])


def _other_constant(rng: random.Random, text: str) -> str:
    numbers = [m.start() for m in re.finditer(r"(?<![\w.])[123]\b", text)]
    if not numbers:
        return text
    at = rng.choice(numbers)
    return text[:at] + rng.choice("123") + text[at + 1 :]
