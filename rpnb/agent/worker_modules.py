"""The program's local modules: what each is made of, and what comes anew when one does."""

from __future__ import annotations

import ast
import os
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Collection, Mapping

from ..planner.calls import is_literal
from ..planner.facts import facts
from ..planner.statements import Statement, split
from ..planner.steps import closures
from .directory import RunDirectory
from .worker_program import WireProgram


@dataclass(frozen=True)
class LocalModules:
    """`hashes` cover what a module imports; `stateful` are the modules with state it reaches.

    A module keeps state where it binds more than functions and constants: what
    uses it may have changed it, so it is imported anew with its importers.
    """

    hashes: Mapping[str, str] = field(default_factory=dict)
    stateful: Mapping[str, frozenset[str]] = field(default_factory=dict)


def local_modules(directory: RunDirectory, program: WireProgram) -> LocalModules:
    """Return the top-level local modules among the program's files."""
    trees: dict[str, list[str]] = {}
    files: dict[str, list[Path]] = {}
    for path, (digest, _size) in sorted(program.files.items()):
        if path.endswith(".py"):
            files.setdefault(_top(path), []).append(directory.values / digest)
    for path, (digest, _size) in sorted(program.files.items()):
        if _top(path) in files:
            # A package's data counts, too: its modules read it.
            trees.setdefault(_top(path), []).append(f"{path} {digest}")
    imports: dict[str, set[str]] = {}
    stateful: set[str] = set()
    for name, paths in files.items():
        every = [_seen(os.fspath(path)) for path in paths]
        imports[name] = set[str]().union(*(each.imports for each in every))
        if any(each.keeps_state for each in every):
            stateful.add(name)
    hashes = closures({name: "\n".join(parts) for name, parts in trees.items()}, imports)
    reached = {name: _reached(name, imports) & stateful for name in trees}
    return LocalModules(hashes, {name: frozenset(found) for name, found in reached.items()})


def unseen_change(app: Path, before: WireProgram | None, program: WireProgram) -> str | None:
    """Return a file that is another than before and that no step shows to depend on.

    That is a data file which the text finds by `__file__`, or a module that was
    imported from a folder on the search path: only a fresh process reads it anew.
    """
    old = before.files if before is not None else {}
    changed = [
        path
        for path, found in program.files.items()
        if path in old and list(old[path]) != list(found)
    ]
    if not changed:
        return None  # nearly every edit: looking through all modules costs 17 ms
    packages = {_top(path) for path in program.files if path.endswith(".py")}
    imported = {
        os.path.realpath(app / file): name.split(".")[0]
        for name, module in list(sys.modules.items())
        for file in [getattr(module, "__file__", None)]
        if isinstance(file, str)
    }
    for path in changed:
        top = imported.get(os.path.realpath(app / path), _top(path))
        if _top(path) not in packages or top != _top(path):
            return path
    return None


def _top(path: str) -> str:
    first = path.partition("/")[0]
    return first[:-3] if first.endswith(".py") else first


def purge(modules: Collection[str]) -> None:
    """Forget these modules and their submodules: the next import runs them again."""
    for name in list(sys.modules):
        if name.split(".")[0] in modules:
            del sys.modules[name]


@dataclass(frozen=True)
class _Seen:
    """What a file's text tells."""

    imports: frozenset[str] = frozenset()
    keeps_state: bool = False


@lru_cache(maxsize=5_000)
def _seen(path: str) -> _Seen:
    """Return what the file at a path that is named after its content tells."""
    try:
        statements = split(Path(path).read_bytes().decode("utf-8", "replace"))
    except (OSError, SyntaxError, ValueError):
        # The import itself will say what is wrong with it.
        return _Seen()
    every = [facts(each) for each in statements]
    loads = frozenset(path.split(".")[0] for f in every for path in f.loads | f.deferred_loads)
    return _Seen(loads, any(_keeps_state(each) for each in statements))


# Calls at module level that make nothing anybody changes.
_FIXED_CALLS = frozenset(
    {
        *("logging.getLogger", "re.compile", "Path", "pathlib.Path", "os.environ.get"),
        *("os.getenv", "os.path.join", "os.path.dirname", "os.path.abspath", "frozenset"),
        *("TypeVar", "typing.TypeVar", "str", "int", "float", "bool", "tuple"),
    }
)


def _keeps_state(statement: Statement) -> bool:
    """Tell whether a module-level statement leaves anything that could be changed later."""
    node, found = statement.node, facts(statement)
    if found.deferred_binds:
        return True
    if found.is_definition or found.is_inert or _is_main_guard(node):
        return False
    if isinstance(node, ast.ClassDef):
        return not _is_plain_class(node)
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return found.has_star
    if isinstance(node, ast.Assign):
        return not _is_fixed(node.value)
    only_imports = found.binds <= set(found.imports) and not found.has_calls
    return not (only_imports and isinstance(node, (ast.If, ast.Try)))


def _is_fixed(value: ast.expr) -> bool:
    calls = [n for n in ast.walk(value) if isinstance(n, ast.Call)]
    made = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)
    return not any(isinstance(n, made) for n in ast.walk(value)) and all(
        ast.unparse(call.func) in _FIXED_CALLS for call in calls
    )


def _is_plain_class(node: ast.ClassDef) -> bool:
    made = node.bases or node.keywords or node.decorator_list
    return not made and all(_is_plain_member(part) for part in node.body)


def _is_plain_member(part: ast.stmt) -> bool:
    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return {ast.unparse(each) for each in part.decorator_list} <= _ACCESSORS
    if isinstance(part, (ast.AnnAssign, ast.Assign)):
        return part.value is None or is_literal(part.value)
    documents = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
    return documents or isinstance(part, ast.Pass)


_ACCESSORS = {"property", "staticmethod", "classmethod"}


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _reached(name: str, imports: Mapping[str, set[str]]) -> set[str]:
    reached, todo = {name}, [name]
    while todo:
        more = (imports.get(todo.pop(), set()) & set(imports)) - reached
        reached |= more
        todo.extend(more)
    return reached
