"""Methods of plain classes, told apart: which of them a statement may run, and which were edited.

`predictor.setup()` runs no `predict`: what only `predict` reads, or does, is none of its
business, and an edit of that method changes the object's class in place. What may
run is told by the names that stand in a text: a method whose name nothing mentions is not
called by it, unless the object is handed on to code that is not seen.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Iterable, Iterator, Mapping, Sequence, Union

from .access import is_literal

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


# Special methods that make nothing else of a class when they come, go or change, as `__eq__` does.
_ORDINARY = frozenset(
    {
        *("__init__", "__call__", "__repr__", "__str__", "__len__", "__iter__", "__next__"),
        *("__getitem__", "__contains__", "__enter__", "__exit__", "__aenter__", "__aexit__"),
    }
)
# What an annotation may be that is more than a name, and runs no code of the program's.
_ANNOTATING = (
    *(ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.List, ast.Constant),
    *(ast.BinOp, ast.BitOr, ast.Load),
)


# Attributes that tell what a function, class or module is annotated with.
_SHOWING = frozenset({"__annotations__", "__annotate__", "__dataclass_fields__"})
# Attributes that lead from an object to its class, or from a method to its object.
_LEADING_BACK = frozenset({"__class__", "__self__", "__mro__", "mro", "__subclasses__", "__dict__"})
# What makes something that runs its code later.
_LINGERING = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.GeneratorExp),
    *(ast.Yield, ast.YieldFrom),
)


@dataclass(frozen=True)
class Shape:
    """What a text mentions, and how it uses names.

    `mentions` are attributes and texts that might name one, `taken` those of them that are
    more than what a call calls. `called` are names that are called; `made` those where the
    result may go anywhere, `kept` (class, name) where it gets a name, no more; `bare` are
    names of which more is made than a call or an attribute. What `lingers` makes something
    that runs its code later. `shown` are (function or class, what its annotations name).
    Attributes of the `stored` ones are stored or deleted.
    """

    mentions: frozenset[str]
    taken: frozenset[str]
    bare: frozenset[str]
    called: frozenset[str]
    made: frozenset[str]
    kept: frozenset[tuple[str, str]]
    lingers: bool
    shown: frozenset[tuple[str, str]]
    stored: frozenset[str]


@lru_cache(maxsize=20_000)
def shape(text: str) -> Shape:
    """Return the shape of a statement."""
    return _shape(ast.parse(text))


def _shape(tree: ast.AST) -> Shape:
    every = list(ast.walk(tree))
    plain, kept = _results(tree)
    # Attributes and names that calls call; names that are only asked for an attribute or called.
    functions = {id(node.func) for node in every if isinstance(node, ast.Call)}
    shown = list(_every_shown(every))
    apart = {id(part) for _, part in shown}
    mentions, taken, bare = set[str](), set[str](), set[str]()
    called, made, held = set[str](), set[str](), set[int]()
    for node in every:
        if isinstance(node, ast.Attribute):
            mentions.add(node.attr)
            taken |= {node.attr} if id(node) not in functions else set()
            held.add(id(node.value))
            plain.add(id(node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            taken.add(node.value)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            bare.update(node.names)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            bare.add(node.target.id)
    for node in every:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            held.add(id(node.func))
            (called if id(node) in plain else made).add(node.func.id)
    for node in every:
        is_read = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        if is_read and id(node) not in held | apart:
            bare.add(node.id)  # type: ignore[attr-defined] # a Name
    return Shape(
        frozenset(mentions | taken),
        frozenset(taken),
        frozenset(bare),
        frozenset(called | made),
        frozenset(made),
        frozenset(kept),
        any(isinstance(n, _LINGERING) and n is not tree for n in every)
        or isinstance(tree, ast.AsyncFunctionDef),
        frozenset((owner, name) for owner, part in shown if (name := _name(part))),
        frozenset(_stored(every)),
    )


def _stored(every: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names of which attributes are stored or deleted."""
    for node in every:
        is_stored = isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del))
        if is_stored and isinstance(node.value, ast.Name):  # type: ignore[attr-defined] # an Attribute
            yield node.value.id  # type: ignore[attr-defined] # the same


