"""The stores of functions that jobs run, as their text shows them, and what those depend on."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Collection, Iterator, Mapping, Sequence

from .access import LOOKUPS
from .effects import resources
from .facts import Facts, imported
from .local import NOTHING, Import
from .routines import Routine, Store, depends_on, routines, whole
from .steps import Step
from .torch_modules import top
from .writes import STATE, JobWrite, is_state, reached_by

# What these return still holds what they were given.
_HOLDING = frozenset(
    {
        *("iter", "reversed", "enumerate", "zip", "sorted", "list", "tuple", "next", "max", "min"),
        *("filter", "cast", "copy"),
    }
)
# Local module -> its statements.
Modules = Mapping[str, Sequence[Facts]]


@dataclass
class _Part:
    """A statement that jobs reach, and the routines in it."""

    facts: Facts
    names: frozenset[str]
    routines: tuple[Routine, ...]
    imported: Import
    # The local module in which it stands.
    module: str = ""


class Stored:
    """The statements that jobs reach."""

    def __init__(
        self, steps: Sequence[Step], start: Step, kinds: Mapping[str, str], modules: Modules
    ) -> None:
        self._steps, self._kinds = steps, kinds
        every = [step.facts for step in steps if not step.facts.is_start]
        self.entry = start.facts.reads | start.facts.deferred_reads
        self._reached = reached_by(every, self.entry)
        self._every = every
        self._imports = {"": imported(every), **{m: imported(f) for m, f in modules.items()}}
        self._bound = {m: _bound(found) for m, found in modules.items()}
        self._parts = [
            _Part(step.facts, step.facts.binds, routines(step.statement.text), step.imported)
            for step in steps
            if step.facts.binds & self._reached and not step.facts.is_start
        ]
        text = whole(start.statement.text)
        self._parts.append(_Part(start.facts, frozenset(), text, start.imported))
        for module, found in modules.items():
            names = frozenset({STATE + module})
            self._parts += [_Part(f, names, routines(f.text), NOTHING, module) for f in found]
        self._home = {id(r): part.module for part in self._parts for r in part.routines}
        self._by_name: dict[str, list[tuple[_Part, Routine]]] = {}
        # Calls by the last name of what they call, or hand on.
        self._called: dict[str, list[tuple[_Part, Routine, ast.Call]]] = {}
        self._bearing: dict[str, list[tuple[_Part, Routine, ast.Attribute]]] = {}
        for part in self._parts:
            for routine in part.routines:
                self._by_name.setdefault(self._key(routine), []).append((part, routine))
                self._list_calls(part, routine)
        self._classes = {
            name
            for part in self._parts
            for name in part.names
            if any(r.cls == name for r in part.routines)
        }

    def writes(self, seen: frozenset[str] = frozenset()) -> tuple[JobWrite, ...]:
        """Return one write for each statement whose functions store into what outlives a job."""
        found = []
        for part in self._parts:
            names, is_unkeyed = self._stored(part)
            binds = part.facts.deferred_binds if not part.module else frozenset[str]()
            binds |= _resources(part, self._imports[""]) & seen
            binds |= {name for name in names if is_state(name)}
            if not (binds or names):
                continue
            functions, calls = set(part.names or self.entry), set[str]()
            if is_unkeyed or part.module:
                asked = (functions, calls) if is_unkeyed else (set[str](), set[str]())
                is_called = self._ask_callers(part, *asked)
                if part.module and not is_called and not self._is_handed_on(part):
                    # No job runs it: what moved there did so otherwise.
                    continue
                functions |= self.entry if is_unkeyed and not is_called else set()
            changes = frozenset(names - binds)
            sets = self._sets(part) if changes else frozenset[str]()
            write = JobWrite(frozenset(functions), binds, changes, frozenset(calls), sets)
            found.append(write)
        return tuple(found)

    def _stored(self, part: _Part) -> tuple[set[str], bool]:
        """Return what the functions of a statement store into, and whether without a key."""
        found, is_unkeyed = set[str](), False
        for name in part.facts.deferred_changes:
            found.update(self._global(name, part))
        if part.facts.deferred_binds and part.module:
            found |= part.names
        if any(routine.keeps and not routine.parent for routine in part.routines):
            found |= part.names
        if any(map(_runs_text, part.routines)):
            found.update(part.names if part.module else self._every_name())
        for routine in part.routines:
            for name in routine.globals & set(routine.sources):
                bound = Store(ast.Name(name), tuple(routine.sources[name]), ())
                is_unkeyed = is_unkeyed or _is_unkeyed(routine, bound)
            for store in _in_place(routine):
                roots = set(self._roots(store.target, part, routine, set()))
                found |= roots
                is_unkeyed = is_unkeyed or (bool(roots) and _is_unkeyed(routine, store))
            moved = self._moved(part, routine)
            found, is_unkeyed = found | moved, is_unkeyed or bool(moved)
        return found, is_unkeyed

    def _moved(self, part: _Part, routine: Routine) -> set[str]:
        """Return what leads to the iterators that a routine draws from, if they are not its own."""
        return {
            root
            for path in routine.drawn
            if isinstance(path, ast.Attribute) or routine.place(path.id) == "global"
            for root in self._roots(path, part, routine, set())
        }

    def _sets(self, part: _Part) -> frozenset[str]:
        """Return the attributes that a statement's functions set, where they do no more."""
        paths, others = set[str](), set[str]()
        for routine in part.routines:
            others |= self._moved(part, routine)
            for store in _in_place(routine):
                roots = set(self._roots(store.target, part, routine, set()))
                found = self._paths(store.target, part, routine, set()) if store.sets else {""}
                others |= roots if "" in found else roots - set(map(top, found))
                paths |= found if roots else set()
        if any(map(_runs_text, part.routines)):
            return frozenset()
        return frozenset(path for path in paths - {""} if top(path) not in others)

    def _paths(self, expr: ast.expr, part: _Part, routine: Routine, seen: set[object]) -> set[str]:
        """Return what an expression stands for, as paths from globals; "" for anything else."""
        if isinstance(expr, ast.Attribute):
            found = self._paths(expr.value, part, routine, seen)
            return {path and f"{path}.{expr.attr}" for path in found}
        if not isinstance(expr, ast.Name) or part.module or (routine, expr.id) in seen:
            return {""}
        seen.add((routine, expr.id))
        place = routine.place(expr.id)
        if place == "global":
            return {expr.id}
        sources = [(part, routine, source) for source in routine.sources.get(expr.id, ())]
        if place == "param":
            sources += self._handed(expr.id, routine)
        return {p for one in sources for p in self._paths(one[2], *one[:2], seen)} or {""}

    def _handed(self, param: str, routine: Routine) -> Iterator[tuple[_Part, Routine, ast.expr]]:
        """Yield what callers hand over as a parameter, or call a method on."""
        is_method = bool(routine.cls) and routine.sort == "method"
        is_first = is_method and routine.params[0] == param
        for there, caller, call in self._callers(routine):
            if not is_first:
                given = routine.argument(call, param, first=int(is_method))
                yield from ((there, caller, each) for each in given)
            elif isinstance(call.func, ast.Attribute):
                yield there, caller, call.func.value
        for there, caller, attribute in self._bearing.get(routine.name, ()) if is_first else ():
            yield there, caller, attribute.value

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
            yield from self._global(name, part)
        elif place == "local":
            for source in routine.sources[name]:
                yield from self._roots(source, part, routine, seen)
        elif place == "cell":
            yield from self._holders(part)
        elif place == "param":
            yield from self._passed(name, part, routine, seen)

    def _global(self, name: str, part: _Part) -> Iterator[str]:
        """A name that is imported from a local module is part of what that keeps."""
        path = self._imports[part.module].get(name, "")
        module = part.module if path[:1] == "." else path.partition(".")[0]
        if module in self._bound:
            yield STATE + module
        if not part.module:
            yield name
        elif name in self._bound[part.module]:
            yield STATE + part.module

    def _every_name(self) -> Iterator[str]:
        """What code that looks names up by computed strings may come upon."""
        yield from (name for facts in self._every for name in facts.binds)

    def _holders(self, part: _Part) -> Iterator[str]:
        """What a closure of this statement is held by: what calls of it made."""
        yield from (name for name in part.names if self._may_hold(name))
        names = part.names if not part.module else self._imported_from(part.module)
        for facts in self._every:
            if facts.has_calls and facts.reads & names:
                yield from (facts.binds | facts.changes) & self._reached

    def _passed(
        self, param: str, part: _Part, routine: Routine, seen: set[object]
    ) -> Iterator[str]:
        """What callers hand over as this parameter, or its default is."""
        if param in routine.defaults:
            outer = routine.parent or Routine("", is_whole=True)
            yield from (name for name in part.names if self._may_hold(name))
            yield from self._roots(routine.defaults[param], part, outer, seen)
        is_first = routine.cls and routine.sort != "staticmethod" and routine.params[:1] == [param]
        if is_first and (routine.sort == "classmethod" or routine.name == "__new__"):
            yield STATE + part.module if part.module else routine.cls
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
            for there, caller, attribute in self._bearing.get(routine.name, ()):
                found = self._roots(attribute.value, there, caller, seen)
                yield from (name for name in found if self._is_own(name))

    def _is_own(self, name: str) -> bool:
        """Only the program's own classes have its methods; a model has its own."""
        return self._kinds.get(name, "active") == "active" or name in self._classes

    def _may_hold(self, name: str) -> bool:
        return is_state(name) or self._kinds.get(name) == "data"

    def _imported_from(self, module: str) -> frozenset[str]:
        paths = self._imports[""].items()
        return frozenset(name for name, path in paths if path.partition(".")[0] == module)

    def _key(self, routine: Routine) -> str:
        """Return what calls know a routine by."""
        name = f".{routine.name}" if routine.cls else routine.name
        return f"{self._home[id(routine)]}:{name}" if not routine.cls else name

    def _list_calls(self, part: _Part, routine: Routine) -> None:
        for call in routine.calls:
            for name in {_last_name(call.func), self._callee(call.func, part)[1]} - {""}:
                self._called.setdefault(name, []).append((part, routine, call))
            for place, argument in enumerate(call.args):
                # `partial(f, x)`, `submit(f, x)`: it is called with what follows.
                module, name = self._callee(argument, part)
                if name:
                    rest = ast.Call(argument, call.args[place + 1 :], call.keywords)
                    self._called.setdefault(f"{module}:{name}", []).append((part, routine, rest))
        for attribute in routine.bound:
            self._bearing.setdefault(attribute.attr, []).append((part, routine, attribute))

    def _callee(self, func: ast.AST, part: _Part) -> tuple[str, str]:
        """Return the local module, or "", and the name in it of what an expression calls."""
        path = _path(func, self._imports[part.module])
        module = part.module if path[:1] == "." else path.partition(".")[0]
        if path and module in self._bound:
            return module, path.rpartition(".")[2]
        return (part.module, func.id) if isinstance(func, ast.Name) else ("", "")

    def _callers(self, routine: Routine) -> Iterator[tuple[_Part, Routine, ast.Call]]:
        home = self._home[id(routine)]
        names = {routine.name}
        if routine.cls and routine.name in ("__init__", "__new__"):
            names = {routine.cls}
        found = [site for name in names for site in self._called.get(name, ())]
        if routine.cls and routine.name == "__call__":
            found = [site for sites in self._called.values() for site in sites]
        for part, caller, call in found:
            if self._calls(call, routine, part):
                yield part, caller, call
        yield from self._called.get(f"{home}:{routine.name}", ())

    def _calls(self, call: ast.Call, routine: Routine, part: _Part) -> bool:
        func, home = call.func, self._home[id(routine)]
        module, name = self._callee(func, part)
        if isinstance(func, ast.Attribute) and not (home and module == home):
            return bool(routine.cls) and func.attr == routine.name
        if not routine.cls or not name:
            return (module, name) == (home, routine.name)
        if routine.name in ("__init__", "__new__"):
            return (module, name) == (home, routine.cls)
        if isinstance(func, ast.Attribute):
            return func.attr == routine.name
        return routine.name == "__call__" and f"{module}:{name}" not in self._by_name

    def _result(
        self, call: ast.Call, part: _Part, routine: Routine, seen: set[object]
    ) -> Iterator[str]:
        """What a call's result may still be a part of."""
        func = call.func
        if isinstance(func, ast.Attribute):
            if func.attr in LOOKUPS:
                yield from self._roots(func.value, part, routine, seen)
            names = [*self._by_name.get(f".{func.attr}", ())]
        else:
            name = func.id if isinstance(func, ast.Name) else ""
            if name == "super" and routine.params:
                yield from self._root(routine.params[0], part, routine, seen)
            if name == "globals":
                yield from self._every_name()
            if name in _HOLDING or name == "getattr":
                for argument in call.args:
                    yield from self._roots(argument, part, routine, seen)
            names = []
        module, called = self._callee(func, part)
        names += self._by_name.get(f"{module}:{called}", ()) if called else ()
        for there, callee in names:
            # A cache hands out what it keeps.
            yield from there.names if callee.keeps else ()
            for value in callee.returns:
                yield from self._roots(value, there, callee, seen)

    def _ask_callers(self, part: _Part, functions: set[str], calls: set[str]) -> bool:
        """What is stored came from outside: it depends on whoever calls.

        Tell whether anything of the program does that jobs reach.
        """
        todo, seen, paths = [part], {id(part)}, set[str]()
        is_called = False
        while todo:
            one = todo.pop()
            every = ((r, *site) for r in one.routines for site in self._sites(r))
            for routine, there, call in every:
                is_called = is_called or not there.module
                path = _path(call.func, self._imports[there.module]) if one.module else ""
                if (
                    _is_constant(call)
                    and routine.is_filled(call)
                    and not there.module
                    and (path or not one.module)
                ):
                    calls |= set() if path else {ast.unparse(call)}
                    paths |= {path} - {""}
                elif id(there) not in seen:
                    seen.add(id(there))
                    functions |= there.names
                    todo.append(there)
        calls |= calls_of(self._steps, paths)
        return is_called

    def _is_handed_on(self, part: _Part) -> bool:
        """Tell whether jobs may call a function of a module though no call of it shows."""
        names = {routine.cls or routine.name for routine in part.routines}
        named = {self._imports[""].get(each, "").rpartition(".")[2] for each in self._reached}
        named |= {name for r in self._routines_of("") for name in r.wrappers}
        keeps = any(routine.keeps for routine in part.routines)
        return keeps or not names.isdisjoint(named) or not names.isdisjoint(self._bearing)

    def _routines_of(self, module: str) -> Iterator[Routine]:
        return (r for part in self._parts if part.module == module for r in part.routines)

    def _sites(self, routine: Routine) -> Iterator[tuple[_Part, ast.Call]]:
        """Yield the calls of what goes by a routine's name, and the statements that make them."""
        for _, each in self._by_name[self._key(routine)] if routine.name else ():
            for part, _, call in self._callers(each):
                yield part, call


