"""Which ordinary cells must be executed so that the remote cells find what they use.

A cell is needed when it binds a name that is needed, or surely changes what
such a name holds, itself or by what it calls; and then so is what it reads. A cell that asks for a
connection only to look at results is not: nothing here runs jobs.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..planner.facts import facts, free_names, split

_LOOKS = {"print", "display", "len", "str", "repr", "type", "help", "dir", "vars", "id"}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
# Cell magics whose body runs as it would without them.
_MEASURES = re.compile(r"\A(?:\s*%%(?:time|capture|prun)\b.*\n)+")
# Line magics that bind no name; any other (%run, %store, %pylab, an extension's) may.
_BINDS_NOTHING = frozenset(
    (
        *("matplotlib", "pip", "conda", "uv", "config", "autoreload", "load_ext", "reload_ext"),
        *("time", "timeit", "env", "set_env", "precision", "xmode", "colors"),
        *("who", "whos", "pwd", "ls", "cd"),
    )
)
_STORES = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete, ast.For, ast.AsyncFor)


@dataclass(frozen=True)
class Effects:
    """What one ordinary cell needs, binds and changes.

    It needs what it `reads` when it runs, and what its functions read `later`, when
    they are called; `imports` are among what it binds.
    """

    needs: frozenset[str]
    binds: frozenset[str]
    changes: frozenset[str]
    reads: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    # It may bind names that its text does not show: `import *`, %run, exec.
    opaque: bool = False
    # It edits sys.path, which decides what every import finds.
    paths: bool = False


def select(
    effects: Sequence[Effects], names: Iterable[str], forced: Collection[int] = ()
) -> list[int]:
    """Return the places of the cells that `names` depend on, and `forced`, in their order."""
    needed = set(names)
    chosen = set(forced)
    chosen |= {index for index, each in enumerate(effects) if each.paths}
    while True:
        for index in chosen:
            needed |= effects[index].needs
        more = _binding(effects, needed) - chosen or _opaque(effects, needed) - chosen
        if not more:
            return sorted(chosen)
        chosen |= more


def effects(texts: Iterable[str]) -> list[Effects]:
    """Return what each cell needs, binds and changes; nothing where it is no Python.

    IPython's own syntax must have become calls of `get_ipython()`.
    """
    parsed = [_Parsed.of(text) for text in texts]
    stable = frozenset[str]().union(*(_imported_or_defined(each.nodes) for each in parsed))
    within = _Within.of(parsed)
    return [_effects(each, stable, within) for each in parsed]


def without_measures(text: str) -> str:
    """Return a cell's text without the magics above it that only measure or hide what it does."""
    return _MEASURES.sub("", text)


def needed_names(texts: Iterable[str]) -> set[str]:
    """Return the names that the texts, one below the other, need from outside.

    A text that Python cannot parse is left to whoever builds the program: they
    say where and why.
    """
    joined = []
    for text in texts:
        with contextlib.suppress(SyntaxError):
            ast.parse(text)
            joined.append(text)
    return free_names("\n".join(joined))


def _binding(effects: Sequence[Effects], needed: set[str]) -> set[int]:
    return {
        index for index, each in enumerate(effects) if needed & each.binds or needed & each.changes
    }


def _opaque(effects: Sequence[Effects], needed: set[str]) -> set[int]:
    """Where a needed name is bound nowhere in sight, cells that may bind anything."""
    bound = set(dir(builtins)).union(*(each.binds for each in effects))
    if needed <= bound:
        return set()
    return {index for index, each in enumerate(effects) if each.opaque}


@dataclass(frozen=True)
class _Parsed:
    """A cell as Python: its text, and the nodes that run with it; empty where it is not."""

    text: str = ""
    nodes: tuple[ast.AST, ...] = ()

    @classmethod
    def of(cls, text: str) -> _Parsed:
        try:
            nodes = tuple(node for each in split(text) for node in _running(each.node))
        except SyntaxError:
            return cls()
        return cls(text, nodes)


