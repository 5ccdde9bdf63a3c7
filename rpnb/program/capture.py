"""How one name of an ordinary cell travels: an import, its source, a literal, its value."""

from __future__ import annotations

import ast
import logging
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..errors import CannotCapture
from . import skew, values
from .credentials import refuse
from .expressions import Expression, importable, made
from .literals import literal
from .names import Names
from .obstacles import kind_of
from .places import path_to
from .provenance import Definition
from .rebuilt import assembled, closure, method, partial
from .referring import Referring
from .registration import stray
from .sources import (
    Captured,
    as_begun,
    from_definition,
    is_code,
    is_plain_display,
    is_typing,
    typed,
)
from .steps import Capture

_LOGGER = "`{}` has its handlers and level here only: configure logging in a remote cell"


def capture(name: str, names: Names) -> Captured:
    """Return how the value that `name` holds travels.

    Raises:
        CannotCapture: it cannot; the text says what inside it cannot, and what to do.
    """
    value, definition = names[name], names.definition(name)
    if isinstance(value, types.ModuleType):
        kind = kind_of(value)
        if kind is not None:
            raise CannotCapture(
                f"`{name}` cannot travel to the target: `{name}` is {kind.what}. Remedy: "
                f"{kind.remedy}",
                name=name,
                path=name,
            )
        return _import(name, value, definition)
    if definition is not None and isinstance(definition.node, ast.ImportFrom):
        return Captured(Capture(name, "import", _import_from(name, definition.node)))
    if definition is not None and is_code(definition, names):
        return from_definition(definition, names)
    refuse(name, value, names.send)
    return capture_value(name, value, names, definition)


def capture_value(
    name: str, value: Any, names: Names, definition: Definition | None = None
) -> Captured:
    """Return how a value without a definition of its own travels under this name.

    Raises:
        CannotCapture: it cannot.
    """
    if type(value).__name__ == "SList":
        # What `files = !ls` gives: a list that only IPython knows.
        value = list(value)
    text = literal(value)
    if text is not None:
        found = _literal(name, text, definition)
        return replace(found, value=value, parts=values.containers(value))
    by_name = importable(value)
    if by_name is not None:
        return _imported(name, value, by_name)
    call = made(value, names)
    if call is not None:
        found = assembled(name, call.text, [(call, None)])
        note = _LOGGER.format(name) if isinstance(value, logging.Logger) and _is_set(value) else ""
        return replace(found, value=value, parts=values.containers(value), note=note)
    for rebuild in (closure, partial, method):
        rebuilt = rebuild(name, value, names, capture_value)
        if rebuilt is not None:
            return rebuilt
    if definition is not None and (is_plain_display(definition, names) or is_typing(definition)):
        return from_definition(definition, names)
    return _pickled(name, value, names)


def _is_set(logger: logging.Logger) -> bool:
    return bool(logger.handlers or logger.filters or logger.level)


def together(holder: str, held: tuple[Any, ...], names: Names) -> Captured:
    """Return several values, which share parts, as one pickle: a tuple under the name `holder`.

    Raises:
        CannotCapture: it cannot travel.
    """
    return _pickled(holder, held, names, limit=None)


def element(name: str, holder: str, at: int) -> Captured:
    """Return a name that holds one of the values of `together`."""
    return Captured(Capture(name, "literal", f"{name} = {holder}[{at}]", now=(holder,)))


def alias(name: str, other: str) -> Captured:
    """Return a name for the object that another name holds."""
    return Captured(Capture(name, "literal", f"{name} = {other}", now=(other,)))


def begun(name: str, made: tuple[str, ...], names: Names) -> Captured:
    """Return a registry as it began; the definitions `made` fill it again on the target.

    Raises:
        CannotCapture: no statement here says how it began, or it holds what they do not give it.
    """
    definition = names.definition(name)
    listed = " and ".join(f"`{each}`" for each in made)
    if definition is None or definition.in_block:
        problem = "no statement of a cell makes it empty"
    else:
        found = as_begun(definition, made)
        known = {*made, *found.capture.now, *found.capture.later}
        other = next((o for o in _definitions_in(names[name]) if o.__name__ not in known), None)
        place = stray(definition, names)
        if other is None and place is None:
            return found
        what = "" if other is None else f" put `{other.__name__}` into it"
        problem = f"something else{what or f' in {place} fills it, too'}"
    raise CannotCapture(
        f"`{name}` is filled while {listed} is defined, but {problem}: define and fill it in a "
        "remote cell",
        name=name,
        path=name,
    )