def calls_of(steps: Sequence[Step], paths: Collection[str]) -> frozenset[str]:
    """Return the calls of local modules' functions that a program makes, as `$lm.get('a')`."""
    if not paths:
        return frozenset()
    imports = imported([step.facts for step in steps])
    return frozenset(
        f"${path}({', '.join(map(ast.unparse, (*call.args, *call.keywords)))})"
        for step in steps
        for routine in whole(step.statement.text)
        for call in routine.calls
        for path in [_path(call.func, imports)]
        if path in paths
    )


def _bound(every: Sequence[Facts]) -> frozenset[str]:
    return frozenset[str]().union(*(facts.binds | facts.deferred_binds for facts in every))


def _last_name(func: ast.AST) -> str:
    if isinstance(func, ast.Attribute):
        return func.attr
    return func.id if isinstance(func, ast.Name) else ""


def _path(func: ast.AST, imports: Mapping[str, str]) -> str:
    """Return the dotted path of what an expression names, "" where it is nothing imported."""
    rest, node = "", func
    while isinstance(node, ast.Attribute):
        rest, node = f".{node.attr}{rest}", node.value
    path = imports.get(node.id, "") if isinstance(node, ast.Name) else ""
    return path and path + rest


def _is_constant(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return all(isinstance(each, ast.Constant) for each in given)


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
    return bool(depends_on(routine, store.values) - (kept - routine.packed))
