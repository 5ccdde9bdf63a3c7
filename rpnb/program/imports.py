"""The modules that a text imports: by statements, by their names, by names that it works out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TypeGuard

_BY_NAME = ("import_module", "__import__", "run_module")
# A text that is a module's name, or begins one: "plugins.upscale", "plugins.".
_NAME = re.compile(r"[A-Za-z_]\w*(\.\w*)*\Z")


def imported(text: str) -> set[str]:
    """Return the top-level names of the modules that a text imports, late imports included."""
    return set(_imported(_nodes(text)))


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]
        elif _is_by_name(node):
            named = _given_name(node)
            if named is not None:
                yield named.partition(".")[0]


def _is_by_name(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith(_BY_NAME)


def _given_name(node: ast.Call) -> str | None:
    """Return the module that a call imports by name, where its text says which."""
    given = [*node.args, *(each.value for each in node.keywords if each.arg == "name")][:1]
    value = given[0].value if given and isinstance(given[0], ast.Constant) else None
    return value if isinstance(value, str) and value[:1] != "." else None


@lru_cache(maxsize=1_000)
def works_names_out(text: str) -> bool:
    """Whether a text imports a module by a name that it does not spell there."""
    if not any(name in text for name in _BY_NAME):
        return False
    return any(_is_by_name(each) and _given_name(each) is None for each in _nodes(text))


@lru_cache(maxsize=1_000)
def names_in_strings(text: str) -> set[str]:
    """Return the top-level modules that strings of a text may be the names of."""
    strings = (each.value for each in _nodes(text) if isinstance(each, ast.Constant))
    named = {each for each in strings if isinstance(each, str) and _NAME.match(each)}
    # Every program has that one, as the key of what it starts.
    return {each.partition(".")[0] for each in named} - {"handler"}


def _nodes(text: str) -> list[ast.AST]:
    try:
        return list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return []
