"""What served jobs leave in the program's globals, and on what code that depends.

A job may fill a cache, load a model when it is first asked for, keep something in
an object's attribute, in a default, or in what a closure holds. All that stands as
long as the code that made it does. Only stores that the text shows count: what a
call on a model may do inside it is trusted.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Collection, Iterator, Mapping, Sequence

from .calls import LOOKUPS
from .effects import resources
from .facts import Facts
from .local import Import
from .names import imported
from .routines import Routine, Store, depends_on, routines, whole
from .steps import Settings, Step

# What these return still holds what they were given.
_HOLDING = frozenset(
    {
        *("iter", "reversed", "enumerate", "zip", "sorted", "list", "tuple", "next", "max", "min"),
        *("filter", "cast", "copy"),
    }
)


@dataclass(frozen=True)
class JobWrite:
    """What served jobs bound and changed; `functions` are what that depends on.

    A resource that they wrote is bound as `$environ` and its like.
    `calls` are the calls, with constant arguments alone, that had it made: as long
    as the program makes the same ones, their callers do not matter. `runs` is a
    function that one of them left running, `settings` what stood when they ran.
    """

    functions: frozenset[str]
    binds: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    runs: str = ""
    settings: Settings = ()


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


def served(
    steps: Sequence[Step],
    start: Step,
    kinds: Mapping[str, str],
    seen: Collection[str] = (),
) -> tuple[JobWrite, ...]:
    """Return what jobs may have left in globals; `start` is the step that gave the handler.

    `seen` are names that were bound and resources (`$environ`) that were written while
    they ran: what no text shows depends on all that jobs use. Add it to what still
    stands; call it before the next plan.
    """
    found = _Served(steps, start, kinds).writes(frozenset(seen))
    hidden = frozenset(seen).difference(*(job.binds for job in found))
    return (*found, JobWrite(start.facts.reads, hidden)) if hidden else found


def mentioning(steps: Sequence[Step], name: str) -> set[str]:
    """Return the functions whose text mentions `name`."""
    every = (step.facts for step in steps)
    return {min(f.binds) for f in every if f.binds and name in f.deferred_reads}


def stands(job: JobWrite, new: Sequence[Step], kinds: Mapping[str, str]) -> bool:
    """Tell whether the new program would still make the same calls with constant arguments."""
    if not job.calls:
        return True
    starts = [step for step in new if is_registering(step)]
    writes = served(new, starts[-1], kinds) if starts else ()
    return any(job.functions == each.functions and job.calls == each.calls for each in writes)


def is_registering(step: Step) -> bool:
    """Tell whether a step may call `runpod.serverless.start`."""
    return step.facts.is_start or "serverless.start" in step.statement.text


@dataclass
class _Part:
    """A statement that jobs reach, and the routines in it."""

    facts: Facts
    names: frozenset[str]
    routines: tuple[Routine, ...]
    imported: Import


class _Served:
    """The statements that jobs reach."""

    def __init__(self, steps: Sequence[Step], start: Step, kinds: Mapping[str, str]) -> None:
        self._kinds = kinds
        every = [step.facts for step in steps if not step.facts.is_start]
        self._entry = start.facts.reads | start.facts.deferred_reads
        self._reached = reached_by(every, self._entry)
        self._every = every
        self._parts = [
            _Part(step.facts, step.facts.binds, routines(step.statement.text), step.imported)
            for step in steps
            if step.facts.binds & self._reached and not step.facts.is_start
        ]
        text = whole(start.statement.text)
        self._parts.append(_Part(start.facts, frozenset(), text, start.imported))
        self._by_name: dict[str, list[tuple[_Part, Routine]]] = {}
        for part in self._parts:
            for routine in part.routines:
                name = f".{routine.name}" if routine.cls else routine.name
                self._by_name.setdefault(name, []).append((part, routine))
        self._classes = {
            name
            for part in self._parts
            for name in part.names
            if any(r.cls == name for r in part.routines)
        }

    def writes(self, seen: frozenset[str] = frozenset()) -> tuple[JobWrite, ...]:
        """Return one write for each statement whose functions store into what outlives a job."""
        found, imports = [], imported(self._every)
        for part in self._parts:
            binds = part.facts.deferred_binds | (_resources(part, imports) & seen)
            changes = set(part.facts.deferred_changes)
            if any(routine.keeps and not routine.parent for routine in part.routines):
                changes |= part.names
            if any(map(_runs_text, part.routines)):
                changes.update(self._every_name())
            is_unkeyed = False
            for routine in part.routines:
                for name in routine.globals & set(routine.sources):
                    bound = Store(ast.Name(name), tuple(routine.sources[name]), ())
                    is_unkeyed = is_unkeyed or _is_unkeyed(routine, bound)
                for store in _in_place(routine):
                    roots = set(self._roots(store.target, part, routine, set()))
                    changes |= roots
                    is_unkeyed = is_unkeyed or (bool(roots) and _is_unkeyed(routine, store))
            if not (binds or changes):
                continue
            functions, calls = set(part.names or self._entry), set[str]()
            if is_unkeyed:
                self._ask_callers(part, functions, calls)
            found.append(
                JobWrite(frozenset(functions), binds, frozenset(changes), frozenset(calls))
            )
        return tuple(found)

    def _roots(
        self, expr: ast.AST, part: _Part, routine: Routine, seen: set[object]
    ) -> Iterator[str]:
        """Yield the globals whose value an access path may lead into."""
        if isinstance(expr, ast.Name):
            if (routine, expr.id) not in seen:
                seen.add((routine, expr.id))
                yield from self._root(expr.id, part, routine, seen)
        elif isinstance(
            expr, (ast.Attribute, ast.Subscript, ast.Starred, ast.Await, ast.NamedExpr)
        ):
            yield from self._roots(expr.value, part, routine, seen)
        elif isinstance(expr, ast.Call):
            if expr not in seen:
                seen.add(expr)
                yield from self._result(expr, part, routine, seen)
        elif isinstance(expr, (ast.BoolOp, ast.IfExp, ast.Tuple, ast.List, ast.Dict)):
            for child in ast.iter_child_nodes(expr):
                yield from self._roots(child, part, routine, seen)

    def _root(self, name: str, part: _Part, routine: Routine, seen: set[object]) -> Iterator[str]:
        place = routine.place(name)
        if place == "global":
            yield name
        elif place == "local":
            for source in routine.sources[name]:
                yield from self._roots(source, part, routine, seen)
        elif place == "cell":
            yield from self._holders(part)
        elif place == "param":
            yield from self._passed(name, part, routine, seen)

    def _every_name(self) -> Iterator[str]:
        """What code that looks names up by computed strings may come upon."""
        yield from (name for facts in self._every for name in facts.binds)

    def _holders(self, part: _Part) -> Iterator[str]:
        """What a closure of this statement is held by: what calls of it made."""
        yield from (name for name in part.names if self._kinds.get(name) == "data")
        for facts in self._every:
            if facts.has_calls and facts.reads & part.names:
                yield from (facts.binds | facts.changes) & self._reached

    def _passed(
        self, param: str, part: _Part, routine: Routine, seen: set[object]
    ) -> Iterator[str]:
        """What callers hand over as this parameter, or its default is."""
        if param in routine.defaults:
            outer = routine.parent or Routine("", is_whole=True)
            yield from (name for name in part.names if self._kinds.get(name) == "data")
            yield from self._roots(routine.defaults[param], part, outer, seen)
        is_first = routine.cls and routine.sort != "staticmethod" and routine.params[:1] == [param]
        if is_first and (routine.sort == "classmethod" or routine.name == "__new__"):
            yield routine.cls
        first = 1 if routine.cls and routine.sort != "staticmethod" else 0
        for there, caller, call in self._callers(routine):
            if is_first:
                if isinstance(call.func, ast.Attribute):
                    found = self._roots(call.func.value, there, caller, seen)
                else:
                    found = self._roots(call.func, there, caller, seen)
                yield from (name for name in found if self._is_own(name))
            else:
                for given in routine.argument(call, param, first=first):
                    yield from self._roots(given, there, caller, seen)
        if is_first:
            for there, caller in self._everywhere():
                for attribute in caller.bound:
                    if attribute.attr == routine.name:
                        found = self._roots(attribute.value, there, caller, seen)
                        yield from (name for name in found if self._is_own(name))

    def _is_own(self, name: str) -> bool:
        """Only the program's own classes have its methods; a model has its own."""
        return self._kinds.get(name, "active") == "active" or name in self._classes

    def _callers(self, routine: Routine) -> Iterator[tuple[_Part, Routine, ast.Call]]:
        for part, caller in self._everywhere():
            for call in caller.calls:
                if self._calls(call, routine):
                    yield part, caller, call
                for place, argument in enumerate(call.args):
                    # `partial(f, x)`, `submit(f, x)`: it is called with what follows.
                    if isinstance(argument, ast.Name) and argument.id == routine.name:
                        rest = ast.Call(argument, call.args[place + 1 :], call.keywords)
                        yield part, caller, rest

    def _everywhere(self) -> Iterator[tuple[_Part, Routine]]:
        return ((part, routine) for part in self._parts for routine in part.routines)

    def _calls(self, call: ast.Call, routine: Routine) -> bool:
        func = call.func
        if isinstance(func, ast.Attribute):
            return bool(routine.cls) and func.attr == routine.name
        if not isinstance(func, ast.Name):
            return False
        if not routine.cls:
            return func.id == routine.name
        if routine.name in ("__init__", "__new__"):
            return func.id == routine.cls
        return routine.name == "__call__" and func.id not in self._by_name

    def _result(
        self, call: ast.Call, part: _Part, routine: Routine, seen: set[object]
    ) -> Iterator[str]:
        """What a call's result may still be a part of."""
        func = call.func
        if isinstance(func, ast.Attribute):
            if func.attr in LOOKUPS:
                yield from self._roots(func.value, part, routine, seen)
            names = self._by_name.get(f".{func.attr}", ())
        else:
            name = func.id if isinstance(func, ast.Name) else ""
            if name == "super" and routine.params:
                yield from self._root(routine.params[0], part, routine, seen)
            if name == "globals":
                yield from self._every_name()
            if name in _HOLDING or name == "getattr":
                for argument in call.args:
                    yield from self._roots(argument, part, routine, seen)
            names = self._by_name.get(name, ()) if name else ()
        for there, callee in names:
            for value in callee.returns:
                yield from self._roots(value, there, callee, seen)

    def _ask_callers(self, part: _Part, functions: set[str], calls: set[str]) -> None:
        """What is stored came from outside: it depends on whoever calls."""
        todo, seen = [part], {id(part)}
        while todo:
            one = todo.pop()
            for routine in one.routines:
                name = f".{routine.name}" if routine.cls else routine.name
                for there, call in self.sites(name):
                    site = self.constant(call)
                    if site:
                        calls.add(site)
                    elif id(there) not in seen:
                        seen.add(id(there))
                        functions |= there.names
                        todo.append(there)

    def sites(self, name: str) -> Iterator[tuple[_Part, ast.Call]]:
        """Yield the calls of what goes by a name, and the statements that make them."""
        for _, routine in self._by_name.get(name, ()) if name.strip(".") else ():
            for part, _, call in self._callers(routine):
                yield part, call

    def constant(self, call: ast.Call) -> str:
        """Return the text of a call whose arguments are constants, else ''."""
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        return ast.unparse(call) if all(isinstance(a, ast.Constant) for a in given) else ""


