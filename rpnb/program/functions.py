"""The source of a function object, found by its code: closures, lambdas, what a loop made."""

from __future__ import annotations

import ast
import dis
import linecache
import textwrap
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from .literals import literal
from .passages import Passage
from .provenance import Provenance

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True)
class Found:
    """A function's own text; an expression where it is a lambda, `indent` spaces deep."""

    passage: Passage
    is_lambda: bool
    indent: int


def find(function: types.FunctionType, provenance: Provenance) -> Found | None:
    """Return the text that made the function, if exactly one text compiles to its code."""
    text = "".join(linecache.getlines(function.__code__.co_filename))
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    found = [_cut(text, node) for node in _candidates(tree, function.__code__)]
    same = [each for each in found if each is not None and _compiles_to(each, function)]
    if len({each.passage.text for each in same}) != 1:
        return None
    label = provenance.label_of(text)
    passage = same[0].passage
    places = passage.places if label else (0,) * len(passage.lines)
    return Found(Passage(passage.lines, places, "", label), same[0].is_lambda, same[0].indent)


def _candidates(tree: ast.AST, code: types.CodeType) -> Iterator[_Definition]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            if code.co_name == "<lambda>" and node.lineno == code.co_firstlineno:
                yield node
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            # A decorated function's name holds what the decorator returned.
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if node.name == code.co_name and first == code.co_firstlineno:
                yield node


def _cut(text: str, node: _Definition) -> Found | None:
    lines = text.split("\n")
    if isinstance(node, ast.Lambda):
        segment = ast.get_source_segment(text, node)
        if segment is None:
            return None
        # Parentheses let a lambda go over several lines.
        segment = f"({segment})" if "\n" in segment else segment
        return Found(Passage.typed(segment, node.lineno), True, 0)
    last = node.end_lineno or node.lineno
    part = Passage.typed("\n".join(lines[node.lineno - 1 : last]), node.lineno)
    return Found(part, False, len(part.lines[0]) - len(part.lines[0].lstrip()))


def with_defaults(found: Found, function: types.FunctionType) -> Found | None:
    """Return the text with the defaults that the function has, None where text cannot say them.

    Those that it was written with need not be there any more: `lambda x, i=i: x + i`.
    """
    lines = list(found.passage.lines)
    try:
        defaults = _defaults(found, function)
    except (ValueError, KeyError):
        return None  # others than it was written with, and not as many
    for node, value in reversed(defaults):
        text = literal(value)
        if text is None or node.lineno != node.end_lineno:
            return None
        number = node.lineno - 2
        line = lines[number].encode()
        written = line[node.col_offset : node.end_col_offset].decode()
        if written != text:
            head, tail = line[: node.col_offset], line[node.end_col_offset :]
            lines[number] = f"{head.decode()}{text}{tail.decode()}"
    return replace(found, passage=replace(found.passage, lines=tuple(lines)))


def _defaults(found: Found, function: types.FunctionType) -> list[tuple[ast.expr, object]]:
    """The expressions of the defaults, in the order of the text, each with its value now.

    Lines count from 2: above the text stands what it is a part of.
    """
    head = "(" if found.is_lambda else "if 1:" if found.indent else ""
    tree = ast.parse(f"{head}\n{found.passage.text}\n{')' if found.is_lambda else ''}")
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    arguments = next(node.args for node in ast.walk(tree) if isinstance(node, kinds))
    positional = zip(arguments.defaults, function.__defaults__ or (), strict=True)
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    given = function.__kwdefaults__ or {}
    return [*positional, *((node, given[arg.arg]) for arg, node in named if node is not None)]


def in_factory(found: Found, name: str, free: list[str], function_name: str) -> Passage:
    """Return a function that makes the function anew from what it closes over."""
    head = f"def {name}({', '.join(free)}):"
    if found.is_lambda:
        body = found.passage
        lines = (f"    return {body.lines[0]}", *body.lines[1:])
        return Passage((head, *lines), (0, *body.places), "", body.label)
    # The body keeps its own indentation, and so its bytes; one at the margin is moved.
    body, indent = found.passage, found.indent
    lines = body.lines
    if not indent:
        lines, indent = tuple(textwrap.indent(body.text, "    ").split("\n")), 4
    tail = " " * indent + f"return {function_name}"
    return Passage((head, *lines, tail), (0, *body.places, 0), "", body.label)


def _compiles_to(found: Found, function: types.FunctionType) -> bool:
    free = list(function.__code__.co_freevars)
    text = in_factory(found, "_made", [n for n in free if n != "__class__"], "None").text
    try:
        module = compile(text, "<found>", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    [made] = _inner(module)
    # Its own code only: a lambda inside it may be the same, on the same line.
    return any(_is_same(each, function.__code__) for each in _inner(made))


def _inner(code: types.CodeType) -> list[types.CodeType]:
    return [each for each in code.co_consts if isinstance(each, types.CodeType)]


def _is_same(first: types.CodeType, second: types.CodeType) -> bool:
    return (
        first.co_name == second.co_name
        and first.co_code == second.co_code
        and first.co_names == second.co_names
        and first.co_varnames == second.co_varnames
        and first.co_freevars == second.co_freevars
        and _constants(first) == _constants(second)
    )


def _constants(code: types.CodeType) -> list[object]:
    return [
        _constants(each) if isinstance(each, types.CodeType) else (type(each), each)
        for each in code.co_consts
    ]


def shared_variables(functions: Mapping[str, types.FunctionType]) -> list[tuple[str, list[str]]]:
    """Return (variable, functions) for what several closures share and could change.

    Each would get a copy of its own in a factory of its own.
    """
    owners: dict[int, tuple[str, types.CellType, list[str]]] = {}
    for name, function in functions.items():
        cells = function.__closure__ or ()
        for variable, cell in zip(function.__code__.co_freevars, cells, strict=True):
            owners.setdefault(id(cell), (variable, cell, []))[2].append(name)
    return [
        (variable, sorted(names))
        for variable, cell, names in owners.values()
        if len(names) > 1 and _may_change(variable, cell, [functions[each] for each in names])
    ]


def _may_change(variable: str, cell: types.CellType, users: list[types.FunctionType]) -> bool:
    if any(_assigns(each.__code__, variable) for each in users):
        return True
    content = cell.cell_contents
    kinds = (int, float, complex, str, bytes, tuple, frozenset, type(None), type)
    return not isinstance(content, (*kinds, types.FunctionType, types.ModuleType))


def _assigns(code: types.CodeType, variable: str) -> bool:
    own = any(
        each.opname in ("STORE_DEREF", "DELETE_DEREF") and each.argval == variable
        for each in dis.get_instructions(code)
    )
    return own or any(_assigns(each, variable) for each in _inner(code))