def _every_shown(every: Sequence[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Yield what `_shown` does of all nodes; a field's annotation is its class's."""
    of_classes = {id(p) for node in every if isinstance(node, ast.ClassDef) for p in node.body}
    for node in every:
        if not (isinstance(node, ast.AnnAssign) and id(node) in of_classes):
            yield from _shown(node)


def _results(tree: ast.AST) -> tuple[set[int], set[tuple[str, str]]]:
    """Return calls whose results are dropped or get a name, and (what is called, name)."""
    plain, kept = set[int](), set[tuple[str, str]]()
    for part in tree.body if isinstance(tree, ast.Module) else ():
        targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
        value = part.value if isinstance(part, (ast.Expr, ast.Assign, ast.AnnAssign)) else None
        names = [t.id for t in targets if isinstance(t, ast.Name)]
        if value is not None and (isinstance(part, ast.Expr) or len(names) == len(targets)):
            plain.add(id(value))
            kept |= {(_called(value), name) for name in names if _called(value)}
    return plain, kept


def _shown(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the parts of annotations, which only name a class, and whose they are.

    Not those of what is decorated: whoever is handed it may make something of them.
    """
    owner = getattr(node, "name", "")
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        inner: list[ast.AST] = [node, *(n for n in ast.walk(node.args) if isinstance(n, ast.arg))]
    elif isinstance(node, ast.ClassDef):
        inner = [part for part in node.body if isinstance(part, ast.AnnAssign)]
    else:
        inner = [node] if isinstance(node, ast.AnnAssign) else []
    if not {ast.unparse(each) for each in getattr(node, "decorator_list", ())} - ACCESSORS:
        yield from ((owner, part) for each in inner for part in _annotations(each))


def _name(part: ast.AST) -> str:
    """Return what a part of an annotation names, in quotes or not."""
    found = part.value if isinstance(part, ast.Constant) else getattr(part, "id", "")
    return found if isinstance(found, str) else ""


def _annotations(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of what a node is annotated with."""
    for shown in (getattr(node, "annotation", None), getattr(node, "returns", None)):
        yield from ast.walk(shown) if shown is not None else ()


def _called(node: ast.expr) -> str:
    is_named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return node.func.id if is_named else ""  # type: ignore[attr-defined] # a Call of a Name


@dataclass(frozen=True)
class Method:
    """A method: its text as a function of its own, and whether it hands its object on.

    Its `head`, what the class statement evaluates and what it says it is, may be evaluated
    later as well: it names what is `shown` by annotations, and all else that is `given`.
    Where it may not, it is the class's own, and "" here.
    """

    text: str
    shape: Shape
    hands_on: bool
    head: str = ""
    shown: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PlainClass:
    """A class that does nothing but hold functions and constants."""

    name: str
    # Its docstring, too, is one: a part that comes, goes and changes like a method.
    methods: Mapping[str, Method]
    # All but the methods: of some the heads are left.
    outside: str
    # Names of the methods, in order, "" for each other part.
    order: tuple[str, ...]
    # Names whose values are attributes of it as they are: a function among them is a method.
    lent: frozenset[str]


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
    doc = {"__doc__": _doc(node)} if ast.get_docstring(node) is not None else {}
    names += doc
    assigned = frozenset(_assigned(node))
    is_plain = all(_is_plain(part, names, is_wrapped=is_wrapped) for part in node.body)
    is_plain = is_plain and len(set(names)) == len(names) and not any(map(_is_private, names))
    is_plain = is_plain and assigned.isdisjoint(names)
    is_plain = is_plain and not any(getattr(n, "type_params", ()) for n in ast.walk(node))
    shown = [part for each in ast.walk(node) for part in _annotations(each)]
    if any(isinstance(n, ast.Call) or getattr(n, "id", "") in names for n in shown):
        return None
    if not is_plain or not found or any(map(_is_of_class, ast.walk(node))):
        return None
    methods = {**doc, **{part.name: _method(part, assigned) for part in found}}
    parts = node.body[len(doc) :]
    lines = [node.name, *(line for part in parts for line in _outside(part, methods))]
    order = tuple(getattr(part, "name", "") for part in parts)
    lent = frozenset(_lent(node))
    return PlainClass(node.name, methods, "\n".join(lines), order, lent)


def _doc(node: ast.ClassDef) -> Method:
    text = ast.unparse(node.body[0])
    return Method(text, shape(text), hands_on=False, head=text)


def _assigned(node: ast.ClassDef) -> Iterator[str]:
    """Yield the names to which the class's own statements give values."""
    for part in node.body:
        if isinstance(part, (ast.Assign, ast.AnnAssign)):
            stored = (n for n in ast.walk(part) if isinstance(n, ast.Name))
            yield from {n.id for n in stored if isinstance(n.ctx, ast.Store)}


def _lent(node: ast.ClassDef) -> Iterator[str]:
    for part in node.body:
        value = part.value if isinstance(part, (ast.Assign, ast.AnnAssign)) else None
        if isinstance(value, (ast.Name, ast.Attribute, ast.Subscript, ast.IfExp, ast.BoolOp)):
            yield from (n.id for n in ast.walk(value) if isinstance(n, ast.Name))


@lru_cache(maxsize=1_000)
def is_setting(text: str) -> bool:
    """Tell whether a statement gives its names a value that is surely no function."""
    node = ast.parse(text).body[0]
    value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) in _PLAIN_CALLS
    is_made = isinstance(value, (ast.JoinedStr, ast.BinOp, ast.Compare, ast.List, ast.Dict))
    return is_made or (value is not None and is_literal(value))


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
    return name in ("super", "__class__") or _is_private(name)


def _is_private(name: str) -> bool:
    """Tell whether a class gives the name another spelling: `__private`."""
    return name[:2] == "__" and name[-2:] != "__"


def _method(node: _Method, assigned: frozenset[str]) -> Method:
    """Return a method of a class that has `assigned` names, too."""
    found = _shape(node)
    alone = copy.copy(node)
    alone.decorator_list = []
    is_static = any(ast.unparse(each) == "staticmethod" for each in node.decorator_list)
    first = [] if is_static else [*node.args.posonlyargs, *node.args.args][:1]
    # `*args` and `locals()` hold the object under no name of its own.
    is_hidden = not (first or is_static) or bool(found.called & {"locals", "vars"})
    hands_on = is_hidden or any(each.arg in found.bare | found.made for each in first)
    method = Method(ast.unparse(alone), found, hands_on)
    names = _evaluated(node)
    is_ordinary = node.name[:2] != "__" or node.name in _ORDINARY
    is_apart = names is not None and assigned.isdisjoint({*names[0], *names[1], "__slots__"})
    if names is None or not is_ordinary or not is_apart:
        return method
    return replace(method, head="\n".join(_head(node)), shown=names[0], given=names[1])


def _evaluated(node: _Method) -> tuple[frozenset[str], frozenset[str]] | None:
    """Return what names a method's annotations are, and what else the class statement reads.

    None where evaluating that once more could show or do something else.
    """
    given: list[ast.expr] = [*node.decorator_list, *node.args.defaults]
    given += [default for default in node.args.kw_defaults if default]
    if {ast.unparse(each) for each in node.decorator_list} - ACCESSORS:
        return None
    arguments = (each for each in ast.walk(node.args) if isinstance(each, ast.arg))
    annotations = [a for a in (node.returns, *(each.annotation for each in arguments)) if a]
    shown = frozenset(each.id for each in annotations if isinstance(each, ast.Name))
    parts = [p for a in annotations if not isinstance(a, ast.Name) for p in ast.walk(a)]
    is_quiet = all(isinstance(each, ast.Name) or is_literal(each) for each in given)
    if not is_quiet or not all(isinstance(part, _ANNOTATING) for part in parts):
        return None
    named = (part.id for part in (*given, *parts) if isinstance(part, ast.Name))
    return shown, frozenset(named)


def _head(node: _Method) -> Iterator[str]:
    """Yield what of a method is not its body: what it says it is."""
    yield from map(ast.unparse, node.decorator_list)
    is_generator = any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(node))
    returns = ast.unparse(node.returns) if node.returns else ""
    yield f"{type(node).__name__} {node.name}({ast.unparse(node.args)}) -> {returns} {is_generator}"
    yield repr(ast.get_docstring(node, clean=False))


def _outside(part: ast.stmt, methods: Mapping[str, Method]) -> Iterator[str]:
    """Yield what of a part of a class is the class's own."""
    if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield ast.unparse(part)
    elif not methods[part.name].head:
        yield from _head(part)


def objects(plain: PlainClass, every: Iterable[Shape]) -> frozenset[str] | None:
    """Return the names of a class's objects; None where code that is not seen may have one.

    `every` are the shapes of all that may name the class, but for its own.
    """
    shapes = [*every, *(method.shape for method in plain.methods.values())]
    names = {plain.name, *(name for each in shapes for cls, name in each.kept if cls == plain.name)}
    if any(method.hands_on for method in plain.methods.values()):
        return None
    if _is_shown(plain.name, shapes):
        return None
    for each in shapes:
        # A function that is stored into the class is handed its objects.
        is_handed_on = plain.name in each.made | each.stored or not each.bare.isdisjoint(names)
        if is_handed_on or not each.mentions.isdisjoint(_LEADING_BACK):
            return None
    return frozenset(names - {plain.name})


def _is_shown(name: str, shapes: Sequence[Shape]) -> bool:
    """Tell whether code that is not seen may find a class in an annotation."""
    owners = {owner for each in shapes for owner, shown in each.shown if shown == name}
    if not owners:
        return False
    return any(owners & (each.bare | each.taken) or each.mentions & _SHOWING for each in shapes)


def chosen(
    seen: Iterable[Shape],
    classes: Mapping[int, tuple[PlainClass, frozenset[str]]],
    late: frozenset[str] = frozenset(),
) -> dict[int, frozenset[str]]:
    """Return for each class which of its methods code of these shapes may run.

    `classes` tells for each, besides, the names of its objects; `late` are methods that may
    run without being mentioned.
    """
    shapes, found = list(seen), dict[int, frozenset[str]]()
    for number, (plain, _) in classes.items():
        found[number] = (_HOOKS | late).intersection(plain.methods)
        shapes += [plain.methods[name].shape for name in found[number]]
    count = -1
    while count != len(shapes):
        count = len(shapes)
        mentions = frozenset[str]().union(*(each.mentions for each in shapes))
        called = frozenset[str]().union(*(each.called for each in shapes))
        for number, (plain, names) in classes.items():
            more = (mentions | ({"__call__"} if called & names else set())) & set(plain.methods)
            shapes += [plain.methods[name].shape for name in more - found[number]]
            found[number] |= more
    return found


def lingering(
    seen: Iterable[Shape], classes: Mapping[int, tuple[PlainClass, frozenset[str]]]
) -> frozenset[str]:
    """Return the methods that may run later, where nothing mentions them any more.

    Code of these shapes has taken them (`f = p.get`), or what they made runs on: a
    generator, a coroutine, an inner function.
    """
    run = chosen(seen, classes)
    methods = [(n, classes[k][0].methods[n].shape) for k, names in run.items() for n in names]
    taken = frozenset[str]().union(*(each.taken for each in (*seen, *(s for _, s in methods))))
    return taken.union(name for name, each in methods if each.lingers)


def edited(old: PlainClass, new: PlainClass) -> frozenset[str]:
    """Return the methods that are others, or are in one only, of classes that are else the same."""
    same = {n for n, m in new.methods.items() if n in old.methods and old.methods[n].text == m.text}
    return frozenset({*old.methods, *new.methods} - same) | replaced(old, new)


def replaced(old: PlainClass, new: PlainClass) -> frozenset[str]:
    """Return those of the edited methods of which more than the body is another."""
    heads = [{name: method.head for name, method in each.methods.items()} for each in (old, new)]
    return frozenset(n for n in {**heads[0], **heads[1]} if heads[0].get(n) != heads[1].get(n))
