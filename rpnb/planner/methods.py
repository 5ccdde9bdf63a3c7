"""Methods of plain classes, told apart: which of them a statement may run, and which were edited.

`predictor.setup()` runs no `predict`: what only `predict` reads, or does, is none of its
business, and an edit of that method's body changes the object's class in place. What may
run is told by the names that stand in a text: a method whose name nothing mentions is not
called by it, unless the object is handed on to code that is not seen.
"""

from __future__ import annotations

import ast
import copy
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Collection, Iterable, Iterator, Mapping, Union

from .calls import is_literal

ACCESSORS = frozenset({"property", "staticmethod", "classmethod"})
_Method = Union[ast.FunctionDef, ast.AsyncFunctionDef]
# Calls in a class body that read at most what the program's settings are.
_PLAIN_CALLS = frozenset({"os.getenv", "os.environ.get", "Path", "str", "int", "float", "bool"})


# What making an object, and asking it for an attribute, calls without a name. All other
# special methods need an object that more is done with.
_HOOKS = frozenset(
    {
        *("__new__", "__init__", "__init_subclass__", "__set_name__", "__del__"),
        *("__getattr__", "__getattribute__", "__setattr__", "__delattr__"),
    }
)


@dataclass(frozen=True)
class Shape:
    """What a text mentions, and how it uses names.

    `mentions` are attributes and texts that might name one; `called` the names that are called,
    `made` those where the result may go anywhere; `bare` names of which more is made than a call
    or an attribute.
    """

    mentions: frozenset[str]
    bare: frozenset[str]
    called: frozenset[str]
    made: frozenset[str]


@lru_cache(maxsize=20_000)
def shape(text: str) -> Shape:
    """Return the shape of a statement."""
    tree = ast.parse(text)
    values = [n.value for n in tree.body if isinstance(n, (ast.Assign, ast.AnnAssign, ast.Expr))]
    return _shape(tree, set(map(id, values)))


def _shape(node: ast.AST, plain: set[int]) -> Shape:
    """Calls of `plain` nodes, and those that are asked for an attribute, make nothing that goes."""
    mentions, bare, called, made = set[str](), set[str](), set[str](), set[str]()
    held = set[int]()
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute):
            mentions.add(each.attr)
            held.add(id(each.value))
            plain.add(id(each.value))
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            mentions.add(each.value)
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name):
            held.add(id(each.func))
            called.add(each.func.id)
            if id(each) not in plain:
                made.add(each.func.id)
        elif isinstance(each, (ast.Global, ast.Nonlocal)):
            bare.update(each.names)
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load) and id(each) not in held:
            bare.add(each.id)
    return Shape(frozenset(mentions), frozenset(bare), frozenset(called), frozenset(made))


@dataclass(frozen=True)
class Method:
    """A method: its text as a function of its own, and whether it hands its object on."""

    text: str
    shape: Shape
    hands_on: bool


@dataclass(frozen=True)
class PlainClass:
    """A class that does nothing but hold functions and constants."""

    name: str
    methods: Mapping[str, Method]
    # All but the bodies of the methods.
    outside: str


def plain_class(node: ast.stmt, *, is_wrapped: bool) -> PlainClass | None:
    """Return the methods of a class whose functions only calls of them run; None of any other.

    Where it `is_wrapped`, its functions' decorators are known to call nothing of them.
    """
    if not isinstance(node, ast.ClassDef) or node.keywords or node.decorator_list:
        return None
    if any(ast.unparse(base) != "object" for base in node.bases):
        return None
    found = [
        part for part in node.body if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    names = [part.name for part in found]
    is_plain = all(_is_plain(part, names, is_wrapped=is_wrapped) for part in node.body)
    is_plain = is_plain and len(set(names)) == len(names)
    if not is_plain or not found or any(map(_is_of_class, ast.walk(node))):
        return None
    return PlainClass(node.name, {part.name: _method(part) for part in found}, _outside(node))


def _is_plain(part: ast.stmt, methods: list[str], *, is_wrapped: bool) -> bool:
    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
        given = [*part.args.defaults, *(d for d in part.args.kw_defaults if d)]
        decorators = {ast.unparse(each) for each in part.decorator_list}
        known = is_wrapped or decorators <= ACCESSORS
        return known and all(_is_quiet(each, methods) for each in given)
    if isinstance(part, (ast.Assign, ast.AnnAssign)):
        return part.value is None or _is_quiet(part.value, methods)
    return isinstance(part, ast.Pass) or (
        isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
    )


def _is_quiet(value: ast.expr, methods: list[str]) -> bool:
    """Tell whether an expression in a class body neither calls nor takes one of its functions."""
    calls = [n for n in ast.walk(value) if isinstance(n, ast.Call)]
    taken = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)} & set(methods)
    plain = all(ast.unparse(call.func) in _PLAIN_CALLS for call in calls)
    return not taken and (is_literal(value) or plain)


