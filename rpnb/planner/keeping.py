"""What the functions of a local module's statement keep from one call to the next.

Beside globals, which `facts` see, these are attributes of classes, mutable defaults, caches,
and what objects and closures hold, which matters where a module has one of these.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from typing import Iterator

from .access import decorator_name, root_of
from .effects import PURE_BUILTINS
from .routines import Routine, Store, routines

# Calls that make nothing anybody changes.
FIXED_CALLS = frozenset(
    {
        *("logging.getLogger", "re.compile", "Path", "pathlib.Path", "os.environ.get"),
        *("os.getenv", "os.path.join", "os.path.dirname", "os.path.abspath", "frozenset"),
        *("TypeVar", "typing.TypeVar", "str", "int", "float", "bool", "tuple"),
    }
)
# Builtins that only read what they are given, if it is no iterator.
_READERS = PURE_BUILTINS | {
    *("list", "dict", "set", "tuple", "frozenset", "sorted", "reversed", "enumerate", "zip"),
    *("sum", "min", "max", "any", "all", "super", "getattr", "hasattr", "vars", "iter", "map"),
}
# Methods whose first parameter is a class.
_OF_CLASSES = frozenset({"__new__", "__init_subclass__", "__class_getitem__"})
# Decorators of classes that only add methods.
_DATA_CLASSES = frozenset(
    {
        *("dataclass", "define", "frozen", "mutable", "attrs", "s", "total_ordering", "unique"),
        *("final", "runtime_checkable", "dataclass_transform"),
    }
)
# Roots of an access path that lead to the class of an object.
CLASS = "$class"


@dataclass(frozen=True)
class Keeping:
    """What the functions of one statement keep.

    `always`: something that outlives every call, which they may hand out where it `lends`.
    `objects`: something that goes with the object or closure that they belong to. `given`: they
    store into what they are given. `asked` are (global, method) that they call, '' for the call
    of the global itself; `handed` (function, globals) of calls with arguments; `asides` the
    attributes that they store on what they are given.
    """

    always: bool = False
    objects: bool = False
    given: bool = False
    asked: frozenset[tuple[str, str]] = frozenset()
    handed: frozenset[tuple[str, frozenset[str]]] = frozenset()
    asides: frozenset[str] = frozenset()
    lends: bool = False


@lru_cache(maxsize=5_000)
def keeping(text: str) -> Keeping:
    """Return what the functions of a statement keep."""
    tree = ast.parse(text)
    classes = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)}
    every = [_Seen(each, classes.get(each.cls)) for each in routines(text)]
    is_generator = any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(tree))
    return Keeping(
        always=any(each.keeps for each in every),
        objects=is_generator or any(each.is_of_object for each in every),
        given=any(each.stores_given for each in every),
        asked=frozenset(pair for each in every for pair in each.asked()),
        handed=frozenset(pair for each in every for pair in each.handed()),
        lends=any(each.lends for each in every),
        asides=frozenset(name for each in every for name in each.asides()),
    )


def decorators(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[ast.expr]:
    """Return the decorators that may keep a function, or a class and its objects."""
    return [each for each in node.decorator_list if decorator_name(each) not in _DATA_CLASSES]


def is_fixed(value: ast.expr) -> bool:
    """Tell whether an expression makes nothing that could be changed."""
    calls = [n for n in ast.walk(value) if isinstance(n, ast.Call)]
    made = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)
    return not any(isinstance(n, made) for n in ast.walk(value)) and all(
        ast.unparse(call.func) in FIXED_CALLS for call in calls
    )


def assigned(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the names that a class body binds, with their values."""
    for part in node.body:
        if isinstance(part, (ast.Assign, ast.AnnAssign)):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            yield from ((t.id, part.value) for t in targets if isinstance(t, ast.Name))


def kept(node: ast.ClassDef) -> set[str]:
    """Return the names of a class body that are bound to values which may be changed."""
    return {name for name, value in assigned(node) if value is not None and not is_fixed(value)}


