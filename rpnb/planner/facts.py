"""What one statement reads, binds, changes and calls: the facts that plans are made of.

Names come from symtable, which knows this Python's scopes; stores and calls from
the tree. *Deferred* is what stands in function bodies: it happens when they are
called. Facts err on the side of too much.
"""

from __future__ import annotations

import ast
import symtable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Mapping, Sequence

from .access import is_literal, is_path
from .bodies import is_body, looks_through
from .calls import Calls, Handed, Touch
from .loggers import told
from .looks import Looks, asked, looks
from .methods import ACCESSORS, PlainClass, plain_class
from .parts import Parts, parts
from .scopes import augmented, comprehension_names, free_names, looped, parameters, quoted
from .spelled import spelled
from .statements import Statement, identity, split

__all__ = ["Facts", "Statement", "facts", "free_names", "identity", "split"]


@dataclass(frozen=True, eq=False)
class Facts:
    """What a statement does, as far as its text shows."""

    reads: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()
    deferred_reads: frozenset[str] = frozenset()
    deferred_binds: frozenset[str] = frozenset()
    # Names whose value is surely changed in place (a store into it, a mutating method).
    changes: frozenset[str] = frozenset()
    deferred_changes: frozenset[str] = frozenset()
    # Names whose value a call may change: what it is called on, and its arguments.
    calls: frozenset[str] = frozenset()
    deferred_calls: frozenset[str] = frozenset()
    # Functions whose result is changed or passed on: what they read may be changed through it.
    results: frozenset[str] = frozenset()
    deferred_results: frozenset[str] = frozenset()
    # Names that imports bind -> what they stand for (`np` -> `numpy`).
    imports: Mapping[str, str] = field(default_factory=dict)
    # Names bound to an attribute path of another name -> that path (`s = lib.STATE`).
    paths: Mapping[str, str] = field(default_factory=dict)
    touches: tuple[Touch, ...] = ()
    # What is handed to functions by name; the parameters of one that it defines, in order, and
    # those of them into which that stores.
    handed: tuple[Handed, ...] = ()
    parameters: tuple[str, ...] = ()
    altered: frozenset[str] = frozenset()
    # What is used as a value, be it called elsewhere: it matters where that is a local module's.
    lent: tuple[Touch, ...] = ()
    # What functions look at, by access paths: it matters where the root is a local module.
    later_looks: tuple[Touch, ...] = ()
    # Names into whose values it stores: what was a mere function or class then is data.
    stored: frozenset[str] = frozenset()
    # Names that classes are made from, and whether `__subclasses__` is asked for.
    bases: frozenset[str] = frozenset()
    lists_subclasses: bool = False
    # Names bound to something whose kind the text shows.
    kinds: Mapping[str, str] = field(default_factory=dict)
    # What it asks of which values, where it does nothing else but bind names.
    looks: Looks = frozenset()
    # Of these, the values that are asked for new ones only: a result shares nothing with them.
    receivers: frozenset[str] = frozenset()
    has_calls: bool = False
    # Paths of what it calls at once (`os.getenv`); '' stands for any other code that it runs.
    asks: frozenset[str] = frozenset()
    # It uses an operator or a format: how a library's value answers, a setting may decide.
    has_operators: bool = False
    # The same, with what the functions ask that it calls, where these do nothing else: `entered`.
    asking: Facts | None = None
    entered: frozenset[str] = frozenset()
    # A function that a call only runs, or a context manager.
    is_body: bool = False
    # Names that it asks for no setting: if they are `logging`, if they are loggers.
    told: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    # Names of which it reads named parts only -> these; `parts`: that it reads only at once.
    parts: Parts = field(default_factory=dict)
    all_parts: Parts = field(default_factory=dict)
    # A definition that runs nothing: no decorator, literal defaults.
    is_definition: bool = False
    # It gives names to values in a dictionary, list or tuple: `TASKS = {"embed": embed}`.
    is_display: bool = False
    # A docstring or a bare name: nothing can follow from it.
    is_inert: bool = False
    # Registers the handler; it runs at every sync and changes nothing.
    is_start: bool = False
    # It binds what only keeps what it is given, and runs nothing of it.
    is_kept: bool = False
    # It may read and bind any name, at once or when a function of it is called.
    is_opaque: bool = False
    is_opaque_later: bool = False
    # It reads names that it does not name.
    has_star: bool = False
    # What it is, where it is a class that only holds functions, and what these do: name -> facts.
    plain: PlainClass | None = None
    methods: Mapping[str, Facts] = field(default_factory=dict)
    text: str = ""
    # Modules that it imports, at once or when a function of it is called.
    loads: frozenset[str] = frozenset()
    deferred_loads: frozenset[str] = frozenset()

    @property
    def names_any(self) -> bool:
        """It may read or bind names that it does not name, at once or later."""
        return self.is_opaque or self.is_opaque_later or self.has_star

    @property
    def whole(self) -> Facts:
        """The facts with what functions ask that it calls, where all that is done is to ask."""
        return self.asking or self