def _definitions_in(value: Any) -> Iterator[Any]:
    """The functions and classes of the notebook's cells that plain containers hold."""
    for each in values.inside(getattr(value, "__dict__", value)).values():
        own = getattr(each, "__module__", "") == "__main__"
        if own and "<locals>" not in getattr(each, "__qualname__", "<locals>"):
            yield each


def _import(name: str, module: types.ModuleType, definition: Definition | None) -> Captured:
    lines = {f"import {name}" if module.__name__ == name else f"import {module.__name__} as {name}"}
    if definition is not None and isinstance(definition.node, ast.Import):
        # `import os.path` binds os, and the submodule must be there, too.
        lines |= {
            f"import {alias.name}"
            for alias in definition.node.names
            if not alias.asname and alias.name.partition(".")[0] == name
        }
    elif definition is not None and isinstance(definition.node, ast.ImportFrom):
        lines = {_import_from(name, definition.node)}
    return Captured(Capture(name, "import", "\n".join(sorted(lines))))


def _import_from(name: str, node: ast.ImportFrom) -> str:
    for alias in node.names:
        if (alias.asname or alias.name) == name:
            bound = f" as {alias.asname}" if alias.asname and alias.asname != alias.name else ""
            return f"from {'.' * node.level}{node.module or ''} import {alias.name}{bound}"
    return f"from {node.module} import {name}"


def _imported(name: str, value: Any, found: Expression) -> Captured:
    module, path = value.__module__, value.__qualname__
    if "." in path or module == "builtins":
        lines = tuple(sorted(found.imports))
        return Captured(Capture(name, "literal", f"{name} = {found.text}", imports=lines))
    bound = f" as {name}" if path != name else ""
    return Captured(Capture(name, "import", f"from {module} import {path}{bound}"))


def _literal(name: str, text: str, definition: Definition | None) -> Captured:
    """An assignment: the person's own, comments and all, where it says just that value."""
    if definition is not None and not definition.in_block and len(definition.passages) == 1:
        node = definition.node
        if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == [name]:
            try:
                written = literal(ast.literal_eval(node.value))
            except (ValueError, TypeError, SyntaxError):
                written = None
            if written == text:
                passage = definition.passages[0]
                return Captured(typed(name, "literal", passage))
    return Captured(Capture(name, "literal", f"{name} = {text}"))


def _pickled(
    name: str, value: Any, names: Names, limit: int | None = values.LARGE_BYTES
) -> Captured:
    refer = Referring(name, names, capture_value)
    if name in names.send:
        limit = None
    found = values.dump(name, value, names.namespace, refer=refer, limit=limit)
    if refer.is_sharing:
        # Their bytecode keeps what they share, and stays with this version of Python.
        refer = Referring(name, names, capture_value, makes=False)
        found = values.dump(name, value, names.namespace, refer=refer, limit=limit)
    text, path = values.loading(name, found)
    return Captured(
        Capture(
            name,
            "value",
            text,
            now=tuple(sorted(found.references)),
            later=tuple(sorted(found.globals)),
            imports=("import pathlib", "import pickle"),
            files=(path,),
            bytecode=_path_of(found.bytecode[:1], value, name),
            asks=_asks(name, value, found, names),
            by_name=() if name in names.send else skew.told(found.by_name),
        ),
        files={path: found.content},
        before=tuple(refer.before),
        modules=frozenset(found.modules),
        value=value,
        parts=found.parts,
        note=f"`{name}` was on this machine's GPU: its copy in memory travels"
        if found.from_gpu
        else "",
    )


def _asks(
    name: str, value: Any, found: values.Pickled, names: Names
) -> tuple[tuple[str, str, str], ...]:
    """The packages whose objects are in the pickle, each with what the first of them is."""
    asked = []
    for module, first in sorted(found.modules.items()):
        if module not in sys.stdlib_module_names and module != "__main__":
            kind = first if isinstance(first, type) else type(first)
            what = f"`{_path_of([first], value, name)}` is of {kind.__module__}.{kind.__qualname__}"
            here = "" if name in names.send else skew.version(module)
            asked.append((module, what, here))
    return tuple(asked)


def _path_of(wanted: Sequence[Any], value: Any, name: str) -> str:
    """Where in the value the one wanted object is; "" for none."""
    return path_to(value, name, lambda each: each is wanted[0]) if wanted else ""
