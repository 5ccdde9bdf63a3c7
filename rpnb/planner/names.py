"""What the names of a set of statements stand for: imports, code that is reached, resources."""

from __future__ import annotations

import builtins
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Collection, Iterable, Iterator, Mapping, NamedTuple, Protocol, Sequence

from .effects import AMBIENT, QUIET, asked, drawn, resources
from .facts import Facts, altered, imported
from .masks import (
    AMBIENT_MASK,
    LOGGING_MASK,
    PROBED_MASK,
    RANDOM_MASK,
    WORLD_MASK,
    bit,
    bits,
    mask,
    mask_of,
    module_mask,
    resource_mask,
)
from .methods import PlainClass, Shape, chosen, is_setting, lingering, objects, shape
from .scopes import MODULE_NAMES

# Python's own names that are asked what they stand for.
_TYPES = ("dict", "list", "str", "int", "float", "bool", "len")
# Calls that give a number or a text.
_GIVING_TEXT = frozenset(
    {
        *(f"builtins.{name}" for name in ("str", "int", "float", "bool", "len")),
        *("os.getenv", "os.environ.get", "os.path.join", "time.time", "time.perf_counter"),
    }
)


@dataclass(frozen=True, eq=False)
class Masks:
    """The facts of one statement as integers."""

    reads: int
    binds: int
    deferred_reads: int
    deferred_binds: int
    changes: int
    deferred_changes: int
    calls: int
    stored: int
    deferred_calls: int
    # Names of which it reads named parts only.
    parts: int
    has_deferred: bool
    # Names that it asks for no setting, at once or when called: if `logging`, if loggers.
    told: tuple[int, int]
    read_names: tuple[str, ...]
    made_names: tuple[str, ...]


@lru_cache(maxsize=20_000)
def masks_of(facts: Facts) -> Masks:
    """Return the facts of one statement as integers."""
    made = facts.binds | facts.changes | facts.deferred_binds
    if not facts.is_definition:
        made |= facts.calls
    deferred = [facts.deferred_reads, facts.deferred_binds, facts.deferred_changes]
    return Masks(
        reads=mask(facts.reads),
        binds=mask(facts.binds),
        deferred_reads=mask(facts.deferred_reads),
        deferred_binds=mask(facts.deferred_binds),
        changes=mask(facts.changes),
        deferred_changes=mask(facts.deferred_changes),
        calls=mask(facts.calls),
        stored=mask(facts.stored),
        deferred_calls=mask(facts.deferred_calls),
        parts=mask(facts.all_parts),
        has_deferred=any(deferred)
        or bool(facts.deferred_loads)
        or facts.is_opaque_later
        or any(touch.deferred for touch in facts.touches)
        or any(touch.root[:7] == "import " for touch in facts.later_looks),
        told=(mask(facts.told[0]), mask(facts.told[1])),
        read_names=tuple(facts.reads | facts.deferred_reads),
        made_names=tuple(made),
    )


class Done(NamedTuple):
    """What touching libraries and local modules does: resources, and state of modules."""

    reads: int
    writes: int
    changes: int
    shares: int


_NOTHING_DONE = Done(0, 0, 0, 0)


class LocalModules(Protocol):
    """What is asked of `local.Local`."""

    lists_subclasses: bool

    def __contains__(self, top: object) -> bool: ...

    def __bool__(self) -> bool: ...

    def load(self, top: str) -> Any: ...  # noqa: D102

    def starred(self, module: str) -> set[str] | None: ...  # noqa: D102

    def touch(self, path: str, form: str) -> Any: ...  # noqa: D102


