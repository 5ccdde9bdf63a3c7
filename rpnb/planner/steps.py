"""Steps: what a program consists of, what a worker has run, what its jobs have stored."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field
from typing import Collection, Iterable, Mapping, NamedTuple, Sequence

from .access import path_of
from .facts import Facts, facts, imported, through
from .known import WRAPPERS
from .local import NONE, NOTHING, Import, Local, together
from .looks import Looks
from .methods import ACCESSORS
from .statements import Statement, apart, split
from .wrapping import is_kept, is_wrapped_by, keeping, wrapping

# What local modules set, as `Import.order`, and the resources that they did it to.
Settings = tuple[tuple[str, frozenset[str]], ...]
_IMPORTS = (ast.Import, ast.ImportFrom)
_DOCSTRING = Facts(binds=frozenset({"__doc__"}), kinds={"__doc__": "imm"})


@dataclass(frozen=True)
class Step:
    """One statement of a program, or one name of an import: its identity, and what it does."""

    statement: Statement
    identity: str
    facts: Facts = field(repr=False)
    # What importing the local modules that it names does.
    imported: Import = NOTHING

    @property
    def modules(self) -> frozenset[str]:
        """The local modules that it imports, and those with state that they import."""
        return self.imported.modules

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
    # Names of which it read only what nothing can change.
    fixed: frozenset[str] = frozenset()
    # Names whose values a call of it was given, and did not change.
    unchanged: frozenset[str] = frozenset()
    # Local modules that functions which it called imported first.
    modules: frozenset[str] = frozenset()
    seconds: float = 0.0
    # `settings` of the steps that stood when it ran.
    settings: Settings = ()


def steps(text: str, local: Local = NONE) -> list[Step]:
    """Return the steps of a program.

    A step that imports a local module is another step when that, or what it
    imports itself, is another than before.

    Raises:
        SyntaxError: the running Python cannot parse the text.
    """
    statements = [part for each in split(text) for part in apart(each)]
    is_lazy = any(_makes_lazy(each.node) for each in statements)
    every, wrappers = [facts(each) for each in statements], _NO_WRAPPERS
    if any(map(_is_decorated, statements)) or _may_keep(text, statements):
        wrappers = _wrappers(statements, every, local)
    functions = _asking(statements, every, wrappers)
    return [
        _step(
            each,
            found,
            local,
            is_first=not place,
            is_lazy=is_lazy,
            wrappers=wrappers,
            own=functions,
        )
        for place, (each, found) in enumerate(zip(statements, every))
    ]


def _bindings(every: Iterable[Facts]) -> Counter[str]:
    """Return how many statements bind each name, or store into its value."""
    return Counter(
        name
        for found in every
        for names in (found.binds | found.deferred_binds, found.stored)
        for name in names
    )


def _asking(
    statements: Sequence[Statement], every: Sequence[Facts], wrappers: _Wrappers
) -> dict[str, Statement]:
    """Return the functions that other statements call, where each is what its `def` makes it."""
    made = {min(f.binds): s for s, f in zip(statements, every) if f.is_body}
    if not any(found.calls & made.keys() for found in every) or any(map(_binds_any, every)):
        return {}
    bound = _bindings(every)
    return {
        name: each
        for name, each in made.items()
        if bound[name] == 1
        and all(_is_known(d, wrappers) for d in getattr(each.node, "decorator_list", ()))
    }


def _called(names: Collection[str], own: Mapping[str, Statement]) -> tuple[tuple[str, str], ...]:
    """Return functions and all that they name of these, in turn, with their texts."""
    found, todo = set[str](), list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += facts(own[name]).deferred_reads & own.keys()
    return tuple((name, own[name].text) for name in sorted(found))


class _Wrappers(NamedTuple):
    """What imports of libraries bind; functions that only wrap, make what does, or only keep."""

    imports: Mapping[str, str]
    wraps: frozenset[str]
    makers: frozenset[str]
    keepers: frozenset[str]


_NO_WRAPPERS = _Wrappers({}, frozenset(), frozenset(), frozenset())


def _is_decorated(statement: Statement) -> bool:
    """Tell whether a statement may make functions with decorators."""
    return statement.text[0] == "@" or isinstance(statement.node, ast.ClassDef)


def _may_keep(text: str, statements: Iterable[Statement]) -> bool:
    """Tell whether a program may have functions that only keep what they are given."""
    return "partial" in text or bool(keeping((each.node for each in statements), {}))


def _wrappers(statements: Sequence[Statement], every: Sequence[Facts], local: Local) -> _Wrappers:
    """Return what names stand for that nothing but imports of libraries binds, or one `def`."""
    own = frozenset[str]().union(*(found.binds - set(found.imports) for found in every))
    imports = {
        name: path
        for name, path in imported(every).items()
        if name not in own and path.split(".")[0] not in local
    }
    if any(map(_binds_any, every)):
        return _NO_WRAPPERS._replace(imports=imports)
    bound = _bindings(every)
    lines = [f for s, f in zip(statements, every) if isinstance(s.node, _IMPORTS)]
    made = Counter(pair for found in lines for pair in found.imports.items())
    sure = {name: path for name, path in imports.items() if made[name, path] == bound[name]}
    once = [
        s.node for s, found in zip(statements, every) if all(bound[n] == 1 for n in found.binds)
    ]
    return _Wrappers(imports, *wrapping(once), keeping(once, sure))


def _binds_any(found: Facts) -> bool:
    """Tell whether a statement may bind any name of the program, or what a library has."""
    is_opaque = found.is_opaque or found.is_opaque_later or "*" in found.imports
    return is_opaque or "__main__" in found.imports.values()


def _is_wrapped(node: ast.stmt, wrappers: _Wrappers) -> bool:
    """Tell whether known decorators only wrap what it makes: they call nothing of it.

    It makes a function, or a class with functions.
    """
    if isinstance(node, ast.ClassDef):
        inner = [d for part in node.body for d in getattr(part, "decorator_list", ())]
        given = [each for each in inner if ast.unparse(each) not in ACCESSORS]
        return bool(given) and all(_is_known(each, wrappers) for each in given)
    given = getattr(node, "decorator_list", [])
    return bool(given) and all(
        _is_known(each, wrappers) or is_wrapped_by(each, wrappers.wraps, wrappers.makers)
        for each in given
    )


def _is_known(decorator: ast.expr, wrappers: _Wrappers) -> bool:
    return path_of(decorator, wrappers.imports) in WRAPPERS


def _step(
    statement: Statement,
    found: Facts,
    local: Local,
    *,
    is_first: bool,
    is_lazy: bool,
    wrappers: _Wrappers,
    own: Mapping[str, Statement],
) -> Step:
    node = statement.node
    wraps, keeps = _is_wrapped(node, wrappers), is_kept(node, wrappers.keepers)
    if wraps or keeps:
        found = facts(statement, is_wrapped=wraps, is_kept=keeps)
    if own and found.calls & own.keys() and not (found.is_kept or statement.needs):
        named = _called(found.calls & own.keys(), own)
        found = found if found.is_definition else through(statement.text, named)
    identity = statement.identity
    if is_first and _is_text(statement.node):
        # What makes it the docstring is its place.
        found, identity = _DOCSTRING, f"{identity} docstring"
    if is_lazy and is_annotated(statement.node):
        identity = f"{identity} lazy"
    loads = _loads(found, local) if found.loads or found.deferred_loads else []
    if not loads:
        return Step(statement, identity, found)
    identity = " ".join([identity, *(f"{top}:{each.identity}" for top, each in loads)])
    return Step(statement, identity, found, together([each for _, each in loads]))


def _loads(found: Facts, local: Local) -> list[tuple[str, Import]]:
    """Return the local modules that a statement imports, at once or when it is called."""
    tops = {path.split(".")[0] for path in (*found.loads, *found.deferred_loads)}
    named = (*found.loads, *found.deferred_loads, *found.imports.values())
    return [(top, local.load(top, named)) for top in sorted(tops) if top in local]


def settings(steps: Iterable[Step]) -> Settings:
    """Return what local modules set while these steps import them, in order."""
    every = (step.imported for step in steps if step.facts.loads)
    return tuple((each.order, each.again) for each in every if each.order)


def _is_text(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _makes_lazy(node: ast.stmt) -> bool:
    """Tell whether from here on annotations are texts."""
    return (
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
    )


def is_annotated(node: ast.stmt) -> bool:
    """Tell whether a statement has annotations."""
    return any(
        isinstance(part, ast.AnnAssign)
        or getattr(part, "annotation", None) is not None
        or getattr(part, "returns", None) is not None
        for part in ast.walk(node)
    )


def is_known(looks: Looks, answers: Mapping[str, Collection[str]]) -> bool:
    """Tell whether every look is one that the values answer without changing."""
    return bool(looks) and all(what in answers.get(name, ()) for name, what in looks)
