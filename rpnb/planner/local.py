"""Local modules, as the steps that import and call them see them.

A module with state is one more value of the program, known as `$module:NAME`: what
is imported from it shares parts with it, and its functions may change it. What
its functions do to libraries counts as if it stood in the program.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Collection, Iterable, Iterator, Mapping, Sequence

from .effects import AMBIENT, QUIET, WORLD, is_mutator, is_setter, resources
from .keeping import CLASS
from .known import EVERY, LOOKUPS
from .masks import bits, names_in
from .sources import Source

# Forms of a touch that change what is at its path.
_STORES = ("store", "reload")
_Seen = set[tuple[str, str]]
# Methods that leave a library's value as it is, as far as their name tells.
_HARMLESS = EVERY | LOOKUPS | {"acquire", "release", "locked", "isoformat", "submit", "render"}
# Modules whose functions change what they are given.
_SHUFFLERS = ("heapq.", "bisect.insort", "random.shuffle")


@dataclass(frozen=True)
class Effect:
    """What a call or access does: resources written, modules changed, modules shared in."""

    writes: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    shares: frozenset[str] = frozenset()

    def __or__(self, other: Effect) -> Effect:
        """Both effects."""
        return Effect(
            self.writes | other.writes, self.changes | other.changes, self.shares | other.shares
        )


@dataclass(frozen=True)
class Import:
    """What importing a module does, with all that it imports.

    `sets` are statements that may be executed again with the same effect, which is to
    write the resources `again`; `order` tells in which order they stand; `libraries` what
    it imports of others', `reached` all local modules that it imports at once, `modules` those of
    them with state, and itself, `setters` those that write resources.
    """

    identity: str
    order: str = ""
    modules: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    again: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    libraries: frozenset[str] = frozenset()
    reached: frozenset[str] = frozenset()
    setters: frozenset[str] = frozenset()


NOTHING = Import("")
_PARTS = [part.name for part in fields(Import) if part.name not in ("identity", "order")]


class Local:
    """The program's local modules in one version."""

    def __init__(self, files: Mapping[str, str], sources: Mapping[str, Source]) -> None:
        """`files` are path -> digest, data files too; `sources` what the `.py` files tell."""
        self._sources = {_dotted(path): source for path, source in sources.items()}
        self._packages = {_dotted(p) for p in sources if p.endswith("/__init__.py")}
        tops = {dotted.split(".")[0] for dotted in self._sources}
        self._of: dict[str, list[str]] = {top: [] for top in tops}
        for dotted in sorted(self._sources):
            self._of[dotted.split(".")[0]].append(dotted)
        self.trees = {
            top: "\n".join(f"{p} {d}" for p, d in sorted(files.items()) if top_of(p) == top)
            for top in tops
        }
        self._loads = {
            top: {load for file in of for load in self._sources[file].loads} & tops
            for top, of in self._of.items()
        }
        self._loads_at_once = {
            top: {load for file in of for load in self._sources[file].loads_at_once} & tops
            for top, of in self._of.items()
        }
        self._properties = {n for each in self._sources.values() for n in each.properties}
        self._methods = {r.name for each in self._sources.values() for r in each.routines}
        # Attribute -> the modules with a class that has it.
        self._of_classes: dict[str, set[str]] = {}
        for dotted, each in self._sources.items():
            for attribute in each.attributes:
                self._of_classes.setdefault(attribute, set()).add(dotted.split(".")[0])
        self._stateful = {
            t for t, of in self._of.items() if any(self._sources[f].state for f in of)
        }
        self._stateful |= {top for file in self._sources for top in self._stored_into(file)}
        # Whether any of them asks a class for those made from it.
        self.lists_subclasses = any(
            facts.lists_subclasses for each in self._sources.values() for facts in each.facts
        )
        self._effects: dict[str, Effect] = {}
        self._imports: dict[tuple[str, frozenset[str]], Import] = {}

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._of)

    def tops(self) -> dict[str, str]:
        """Return each top-level module's identity, which covers what it imports."""
        return {top: self.load(top).identity for top in self._of}

    def led_to(self, paths: Iterable[str]) -> set[str]:
        """Return the local modules that imports of these paths lead to, at once or later."""
        tops = {path.split(".")[0] for path in paths} & self._of.keys()
        return set[str]().union(*(_closure(top, self._loads) for top in tops))

    def __contains__(self, top: object) -> bool:
        """Tell whether a top-level name is a local module."""
        return top in self._of

    def starred(self, module: str) -> set[str] | None:
        """Return what `from MODULE import *` may bind; None where its text does not say."""
        source = self._sources.get(module)
        # A package may get names from its submodules, a function may bind others.
        if source is None or module in self._packages or "__all__" in source.bound:
            return None
        is_open = any(
            f.is_opaque or f.is_opaque_later or f.has_star or f.deferred_binds for f in source.facts
        )
        return None if is_open else set(source.bound)

    def load(self, top: str, paths: Iterable[str] = ()) -> Import:
        """Return what importing the module does; `paths` are those of its parts that are named."""
        key = top, frozenset(path for path in paths if path.split(".")[0] == top)
        if key not in self._imports:
            self._imports[key] = self._load(*key)
        return self._imports[key]

    def _load(self, top: str, paths: frozenset[str]) -> Import:
        reached, at_once = _closure(top, self._loads), _closure(top, self._loads_at_once)
        text = "\n".join(f"{name} {self.trees[name]}" for name in sorted(reached))
        identity = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        writes, reads, again = set[str](), set[str](), set[str]()
        sets, order = set[str](), list[str]()
        setters, libraries = set[str](), set[str]()
        is_asking, apart = False, set(self._sources) - self._files_reached({top, *paths})
        for module, file in ((name, file) for name in sorted(reached) for file in self._of[name]):
            is_asking = is_asking or self._sources[file].asks
            libraries |= self._sources[file].loads - set(self._of)
            for number, facts in enumerate(self._sources[file].facts):
                found = self._at_once(file, number)
                setters |= {module} if found else set()
                if found and module in at_once and self._is_repeatable(file, number):
                    # One that nothing imports any more is not made again.
                    has_set = " apart" if file in apart else ""
                    sets.add(self._sources[file].identities[number] + has_set)
                    order.append(self._sources[file].identities[number])
                    again |= found
                else:
                    order += [path for path in sorted(facts.loads) if self._is_near(path)]
                    writes |= found
                reads |= AMBIENT if facts.has_calls and not facts.is_inert else set()
                reads |= self._looked_at(file, number)
        if is_asking:
            # It would see what was set before, where a fresh process does not.
            writes, again, sets = writes | again, set[str](), set[str]()
        modules = (reached & self._stateful) | {top}
        parts = (modules, writes, reads, again, sets, libraries, at_once, setters)
        return Import(identity, " ".join(order) if sets else "", *map(frozenset, parts))

    def _files_reached(self, paths: Iterable[str]) -> set[str]:
        """Return the files that are imported with modules of these paths, as their text says."""
        reached, todo = set[str](), [each for path in paths for each in _above(path)]
        while todo:
            file = todo.pop()
            if file in reached or file not in self._sources:
                continue
            reached.add(file)
            for facts in self._sources[file].facts:
                named = (*facts.loads, *facts.imports.values()) if facts.loads else ()
                todo += [each for p in named for each in _above(self._anchored(file, p))]
        return reached

    def _stored_into(self, file: str) -> Iterator[str]:
        """Yield the local modules that a module's code gives other attributes."""
        for found in self._sources[file].facts:
            for touch in found.touches:
                path = self._absolute(file, touch.root, touch.path) if touch.form in _STORES else ""
                if path and self._is_local(path):
                    yield path.split(".")[0]

    def _looked_at(self, file: str, number: int) -> set[str]:
        """Resources that a statement of a module asks for by name while that is imported."""
        names = self._sources[file].names
        facts, masks, found = names.every[number], names.masks[number], set[str]()
        for touch in facts.touches:
            path = self._absolute(file, touch.root, touch.path)
            if touch.form == "load" and not touch.deferred and path and not self._is_local(path):
                found |= {WORLD} | (resources(path, "store") & AMBIENT)
        if facts.binds:
            quiet = names_in(names.quiet(masks.reads, masks.told))
            found |= {each[1:] for each in quiet} & QUIET.keys()
        return found

    def _at_once(self, file: str, number: int) -> set[str]:
        """Resources that a statement of a module writes while the module is imported."""
        source = self._sources[file]
        facts, found = source.facts[number], set[str]()
        for touch in facts.touches:
            path = self._absolute(file, touch.root, touch.path)
            if path and not touch.deferred:
                found |= self.touch(path, touch.form).writes
        if facts.has_calls:
            units = source.names.code(facts.reads | facts.deferred_reads)
            for unit in bits(units | (1 << number)):
                found |= self._unit(file, unit, set()).writes
        return found

    def _is_repeatable(self, file: str, number: int) -> bool:
        """Tell whether a statement may be executed again with the same effect."""
        facts = self._sources[file].facts[number]
        plain = [
            t.form == "store" or is_setter(t.path.rpartition(".")[2] or t.root)
            for t in facts.touches
            if not t.deferred and t.form != "load"
        ]
        return all(plain) and facts.reads <= set(self._sources[file].names.imports)

    def touch(self, path: str, form: str) -> Effect:
        """Return what a store, call or load (`form`) at a dotted path does, local or not."""
        top = path.split(".", maxsplit=1)[0]
        if top not in self._of:
            return Effect(resources(path, form))
        effect = self._effect(path)
        if form == "store":
            return Effect(changes=frozenset({top}))
        if form == "reload":
            # What it sets while it is imported, it sets again.
            return Effect(self.load(top).writes | self.load(top).again, frozenset({top}))
        if form == "load":
            return effect if self._is_moving(path) else Effect(shares=effect.shares)
        if is_mutator(path.rpartition(".")[2]) and effect.shares:
            return effect | Effect(changes=frozenset({top}))
        if form == "bare" and not self._is_known(path):
            return Effect(frozenset({WORLD}), frozenset({top}))
        return effect

    def _effect(self, path: str) -> Effect:
        if path not in self._effects:
            self._effects[path] = self._followed(path, set())
        return self._effects[path]

    def _is_moving(self, path: str) -> bool:
        """Tell whether to read what is at a path runs code of it: a property, an iterator."""
        file, rest = self._split(path)
        source = self._sources[file]
        is_asked = "__getattr__" in source.bound and rest and rest[0] not in source.bound
        is_iterator = bool(rest) and rest[0] in source.iterators
        return bool(is_asked) or is_iterator or not self._properties.isdisjoint(rest[1:])

    def _is_known(self, path: str) -> bool:
        file, rest = self._split(path)
        return not rest or rest[0] in self._sources[file].bound

    def _split(self, path: str) -> tuple[str, list[str]]:
        """Return the file that a path leads into, and the names in it."""
        parts = path.split(".")
        for end in range(len(parts), 0, -1):
            if ".".join(parts[:end]) in self._sources:
                return ".".join(parts[:end]), parts[end:]
        # A namespace package: any of its files may be meant.
        return self._of[parts[0]][0], parts[1:]

    def _followed(self, path: str, seen: _Seen) -> Effect:
        """Return the effect of a call or access at a local path."""
        file, rest = self._split(path)
        if not rest or (file, rest[0]) in seen:
            return Effect()
        seen.add((file, rest[0]))
        source, top = self._sources[file], file.split(".")[0]
        if rest[0] not in source.bound:
            effect = Effect(shares=frozenset({top} if source.state else ()))
            if "__getattr__" in source.bound:
                effect |= self._followed(f"{file}.__getattr__", seen)
            for star in source.stars:
                onward = self._absolute(file, star, ".".join(rest))
                effect |= self._followed(onward, seen) if self._is_local(onward) else Effect()
            return effect
        if rest[0] in source.names.imports and rest[0] not in source.defined:
            onward = self._absolute(file, rest[0], ".".join(rest[1:]))
            return self._followed(onward, seen) if self._is_local(onward) else Effect()
        shares = frozenset({top}) if source.is_shared(rest) else frozenset[str]()
        is_moved = self._moves(file, rest[0], rest[-1] if rest[1:] else "")
        effect = Effect(changes=frozenset({top} if is_moved else ()), shares=shares)
        units = list(source.reached(rest[0]))
        for unit in units:
            effect |= self._unit(file, unit, seen)
        # An object may do at any time what its class does.
        is_object = any(map(source.is_class, units))
        return effect | Effect(shares=effect.changes if is_object else frozenset())

    def _unit(self, file: str, unit: int, seen: _Seen) -> Effect:
        """Return what the deferred code of a statement of a module does."""
        facts, top = self._sources[file].facts[unit], file.split(".", maxsplit=1)[0]
        stored = facts.deferred_binds | (facts.deferred_changes - set(facts.imports))
        is_stored = stored or facts.is_opaque_later or self._keeps(file, unit)
        effect = Effect(changes=frozenset({top} if is_stored else ()))
        kept = self._sources[file].keeping[unit]
        classes = frozenset[str]().union(*(self._of_classes.get(each, ()) for each in kept.asides))
        effect |= Effect(changes=classes, shares=frozenset({top} if kept.lends else ()))
        for base in self._meant(file, facts.bases) if facts.bases else ():
            effect |= self._followed(base, seen)
        for touch in facts.touches:
            path = self._absolute(file, touch.root, touch.path) if touch.deferred else ""
            if not path:
                continue
            if not self._is_local(path):
                effect |= Effect(resources(path, touch.form))
            elif touch.form in _STORES:
                effect |= self.touch(path, touch.form)
            elif touch.form != "load":
                found = self._followed(path, seen)
                changed = is_mutator(path.rpartition(".")[2]) and found.shares
                changes = found.changes | (found.shares if changed else frozenset())
                effect |= Effect(found.writes, changes, found.shares & found.changes)
        return effect

    def _meant(self, file: str, names: Collection[str]) -> Iterator[str]:
        """Yield the paths of other local modules that a file's uses of imported names mean."""
        touches = (t for facts in self._sources[file].facts for t in facts.touches)
        used = {(t.root, t.path) for t in touches if t.root in names} | {(n, "") for n in names}
        paths = (self._absolute(file, *each) for each in used)
        return (path for path in paths if path and self._is_local(path))

    def _keeps(self, file: str, unit: int) -> bool:
        """Tell whether the functions of a statement keep anything of their calls."""
        source = self._sources[file]
        found = source.keeping[unit]
        return (
            found.always
            or bool(source.facts[unit].deferred_reads & source.iterators)
            or any(self._moves(file, name, method) for name, method in found.asked)
            or any(
                not given.isdisjoint({CLASS, *source.values, *source.classes})
                and self._is_given(file, function)
                for function, given in found.handed
            )
        )

    def _moves(self, file: str, name: str, method: str) -> bool:
        """Tell whether a call of a module's value, or of a method of it, changes it."""
        if name not in self._sources[file].values:
            return False
        is_own = method in self._methods
        return self._holds(file, name, set()) or not (is_own or method in _HARMLESS)

    def _holds(self, file: str, name: str, seen: _Seen) -> bool:
        """Tell whether a value is made of functions or classes whose objects keep something."""
        source = self._sources[file]
        if (file, name) in seen:
            return False
        seen.add((file, name))
        return name in source.iterators or any(
            self._is_kept(file, each, seen)
            for each in (source.makers(name) if name in source.values else ())
        )

    def _is_kept(self, file: str, name: str, seen: _Seen) -> bool:
        """Tell whether what a function returns, or an object of a class, keeps something."""
        source = self._sources[file]
        if name in source.names.imports and name not in source.defined:
            ends = map(self._split, self._meant(file, {name}))
            return any(rest and self._is_kept(f, rest[0], seen) for f, rest in ends)
        return self._holds(file, name, seen) or any(
            source.keeping[unit].objects for unit in source.reached(name)
        )

    def _is_given(self, file: str, function: str) -> bool:
        """Tell whether a function stores into what it is given."""
        source, (root, _, rest) = self._sources[file], function.partition(".")
        path = self._absolute(file, root, rest)
        if not path:
            return any(source.keeping[unit].given for unit in source.reached(root))
        if not self._is_local(path):
            return path.startswith(_SHUFFLERS)
        target, names = self._split(path)
        return bool(names) and target != file and self._is_given(target, ".".join(names))

    def _is_near(self, path: str) -> bool:
        return path.startswith(".") or self._is_local(path)

    def _is_local(self, path: str) -> bool:
        return path.split(".", maxsplit=1)[0] in self._of

    def _absolute(self, file: str, root: str, path: str) -> str:
        """Return the dotted path of an access in a module; '' where its root is no import."""
        start = self._sources[file].names.imports.get(root)
        if root.endswith("*"):
            start = root[:-1].rstrip(".") or root[:-1]
        if start is None:
            return ""
        start = self._anchored(file, start)
        return f"{start}.{path}" if path else start

    def _anchored(self, file: str, path: str) -> str:
        """Return the dotted path that an import in a file means."""
        if path[0] != ".":
            return path
        level = len(path) - len(path.lstrip("."))
        package = file.split(".") if file in self._packages else file.split(".")[:-1]
        package = package[: len(package) - (level - 1)]
        return ".".join([*package, *(part for part in path.lstrip(".").split(".") if part)])


NONE = Local({}, {})


def top_of(path: str) -> str:
    """Return the top-level module or folder of a file's path."""
    first = path.partition("/")[0]
    return first[:-3] if first.endswith(".py") else first


def _above(path: str) -> list[str]:
    """Return a dotted path, and the packages that it lies in."""
    parts = path.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _closure(top: str, loads: Mapping[str, set[str]]) -> set[str]:
    reached, todo = {top}, [top]
    while todo:
        more = loads[todo.pop()] - reached
        reached |= more
        todo.extend(more)
    return reached


def _dotted(path: str) -> str:
    parts = path[:-3].split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def together(every: Sequence[Import]) -> Import:
    """Return what several imports do."""
    parts = [frozenset[str]().union(*(getattr(each, name) for each in every)) for name in _PARTS]
    identity = " ".join(each.identity for each in every)
    return Import(identity, " ".join(each.order for each in every).strip(), *parts)