def facts(statement: Statement, *, is_wrapped: bool = False, is_kept: bool = False) -> Facts:
    """Return the facts of one statement (kept by its text).

    The decorators of a function that `is_wrapped`, or of a class's functions, are known to
    call nothing of them; what is called by one that `is_kept` only keeps what it is given.
    """
    if statement.needs:
        return _needing(statement.text, statement.needs, is_wrapped)
    return _keeping(statement.text) if is_kept else _facts(statement.text, is_wrapped)


@lru_cache(maxsize=1_000)
def _keeping(text: str) -> Facts:
    nothing = frozenset[str]()
    return replace(_facts(text, False), calls=nothing, results=nothing, is_kept=True)


_NOT_TOLD = (frozenset[str](), frozenset[str]())


@lru_cache(maxsize=5_000)
def through(text: str, functions: tuple[tuple[str, str], ...]) -> Facts:
    """Return the facts of a statement that calls functions of the program: (name, text).

    Where these only ask, as it does itself, it asks what they ask.
    """
    found, nodes = _facts(text, False), {}
    for name, body in functions:
        (node,) = ast.parse(spelled(body)).body
        assert isinstance(node, ast.FunctionDef)
        nodes[name] = node
    asks, entered = looks_through(ast.parse(spelled(text)).body[0], nodes)
    if not entered:
        return found
    inner = [_facts(body, True) for name, body in functions if name in entered]
    reads = frozenset[str]().union(*(each.deferred_reads for each in inner))
    asking = replace(
        found,
        reads=found.reads | reads,
        looks=asks,
        receivers=asked(asks),
        entered=entered,
        parts=_together(found, found.parts, inner),
        told=_NOT_TOLD,
    )
    return replace(found, asking=asking)


def _together(found: Facts, own: Parts, inner: Sequence[Facts]) -> Parts:
    """Return the names of which a statement, and functions that it calls, read named parts only."""
    every: dict[str, list[frozenset[str] | None]] = {}
    for name in found.reads:
        every.setdefault(name, []).append(own.get(name))
    for each in inner:
        for name in each.deferred_reads:
            every.setdefault(name, []).append(each.all_parts.get(name))
    return {
        name: frozenset[str]().union(*(p for p in taken if p is not None))
        for name, taken in every.items()
        if None not in taken
    }


@lru_cache(maxsize=1_000)
def _needing(text: str, needs: frozenset[str], is_wrapped: bool) -> Facts:
    """What a comment says it needs may be used at once, and whenever its value is called."""
    found = _facts(text, is_wrapped)
    return replace(
        found,
        text=f"{found.text}\n{', '.join(sorted(needs))}",
        reads=found.reads | needs,
        deferred_reads=found.deferred_reads | needs,
        deferred_calls=found.deferred_calls | needs,
        parts={n: p for n, p in found.parts.items() if n not in needs},
        all_parts={n: p for n, p in found.all_parts.items() if n not in needs},
    )


@lru_cache(maxsize=20_000)
def _facts(text: str, is_wrapped: bool) -> Facts:
    text = spelled(text)
    node = ast.parse(text).body[0]
    plain = plain_class(node, is_wrapped=is_wrapped)
    if is_wrapped:
        _undecorate(node)
    names, calls = _names_of(node, text), Calls()
    calls.visit(node)
    all_parts = {name: found for name, found in parts(node).items() if name not in names.binds}
    if _is_inert(node):
        return Facts(reads=frozenset(names.reads), all_parts=all_parts, is_inert=True)
    if is_start(node):
        every = frozenset(names.reads | names.deferred_reads)
        binds = frozenset(names.binds)
        return Facts(reads=every, binds=binds, all_parts=all_parts, is_start=True)
    definition, asks = is_definition(node), looks(node)
    found = replace(
        _of_calls(calls, names, parameters(node)),
        plain=plain,
        methods={n: _facts(m.text, False) for n, m in plain.methods.items()} if plain else {},
        text=text,
        reads=frozenset(names.reads),
        binds=frozenset(names.binds),
        deferred_reads=frozenset(names.deferred_reads),
        deferred_binds=frozenset(names.deferred_binds),
        kinds={} if is_wrapped else _kinds(node),
        looks=asks,
        receivers=asked(asks),
        told=told(node),
        parts={n: p for n, p in all_parts.items() if n not in names.deferred_reads},
        all_parts=all_parts,
        is_body=isinstance(node, ast.FunctionDef) and is_body(node),
        is_definition=definition,
        is_display=_is_display(node),
    )
    decorated = _decorated(node, names, definition)
    if isinstance(node, ast.Global):
        found = replace(found, is_opaque=True, has_calls=True, asks=found.asks | {""})
    return replace(found, calls=found.calls | decorated) if decorated else found