class Names:
    """What the names of a set of statements stand for: imports, reachable code, resources.

    `local` are the versions of the local modules that the statements may import; `stars`
    tells for names that `from module import *` bound what they stand for, `seen` are all
    names that statements were seen to bind.
    """

    def __init__(
        self,
        every: Sequence[Facts],
        local: Sequence[LocalModules] = (),
        stars: Mapping[str, str] | None = None,
        seen: frozenset[str] = frozenset(),
    ) -> None:
        self.every = every
        self.masks = [masks_of(facts) for facts in every]
        self._number = {id(facts): i for i, facts in enumerate(every)}
        self._bound = self.stored = 0
        self.all = mask_of(seen)
        # Names of loggers, whose settings are a resource.
        self.loggers = 0
        for m in self.masks:
            self._bound |= m.binds | m.deferred_binds
            self.stored |= m.stored
            self.all |= m.reads | m.binds | m.deferred_reads | m.deferred_binds
        self.imports = {**(stars or {}), **imported(every)}
        self.stand_for = self._stand_for()
        self._local = [each for each in local if each]
        self._quiet = [(bit(n), found) for n, p in self.imports.items() if (found := self._seen(p))]
        # Local modules into which the program stores.
        self.stored_modules = frozenset(self._stored_modules())
        # What of libraries it binds anew: whoever imports that by its name looks at it.
        stores = (t for f in every for t in f.touches if t.form == "store" and t.path)
        self._patched = {f"{self.imports.get(t.root)}.{t.path}" for t in stores}
        self.registries = self._registries()
        self._units = [
            (1 << i if m.has_deferred or every[i].plain else 0, m.read_names, m.made_names)
            for i, m in enumerate(self.masks)
        ]
        self._objects_of: dict[int, frozenset[str] | None] = {}
        # Methods that may run without being mentioned.
        self._late: frozenset[str] | None = None
        # Statements (one bit each) that make plain classes.
        self._plain = sum(1 << i for i, facts in enumerate(every) if facts.plain)
        # Statements (one bit each) whose deferred code may read and bind any name.
        self.opaque = sum(1 << i for i, facts in enumerate(every) if facts.is_opaque_later)
        self._code: dict[str, int] | None = None
        self._asked = dict[str, int]()
        self._altered = altered(every)
        self._done = [self._touched(facts, deferred=False) for facts in every]
        self._done_later = [
            self._touched(facts, deferred=True) if m.has_deferred else _NOTHING_DONE
            for facts, m in zip(every, self.masks)
        ]
        self.seeded = self.modules = 0
        for done in (*self._done, *self._done_later):
            self.seeded |= done.writes & RANDOM_MASK
            self.modules |= done.changes | done.shares

    def is_builtin(self, name: str) -> bool:
        """Tell whether the name is Python's or every module's, and no statement binds it."""
        is_own = hasattr(builtins, name) or name in MODULE_NAMES
        return is_own and not bit(name) & self._bound

    def _stand_for(self) -> dict[str, str]:
        """Return what names stand for that nothing binds but imports, or Python itself."""
        own = frozenset[str]().union(*(f.binds - f.imports.keys() for f in self.every))
        found = {name: f"builtins.{name}" for name in _TYPES if self.is_builtin(name)}
        return {**found, **{n: path for n, path in self.imports.items() if n not in own}}

    def _registries(self) -> frozenset[str]:
        """A class that is asked for its subclasses is changed by each that is made."""
        if any(each.lists_subclasses for each in self.every) or any(
            each.lists_subclasses for each in self._local
        ):
            return frozenset[str]().union(*(facts.bases for facts in self.every))
        return frozenset()

    def _stored_modules(self) -> Iterator[str]:
        for touch in (t for f in self.every if self._local for t in f.touches):
            top = self.imports.get(touch.root, "").partition(".")[0]
            if touch.form == "store" and any(top in local for local in self._local):
                yield top

    def kind_of(self, shown: str | None) -> str | None:
        """Return the kind that a text shows; `int()` stands for what that returns."""
        if shown is None or not shown.endswith("()"):
            return shown
        root, _, rest = shown[:-2].partition(".")
        start = self.stand_for.get(root, "")
        return "imm" if (f"{start}.{rest}" if rest else start) in _GIVING_TEXT else None

    def number(self, facts: Facts) -> int:
        """Return the position of `facts` in `every`."""
        return self._number[id(facts)]

    def code(self, names: Iterable[str]) -> int:
        """Return the statements (one bit each) whose deferred code these names may run."""
        if self._code is None:
            self._code = self._reachable()
        found = 0
        for name in names:
            found |= self._code.get(name, 0)
        return found

    def done(self, number: int) -> Done:
        """What the statement does to libraries and local modules when it runs."""
        return self._done[number]

    def deferred(self, units: int, caller: int | None = None) -> Done:
        """Return what the deferred code of these statements does.

        It may hand out what it `shares`: parts of local modules' state.

        Where a statement is the `caller`, only the methods that it may run count.
        """
        if not units:
            return _NOTHING_DONE
        methods = self.methods(units, caller) if caller is not None else {}
        reads = binds = changes = shares = 0
        for facts, done in self._running(units, methods):
            m = masks_of(facts)
            shares |= done.shares
            reads |= m.deferred_reads | done.reads | self.quiet(m.deferred_reads, m.told)
            binds |= m.deferred_binds | done.writes
            changes |= m.deferred_changes | m.deferred_calls | done.changes
            if facts.deferred_results:
                changes |= self.through(facts.deferred_results)
        return Done(reads, binds, changes, shares)

    def drawn(self, units: int) -> int:
        """Return the generators, if seeded, from which deferred code of these statements draws."""
        paths = (
            f"{self.imports[touch.root]}.{touch.path}"
            for number in bits(units)
            for touch in self.every[number].touches
            if touch.deferred and touch.root in self.imports
        )
        return resource_mask(r for path in paths for r in drawn(path)) & self.seeded

    def _running(
        self, units: int, methods: Mapping[int, Collection[str]]
    ) -> Iterator[tuple[Facts, Done]]:
        for number in bits(units):
            for name in methods.get(number, ()):
                facts = self.every[number].methods[name]
                yield facts, self._touched(facts, deferred=True)
            if number not in methods:
                yield self.every[number], self._done_later[number]

    def methods(self, units: int, caller: int) -> dict[int, frozenset[str]]:
        """Return which methods of the plain classes among `units` a statement may run.

        A class is not there if code that is not seen may run any of them.
        """
        if not units & self._plain:
            return {}
        shapes, classes = self._apart(units)
        if classes and self._late is None:
            # A function that nothing of the set-up calls, jobs alone do.
            runs = [f for f in self.every if not (f.is_start or f.is_definition or f.plain)]
            seen = self._apart(self.code(name for facts in runs for name in facts.reads))
            self._late = lingering([*seen[0], *(shape(f.text) for f in runs)], seen[1])
        late = self._late or frozenset()
        return chosen([shape(self.every[caller].text), *shapes], classes, late) if classes else {}

    def _apart(
        self, units: int
    ) -> tuple[list[Shape], dict[int, tuple[PlainClass, frozenset[str]]]]:
        """Return the shapes of statements, and apart from these the plain classes among them."""
        classes, shapes = dict[int, tuple[PlainClass, frozenset[str]]](), list[Shape]()
        for number in bits(units):
            plain = self.every[number].plain
            names = self._objects(number) if plain else None
            if plain is not None and names is not None:
                classes[number] = plain, names
            else:
                shapes.append(shape(self.every[number].text))
        return shapes, classes

    def is_open(self, facts: Facts) -> bool:
        """Tell whether code that is not seen may have a plain class, or an object of it."""
        return self._objects(self.number(facts)) is None

    def _objects(self, number: int) -> frozenset[str] | None:
        """Return the names of a plain class's objects; None where they may be anywhere."""
        plain = self.every[number].plain
        if number not in self._objects_of and plain is not None:
            others = [f for f in self.every if not f.is_start and f.plain is None]
            kin = [f for f in self.every if f.plain and f.plain is not plain]
            is_open = any(f.names_any for f in self.every)
            lent = plain.lent
            is_open |= any(lent & f.binds and not is_setting(f.text) for f in self.every)
            shapes = [shape(facts.text) for facts in (*others, *kin)]
            self._objects_of[number] = None if is_open else objects(plain, shapes)
        return self._objects_of[number]

    def through(self, functions: Collection[str]) -> int:
        """Return what may be changed through the results of these functions."""
        found = 0
        for number in bits(self.code(functions)):
            found |= self.masks[number].deferred_reads | self._done_later[number].shares
        return found

    def quiet(self, reads: int, told: tuple[int, int]) -> int:
        """Return the quiet resources and modules' state that code reads because it names them.

        `told` are names that it asks for no setting: if they are `logging`, if loggers.
        """
        found = 0
        for name, resource in self._quiet:
            if reads & name:
                found |= resource & ~LOGGING_MASK if told[0] & name else resource
        return found | (LOGGING_MASK if reads & self.loggers & ~told[1] else 0)

    def loaded(self, facts: Facts) -> int:
        """Return the state of the local modules that a statement imports."""
        found = 0
        for module in facts.loads:
            found |= self._seen(module) & ~PROBED_MASK
        return found

    def starred(self, facts: Facts) -> int:
        """Return the names that a star import may bind: all, where it is of a library."""
        module, found = facts.imports.get("*", "")[:-2], 0
        versions = [local for local in self._local if module.split(".")[0] in local]
        for local in versions:
            bound = local.starred(module)
            if bound is None:
                return self.all
            found |= mask(bound)
        return found if versions else self.all

    def narrow(
        self,
        fixed: frozenset[str],
        partial: Mapping[int, frozenset[str]],
        known: Collection[int],
    ) -> None:
        """Let no code be held by `fixed` names, nor handed over by harmless statements.

        `partial` tells for statements of which names they read only what nothing can
        change; `known` ones keep nothing of what they are given.
        """
        self._code = self._reachable(fixed, partial, known)
        self._late = None

    def _reachable(
        self,
        fixed: frozenset[str] = frozenset(),
        partial: Mapping[int, frozenset[str]] = MappingProxyType({}),
        known: Collection[int] = (),
    ) -> dict[str, int]:
        """Name -> the statements whose deferred code a call on its value may run."""
        code: dict[str, int] = defaultdict(int)
        is_moving = True
        while is_moving:
            is_moving = False
            for number, (own, reads, made) in enumerate(self._units):
                apart, found = partial.get(number, ()), own
                # What a known call makes anew holds nothing of what it was called on.
                lost = self.every[number].receivers if number in known else ()
                for name in reads:
                    if name in code and name not in apart and name not in lost:
                        found |= code[name]
                if not found:
                    continue
                for name in self.every[number].binds if number in known else made:
                    if found & ~code[name] and name not in fixed and name not in apart:
                        code[name] |= found
                        is_moving = True
        return code

    def asked(self, paths: Collection[str]) -> int:
        """Return the settings that calls of these paths, of numbers and texts, may ask for."""
        found = 0
        for path in paths:
            if path not in self._asked:
                root, _, rest = path.partition(".")
                start = self.stand_for.get(root, "")
                self._asked[path] = resource_mask(asked(f"{start}.{rest}" if rest else start))
            found |= self._asked[path]
        return found

    def _seen(self, path: str) -> int:
        """What a step reads because it names something imported from `path`."""
        top = path.split(".", maxsplit=1)[0]
        found = resource_mask(r for r, module in QUIET.items() if top == module)
        for local in self._local:
            if top in local:
                found |= module_mask(local.load(top).modules)
        return found

    def _touched(self, facts: Facts, *, deferred: bool) -> Done:
        has_later = deferred and (facts.deferred_loads or facts.later_looks)
        if not (facts.touches or has_later or self._local or self._patched):
            return _NOTHING_DONE
        writes = changes = shares = 0
        reads = 0 if self._patched.isdisjoint(facts.imports.values()) else WORLD_MASK
        for touch in facts.touches:
            start = self.imports.get(touch.root)
            if start is not None and touch.deferred == deferred:
                path = f"{start}.{touch.path}" if touch.path else start
                done = self._effect(path, touch.form)
                # A module that is looked up by its name has none that could be read.
                reads |= done.reads | (self._seen(start) if touch.root[:7] == "import " else 0)
                writes |= done.writes
                changes |= done.changes
                shares |= done.shares
        for each in facts.handed:
            start = self.imports.get(each.root)
            if start is not None and (each.function, each.place) in self._altered:
                done = self._effect(f"{start}.{each.path}" if each.path else start, "store")
                writes |= done.writes if each.deferred == deferred else 0
                changes |= done.changes if each.deferred == deferred else 0
        for done in self._lent(facts, deferred=deferred) if self._local else ():
            writes, changes, shares = (
                writes | done.writes,
                changes | done.changes,
                shares | done.shares,
            )
        for module in facts.deferred_loads if deferred and self._local else ():
            top = module.split(".")[0]
            reads |= self._seen(top)
            for local in self._local:
                if top in local:
                    found = local.load(top)
                    reads |= resource_mask(found.reads)
                    writes |= resource_mask(found.writes | found.again)
        for touch in facts.later_looks if deferred and self._local else ():
            start = self.imports.get(touch.root, "")
            if self._is_local(start):
                path = f"{start}.{touch.path}" if touch.path else start
                shares |= self._effect(path, "load").shares
                reads |= self._seen(start) if touch.root[:7] == "import " else 0
        return Done(reads, writes, changes, shares)

    def _lent(self, facts: Facts, *, deferred: bool) -> Iterator[Done]:
        """Yield what functions of local modules may do that are handed over as values.

        What a statement calls may call them at once, else whoever uses what it binds.
        """
        is_called = deferred or (facts.has_calls and not facts.is_kept)
        for touch in facts.lent:
            start = self.imports.get(touch.root, "")
            if touch.deferred == deferred and self._is_local(start):
                done = self._effect(f"{start}.{touch.path}" if touch.path else start, "use")
                kept = done.changes | done.shares
                if not touch.path and "." not in start:
                    kept |= self._seen(start) & ~PROBED_MASK
                yield Done(0, done.writes, kept, kept) if is_called else Done(0, 0, 0, kept)

    def _is_local(self, path: str) -> bool:
        top = path.partition(".")[0]
        return any(top in local for local in self._local)

    def _effect(self, path: str, form: str) -> Done:
        top, found = path.split(".", maxsplit=1)[0], _NOTHING_DONE
        is_local = False
        for local in self._local:
            if top in local:
                is_local = True
                done = local.touch(path, form)
                found = Done(
                    0,
                    found.writes | resource_mask(done.writes),
                    found.changes | module_mask(done.changes),
                    found.shares | module_mask(done.shares),
                )
        if is_local:
            # Asked for an attribute, an object may run code of its module.
            return found._replace(reads=AMBIENT_MASK) if form == "load" else found
        # What a library's attribute is depends on how the library stands.
        asked = resources(path, "store") & AMBIENT if form == "load" else ()
        reads = (WORLD_MASK if form == "load" else 0) | resource_mask(asked)
        return Done(reads, resource_mask(resources(path, form)), 0, 0)