def _is_of_class(node: ast.AST) -> bool:
    """Tell whether a node means another thing in a class than outside: `super`, `__private`."""
    name = node.id if isinstance(node, ast.Name) else ""
    return name in ("super", "__class__") or (name[:2] == "__" and name[-2:] != "__")


def _method(node: _Method) -> Method:
    found = _shape(node, set())
    first = [*node.args.posonlyargs, *node.args.args][:1]
    alone = copy.copy(node)
    alone.decorator_list = []
    hands_on = any(each.arg in found.bare | found.made for each in first)
    return Method(ast.unparse(alone), found, hands_on)


def _outside(node: ast.ClassDef) -> str:
    """Return the class's text without its methods' bodies, but for what they say they are."""
    lines = [node.name, *(line for part in node.body for line in _lines(part))]
    if sys.version_info >= (3, 13):
        # The class keeps their names: `__static_attributes__`.
        stored = (n for n in ast.walk(node) if isinstance(n, ast.Attribute))
        lines += sorted({n.attr for n in stored if isinstance(n.ctx, ast.Store)})
    return "\n".join(lines)


def _lines(part: ast.stmt) -> Iterator[str]:
    if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield ast.unparse(part)
        return
    yield from map(ast.unparse, part.decorator_list)
    is_generator = any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(part))
    returns = ast.unparse(part.returns) if part.returns else ""
    yield f"{type(part).__name__} {part.name}({ast.unparse(part.args)}) -> {returns} {is_generator}"
    yield repr(ast.get_docstring(part, clean=False))


def chosen(
    seen: Iterable[Shape], classes: Mapping[int, tuple[PlainClass, Collection[str]]]
) -> dict[int, frozenset[str]]:
    """Return for each class which of its methods code of these shapes may run.

    `classes` tells for each, besides, the names that its objects go by, and its own.
    """
    shapes, found = list(seen), dict[int, set[str]]()
    for number, (plain, _) in classes.items():
        found[number] = set(plain.methods) & _HOOKS
        shapes += [plain.methods[name].shape for name in found[number]]
    count = -1
    while count != len(shapes):
        count = len(shapes)
        for number, (plain, names) in classes.items():
            mentions = set[str]().union(*(each.mentions for each in shapes))
            if any(each.called & set(names) - {plain.name} for each in shapes):
                mentions.add("__call__")
            is_handed_on = _is_handed_on(plain, names, shapes, found[number])
            more = {n for n in plain.methods if is_handed_on or n in mentions} - found[number]
            found[number] |= more
            shapes += [plain.methods[name].shape for name in more]
    return {number: frozenset(names) for number, names in found.items()}


def _is_handed_on(
    plain: PlainClass, names: Collection[str], shapes: Iterable[Shape], methods: Iterable[str]
) -> bool:
    """Tell whether code that is not seen may get an object of the class."""
    if any(plain.methods[name].hands_on for name in methods):
        return True
    return any(not each.bare.isdisjoint(names) or plain.name in each.made for each in shapes)


def edited(old: PlainClass, new: PlainClass) -> frozenset[str]:
    """Return the methods whose bodies are others, of classes that are else the same."""
    return frozenset(n for n, method in new.methods.items() if old.methods[n].text != method.text)