def _names_of(node: ast.stmt, text: str) -> _Names:
    """Return the names that a statement reads and binds, at once and later."""
    names = _Names()
    names.walk(symtable.symtable(text, "<step>", "exec"), deferred=False)
    inner, bound = comprehension_names(node)
    names.reads, names.binds = names.reads - inner, (names.binds - inner) | bound
    names.reads -= looped(node)
    names.reads |= augmented(node) & names.binds
    names.deferred_reads |= augmented(node) & names.deferred_binds
    late = quoted(node) - names.binds
    names.reads, names.deferred_reads = names.reads | late, names.deferred_reads | late
    return names


def _of_calls(calls: Calls, names: _Names, taken: tuple[str, ...]) -> Facts:
    """Return what a statement's stores and calls do; `taken` are a function's parameters."""
    now, flows = calls.settle(), calls.flows(names.deferred_reads)
    # Every statement may add to the annotations.
    has_star = calls.has_star or "__annotations__" in names.reads
    is_blind = has_star or calls.is_opaque
    return Facts(
        changes=frozenset(now.changes),
        deferred_changes=flows.changes,
        calls=frozenset(now.calls),
        deferred_calls=flows.calls,
        results=frozenset(now.results),
        deferred_results=flows.results,
        imports=calls.imports,
        paths=calls.paths,
        touches=tuple(t for t in calls.touches if not _is_later_look(t)),
        handed=tuple(calls.handed),
        lent=tuple(t for t in calls.lent if t.root in names.reads | names.deferred_reads),
        parameters=taken,
        altered=frozenset(calls.altered().intersection(taken)),
        later_looks=tuple(filter(_is_later_look, calls.touches)),
        stored=frozenset(calls.stored),
        bases=frozenset(calls.bases),
        lists_subclasses=calls.lists_subclasses,
        has_calls=calls.has_calls or is_blind,
        asks=frozenset(calls.asks | ({""} if is_blind else set())),
        has_operators=calls.has_operators,
        is_opaque=calls.is_opaque,
        is_opaque_later=calls.is_opaque_later,
        has_star=has_star,
        loads=frozenset(calls.loads),
        deferred_loads=frozenset(calls.deferred_loads),
    )


def _is_later_look(touch: Touch) -> bool:
    return touch.deferred and touch.form == "load"


def _undecorate(node: ast.stmt) -> None:
    """Take known decorators off a function, or off the functions of a class."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        node.decorator_list = []
    for part in node.body if isinstance(node, ast.ClassDef) else ():
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
            own = [each for each in part.decorator_list if ast.unparse(each) in ACCESSORS]
            part.decorator_list = own


class _Names:
    """Names read and bound outside every scope of the statement's own."""

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.binds: set[str] = set()
        self.deferred_reads: set[str] = set()
        self.deferred_binds: set[str] = set()

    def walk(self, table: symtable.SymbolTable, *, deferred: bool) -> None:
        """Add what `table` and the scopes in it use."""
        sort = table.get_type()
        for symbol in table.get_symbols():
            local = symbol.is_local() or symbol.is_free() or symbol.is_parameter()
            outer = sort == "module" or symbol.is_global() or not local
            name = symbol.get_name()
            if name.startswith("."):
                # Python's own, for type parameters.
                continue
            if outer and (symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()):
                (self.deferred_binds if deferred else self.binds).add(name)
            # A class body looks a name up in itself, then among the globals.
            if symbol.is_referenced() and (outer or sort == "class"):
                (self.deferred_reads if deferred else self.reads).add(name)
                if table.get_name() == "genexpr":
                    self.deferred_reads.add(name)
        for child in table.get_children():
            now = child.get_name() in ("listcomp", "setcomp", "dictcomp", "genexpr")
            lazy = child.get_type() == "function" and not now
            self.walk(child, deferred=deferred or lazy)


def _decorated(node: ast.stmt, names: _Names, definition: bool) -> set[str]:
    """A decorator may call the function at once, and whatever it uses."""
    return (
        set(names.deferred_reads)
        if getattr(node, "decorator_list", ()) and not definition
        else set()
    )