@dataclass(frozen=True)
class _Within:
    """What the functions and classes of the cells change when called, and what they use."""

    changes: Mapping[str, frozenset[str]]
    uses: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, cells: Iterable[_Parsed]) -> _Within:
        changes: dict[str, frozenset[str]] = {}
        uses: dict[str, frozenset[str]] = {}
        for found in (facts(each) for cell in cells for each in split(cell.text)):
            for name in found.binds:
                inside = found.deferred_changes | found.deferred_binds
                changes[name] = changes.get(name, frozenset()) | inside
                uses[name] = uses.get(name, frozenset()) | found.reads | found.deferred_reads
        return cls(changes, uses)

    def changed_by(self, called: Iterable[str]) -> set[str]:
        """Return the names that calls of these change, through whatever they call in turn."""
        reached, more = set[str](), set(called)
        while more:
            reached |= more
            more = {name for each in more for name in self.uses.get(each, ())} - reached
        return {name for each in reached for name in self.changes.get(each, ())}


def _effects(cell: _Parsed, stable: frozenset[str], within: _Within) -> Effects:
    found = [facts(each) for each in split(cell.text)]
    changes = {name for node in cell.nodes for name in _changed(node, stable)}
    changes |= within.changed_by({name for node in cell.nodes for name in _called(node)})
    # A function looks its names up when it is called: a later cell may have bound them anew.
    later = frozenset[str]().union(*(each.deferred_reads for each in found))
    return Effects(
        needs=frozenset(free_names(cell.text)) | later,
        binds=frozenset[str]().union(*(each.binds | each.deferred_binds for each in found)),
        changes=frozenset() if _asks_for_jobs(cell.nodes) else frozenset(changes),
        reads=frozenset[str]().union(*(each.reads for each in found)),
        later=later,
        imports=frozenset(name for each in found for name in each.imports),
        opaque=any(map(_binds_unseen, cell.nodes)),
        paths=any(map(_edits_path, cell.nodes)),
    )


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run with the cell: no function's body."""
    yield node
    if not isinstance(node, _DEFINITIONS):
        for child in ast.iter_child_nodes(node):
            yield from _running(child)


def _imported_or_defined(nodes: Sequence[ast.AST]) -> frozenset[str]:
    imported = {
        alias.asname or alias.name.split(".")[0]
        for node in nodes
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    defined = {str(getattr(node, "name", "")) for node in nodes if isinstance(node, _DEFINITIONS)}
    return frozenset(imported | defined)


def _changed(node: ast.AST, stable: frozenset[str]) -> Iterator[str]:
    if isinstance(node, _STORES):
        targets = getattr(node, "targets", None) or [node.target]  # type: ignore[union-attr]
        yield from (name for each in targets for name in _stored_into(each))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        # The value of the call is thrown away: it was made for what it changes.
        call = node.value
        owner = _root(call.func) if isinstance(call.func, ast.Attribute) else None
        if owner and owner not in stable:
            yield owner
        if not (isinstance(call.func, ast.Name) and call.func.id in _LOOKS):
            given = [*call.args, *(each.value for each in call.keywords)]
            names = (each.id for each in given if isinstance(each, ast.Name))
            yield from (name for name in names if name not in stable)


def _called(node: ast.AST) -> Iterator[str]:
    """What a statement calls as it runs: also its decorators, and the bases of a class."""
    if isinstance(node, ast.Call):
        called = [node.func]
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        called = node.decorator_list
    elif isinstance(node, ast.ClassDef):
        called = [*node.decorator_list, *node.bases, *(each.value for each in node.keywords)]
    else:
        called = []
    yield from (name for each in called if (name := _root(each)))


def _stored_into(target: ast.AST) -> Iterator[str]:
    if isinstance(target, (ast.Tuple, ast.List)):
        for each in target.elts:
            yield from _stored_into(each)
    elif isinstance(target, (ast.Attribute, ast.Subscript)):
        name = _root(target)
        if name:
            yield name


def _root(node: ast.AST) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _asks_for_jobs(nodes: Sequence[ast.AST]) -> bool:
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func) in ("rpnb.run", "rpnb.stream")
        for node in nodes
    )


def _binds_unseen(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "*" for alias in node.names)
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    if called == "get_ipython().run_line_magic":
        name = ast.literal_eval(node.args[0])
        return name not in _BINDS_NOTHING and not name.startswith("runpod")
    return called in ("exec", "globals", "get_ipython().run_cell_magic")


def _edits_path(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "path"
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
    )