def _resources(part: _Part, imports: Mapping[str, str]) -> frozenset[str]:
    """What the functions of a statement write, and modules that they import late."""
    late = part.imported.writes | part.imported.again
    found = frozenset(f"${resource}" for resource in late)
    for touch in part.facts.touches:
        if touch.deferred and touch.root in imports:
            path = f"{imports[touch.root]}.{touch.path}".rstrip(".")
            found |= {f"${resource}" for resource in resources(path, touch.form)}
    return found


def _in_place(routine: Routine) -> Iterator[Store]:
    """Stores that change a value or a variable of an enclosing function."""
    yield from routine.stores
    for name in routine.cells & set(routine.sources):
        yield Store(ast.Name(name), tuple(routine.sources[name]), ())


def _runs_text(routine: Routine) -> bool:
    """Tell whether a routine runs text that may change any value of the program."""
    calls = (call for call in routine.calls if not (call.args[1:] or call.keywords))
    return any(isinstance(c.func, ast.Name) and c.func.id in ("exec", "eval") for c in calls)


def _is_unkeyed(routine: Routine, store: Store) -> bool:
    """Tell whether a stored value depends on an argument that its key does not name."""
    kept = depends_on(routine, store.keys)
    if not isinstance(store.target, ast.Name):
        kept |= depends_on(routine, [store.target])
    return bool(depends_on(routine, store.values) - kept)