def _is_inert(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, (ast.Constant, ast.Name))
    )


def is_definition(node: ast.stmt) -> bool:
    """Tell whether the statement makes a function and runs nothing while it does."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        arguments = node.args
        shown = [
            node.returns,
            *(a.annotation for a in ast.walk(arguments) if isinstance(a, ast.arg)),
        ]
        quiet = not any(isinstance(n, ast.Call) for a in shown if a for n in ast.walk(a))
        return not node.decorator_list and quiet and _has_literal_defaults(arguments)
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Lambda)
        and all(isinstance(target, ast.Name) for target in node.targets)
        and _has_literal_defaults(node.value.args)
    )


def _is_display(node: ast.stmt) -> bool:
    """Tell whether a statement only gives names to values, alone or in containers: nothing runs."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
    shown = isinstance(node, ast.AnnAssign) and any(map(_is_call, ast.walk(node.annotation)))
    if value is None or shown or not all(isinstance(target, ast.Name) for target in targets):
        return False
    keys = [key for part in ast.walk(value) if isinstance(part, ast.Dict) for key in part.keys]
    plain = (ast.Name, ast.Constant, ast.Dict, ast.List, ast.Tuple, ast.expr_context)
    is_plain = all(isinstance(part, plain) for part in ast.walk(value))
    return is_plain and all(isinstance(key, ast.Constant) for key in keys)


def _is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call)


def _has_literal_defaults(arguments: ast.arguments) -> bool:
    return all(is_literal(d) for d in [*arguments.defaults, *arguments.kw_defaults] if d)


def is_start(node: ast.stmt) -> bool:
    """Tell whether the statement does nothing but call `runpod.serverless.start`.

    It may stand in an `if __name__ == "__main__":` block, beside `import runpod` and prints.
    """
    body = node.body if isinstance(node, ast.If) and _is_main_guard(node) else [node]
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
    starts = [c for c in calls if ast.unparse(c.func).endswith("serverless.start")]
    harmless = starts + [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
    allowed = (ast.Import, ast.ImportFrom, ast.Expr, ast.Pass)
    return (
        bool(starts) and len(harmless) == len(calls) and all(isinstance(n, allowed) for n in body)
    )


def _is_main_guard(node: ast.If) -> bool:
    names = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
    return "__name__" in names and not node.orelse


def _shown_kind(value: ast.expr) -> str:
    """Return the kind that an expression surely has, or what is called with constants for it."""
    if is_literal(value) or isinstance(value, ast.JoinedStr):
        return "imm"
    if not isinstance(value, ast.Call) or value.keywords or not is_path(value.func):
        return ""
    path = ast.unparse(value.func)
    is_number = path in ("int", "float", "str", "bool", "len")
    return f"{path}()" if is_number or all(map(is_literal, value.args)) else ""


def _kinds(node: ast.stmt) -> dict[str, str]:
    """Kinds that the text alone shows, so that an edited constant is no unknown value."""
    if isinstance(node, ast.Assign) and (shown := _shown_kind(node.value)):
        return {target.id: shown for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.Import):
        return {alias.asname or alias.name.split(".")[0]: "mod" for alias in node.names}
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and is_definition(node):
        return {node.name: "code"}
    if isinstance(node, ast.Assign) and is_definition(node):
        return {target.id: "code" for target in node.targets if isinstance(target, ast.Name)}
    return {}


def altered(every: Sequence[Facts]) -> set[tuple[str, int | str]]:
    """Return (function, position or name of an argument) into which the function stores."""
    found = set[tuple[str, "int | str"]]()
    makers = [(name, facts) for facts in every if facts.parameters for name in facts.binds]
    is_moving = bool(makers)
    while is_moving:
        before = len(found)
        for name, facts in makers:
            onward = {h.root for h in facts.handed if not h.path and (h.function, h.place) in found}
            for place, parameter in enumerate(facts.parameters):
                if parameter in facts.altered or parameter in onward:
                    found |= {(name, place), (name, parameter)}
        is_moving = len(found) > before
    return found


def imported(every: Sequence[Facts]) -> dict[str, str]:
    """Return name -> the dotted path it stands for, through `import` and `s = lib.STATE`."""
    found: dict[str, str] = {}
    for facts in every:
        found.update(facts.imports)
    for _ in range(2):
        for facts in every:
            for name, path in facts.paths.items():
                root, _, rest = path.partition(".")
                if root in found and name not in found:
                    found[name] = f"{found[root]}.{rest}" if rest else found[root]
    return found