class _Seen:
    """One routine, and the class that it is a method of."""

    def __init__(self, routine: Routine, cls: ast.ClassDef | None) -> None:
        self._routine = routine
        is_meta = cls is not None and any(ast.unparse(base) == "type" for base in cls.bases)
        is_of_class = bool(routine.cls) and (
            is_meta or routine.sort == "classmethod" or routine.name in _OF_CLASSES
        )
        first = routine.params[:1] if routine.cls and routine.sort != "staticmethod" else []
        self._classes = {CLASS, *(first if is_of_class else ())}
        self._self = set() if is_of_class else set(first)
        self._kept = kept(cls) if cls is not None else set()
        self._stores = [(each, self._roots(each.target)) for each in routine.stores]
        nested = routine.parent is not None
        defaults = self._defaults()
        self.lends = any(self._roots(each) & defaults for each in routine.returns if defaults)
        self.keeps = (
            (routine.keeps and not nested)
            or self.lends
            or self._uses_defaults(defaults)
            or any(self._is_on_class(store, roots) for store, roots in self._stores)
        )
        holders = self._self - ({*routine.params} if routine.name == "__init__" else set())
        self.is_of_object = bool(routine.cells) or any(
            roots & holders or any(routine.place(root) == "cell" for root in roots)
            for _, roots in self._stores
        )
        self._given = {*routine.params, *routine.others} - self._self - self._classes
        self.stores_given = any(roots & self._given for _, roots in self._stores)

    def _is_on_class(self, store: Store, roots: set[str]) -> bool:
        return bool(roots & self._classes) or (
            bool(roots & self._self) and _first(store.target) in self._kept
        )

    def _defaults(self) -> set[str]:
        given = self._routine.defaults.items()
        return {n for n, value in given if isinstance(value, ast.Name) or not is_fixed(value)}

    def _uses_defaults(self, defaults: set[str]) -> bool:
        """Tell whether a default that may be changed is: stored into, or handed on."""
        # An iterator moves whatever is done with it.
        if any(isinstance(self._routine.defaults[name], ast.Call) for name in defaults):
            return True
        handed = [each for call in self._routine.calls for each in _arguments(call)]
        every = [*(roots for _, roots in self._stores), *map(self._roots, handed)]
        return any(roots & defaults for roots in every)

    def _roots(self, node: ast.AST) -> set[str]:
        """Return what an access path starts from, followed from local names."""
        found, seen, todo = set[str](), set[str](), [node]
        while todo:
            path = todo.pop()
            if _leads_to_class(path):
                found.add(CLASS)
            root = root_of(path)
            if not isinstance(root, ast.Name):
                todo += [] if isinstance(root, ast.Constant) else ast.iter_child_nodes(root)
                continue
            if root.id in seen:
                continue
            seen.add(root.id)
            found.add(root.id)
            todo += self._routine.sources.get(root.id, ())
        return found

    def _globals(self, node: ast.AST) -> set[str]:
        return {name for name in self._roots(node) if self._routine.place(name) == "global"}

    def asked(self) -> Iterator[tuple[str, str]]:
        """Yield the globals that are called, or of which a method is, with that method."""
        for call in self._routine.calls:
            method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            for name in self._globals(call.func):
                yield name, method
            if isinstance(call.func, ast.Name) and call.func.id == "next" and call.args:
                yield from ((name, "__next__") for name in self._globals(call.args[0]))

    def handed(self) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield the functions that globals, or the class of an object, are handed to."""
        for call in self._routine.calls:
            given = frozenset[str]().union(*map(self._globals, _arguments(call)))
            if any(self._roots(each) & self._classes for each in _arguments(call)):
                given |= {CLASS}
            if given and not isinstance(call.func, ast.Call):
                yield ast.unparse(call.func), given

    def asides(self) -> Iterator[str]:
        """Yield the attributes that are stored on what the routine is given."""
        for store, roots in self._stores:
            target = store.target
            if isinstance(target, ast.Attribute) and roots & self._given:
                yield target.attr


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    """Yield what a call may change of what it is given; `**x` hands over a copy."""
    if not (isinstance(call.func, ast.Name) and call.func.id in _READERS):
        yield from (each for each in call.args if not isinstance(each, ast.Starred))
        yield from (keyword.value for keyword in call.keywords if keyword.arg is not None)


def _leads_to_class(node: ast.AST) -> bool:
    """Tell whether an access path goes through `type(x)` or `x.__class__`."""
    text = ast.unparse(node)
    return text.startswith("type(") or ".__class__" in text


def _first(target: ast.AST) -> str:
    """`kept` of `self.kept[k].x`."""
    name = ""
    while isinstance(target, (ast.Attribute, ast.Subscript)):
        name = target.attr if isinstance(target, ast.Attribute) else name
        target = target.value
    return name
