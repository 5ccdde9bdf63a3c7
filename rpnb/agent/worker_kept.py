"""What moved in place while jobs ran, whatever way they took to store it.

Between two syncs only jobs run. What the program's names and its local modules lead to
is walked at the end of one and at the beginning of the next: containers, objects of the
program's classes, the classes, and what functions keep. What a library's object does
inside is its own affair: a pipeline that counts its calls has not changed. But for those
of `_TELLING`, which say in a word how they stand.
"""

from __future__ import annotations

import functools
import operator
import sys
import threading
import types
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from contextvars import ContextVar
from typing import Any, Callable, Collection, Iterable, Iterator, Mapping
from weakref import WeakKeyDictionary, WeakValueDictionary

from ..planner.effects import is_standard
from ..planner.kinds import PROGRAM
from ..planner.plan import STATE, Moved
from ..planner.torch_modules import top

# So many objects and parts take 5 to 6 ms, once an edit; a program of 200 names has some 900.
_MOST = 6_000
# Of a longer container only the length and the ends count: it is data, or a cache that grows.
_WIDE = 500
_ENDS = 4
# A longer text is not kept alive to compare it.
_LONG = 200
_MAPS = (dict, OrderedDict, defaultdict, Counter)
_LISTS = (list, tuple, set, frozenset, deque)
_WITH_DATA = (UserDict, UserList, WeakKeyDictionary, WeakValueDictionary)
_WRAPPERS = (staticmethod, classmethod, types.MethodType)
_CACHE: Any = type(functools.lru_cache(lambda: None))
# Of a longer array only a store that the text shows counts.
_SMALL = 4_096
# Class -> how an object of it stands: a lock that a job left taken is free in a fresh process.
_TELLING: dict[tuple[str, str], Callable[[Any], Any]] = {
    **dict.fromkeys(
        (("_thread", "lock"), ("asyncio.locks", "Lock")), operator.methodcaller("locked")
    ),
    **dict.fromkeys(
        (("threading", "Event"), ("asyncio.locks", "Event")), operator.methodcaller("is_set")
    ),
    **{
        (module, f"{bound}Semaphore"): operator.attrgetter("_value")
        for module in ("threading", "asyncio.locks")
        for bound in ("", "Bounded")
    },
    **{("_io", name): operator.methodcaller("tell") for name in ("StringIO", "BytesIO")},
    ("numpy", "ndarray"): lambda array: array.tobytes() if array.nbytes < _SMALL else b"",
    **dict.fromkeys(
        (("torch", "Tensor"), ("torch.nn.parameter", "Parameter")),
        operator.attrgetter("_version"),
    ),
    ("torch._C", "Generator"): lambda generator: generator.get_state().numpy().tobytes(),
    ("numpy.random._generator", "Generator"): lambda generator: str(generator.bit_generator.state),
    ("numpy.random.mtrand", "RandomState"): lambda generator: str(generator.get_state()),
    ("random", "Random"): operator.methodcaller("getstate"),
}
# What is compared by value: another number may get the id of one that is gone.
_VALUES = (int, str, bytes, complex)
# Parts of an object: those that tell whether it moved, and those to walk further.
_Parts = tuple[Iterable[Any], Iterable[Any]]
_NO_PARTS: _Parts = ((), ())


class Kept:
    """What a namespace and the local modules keep, as it was when `mark` was called."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._before = _Walk({}, ())

    def mark(self, local: Collection[str]) -> None:
        """Remember what all that is, without keeping it alive; `local` are the local modules."""
        self._before = _Walk(self._namespace, local)

    def moved(self, local: Collection[str]) -> tuple[list[Moved], frozenset[str]]:
        """Return what moved since then, and the local modules that are new since then."""
        now, before = _Walk(self._namespace, local), self._before.marks
        found = [
            now.leading(each) for each, mark in now.marks.items() if before.get(each, mark) != mark
        ]
        return list(dict.fromkeys(found)), now.modules - self._before.modules


class _Walk:
    """One walk, breadth first: what lies deepest is what a bound leaves out."""

    def __init__(self, namespace: Mapping[str, Any], local: Collection[str]) -> None:
        # The id of each object -> its parts' ids, or their values.
        self.marks: dict[int, Any] = {}
        self.modules: frozenset[str] = frozenset()
        # Objects and parts that were looked at.
        self._count = 0
        # Where an object was met: ids, or names.
        self._met: dict[int, set[int | str]] = {}
        # The classes and modules whose code may have changed it.
        self._makers: dict[int, frozenset[str]] = {}
        self._own = {PROGRAM, *local}
        self._todo: deque[Any] = deque()
        for name, module in list(sys.modules.items()):
            if top(name) in local and isinstance(module, types.ModuleType):
                self.modules |= {top(name)}
                self._mark_module(STATE + top(name), module)
        for name, value in list(namespace.items()):
            if not name.startswith("__"):
                self._meet(value, name)
        while self._todo and self._count < _MOST:
            self._mark(self._todo.popleft())
        self._todo.clear()

    def leading(self, found: int) -> Moved:
        """Return the names from which an object was met."""
        makers, seen, todo = set[str](), set[int](), {found}
        names = set[str]()
        while todo:
            each = todo.pop()
            seen.add(each)
            makers |= self._makers.get(each, frozenset())
            sources = self._met[each]
            names |= {source for source in sources if isinstance(source, str)}
            todo |= {source for source in sources if isinstance(source, int)} - seen
        return Moved(frozenset(names), frozenset(makers))

    def _mark_module(self, name: str, module: types.ModuleType) -> None:
        held = {
            key: value
            for key, value in list(vars(module).items())
            if not key.startswith("__") and not isinstance(value, types.ModuleType)
        }
        self._met.setdefault(id(module), set()).add(name)
        self.marks[id(module)] = (module.__class__, *map(_seen, held), *map(_seen, held.values()))
        for value in held.values():
            self._meet(value, id(module))

    def _meet(self, value: Any, source: int | str) -> None:
        if isinstance(value, (*_VALUES, float, type(None), types.ModuleType)):
            return
        known = self._met.setdefault(id(value), set())
        if not known:
            self._todo.append(value)
        known.add(source)

    def _mark(self, value: Any) -> None:
        try:
            shown, inner = self._parts(value)
            mark = tuple(map(_seen, shown))
        except Exception:  # noqa: BLE001 - an object of the program's may do anything when asked
            return
        self.marks[id(value)] = (type(value), *mark)
        self._count += 1 + len(mark)
        for part in inner:
            self._meet(part, id(value))

    def _parts(self, value: Any) -> _Parts:
        cls = type(value)
        if cls in _MAPS or cls in _LISTS:
            return _items(value)
        if cls is types.FunctionType:
            return self._of_function(value) if self._is_own(value) else _NO_PARTS
        if isinstance(value, type):
            return self._of_class(value) if self._is_own(value) else _NO_PARTS
        if isinstance(value, ContextVar):
            return _same([value.get(None)])
        if cls is _CACHE:
            # Where it is full, only its misses show what it has stored.
            return value.cache_info()[1:], [value.__wrapped__]
        if isinstance(value, functools.partial):
            return _same([value.func, value.args, value.keywords])
        if cls in _WRAPPERS:
            return _same([value.__func__, getattr(value, "__self__", None)])
        if cls is property:
            return _same([value.fget, value.fset])
        if cls is types.BuiltinFunctionType:
            return _same([value.__self__])
        if cls in _WITH_DATA:
            return _same([value.data])
        if self._is_object(cls):
            own = [each for each in cls.__mro__ if self._is_own(each)]
            self._makers[id(value)] = frozenset(map(_maker, own))
            return self._of_object(value)
        return _of_library(value)

    def _is_own(self, code: Any) -> bool:
        return top(str(getattr(code, "__module__", ""))) in self._own

    def _is_object(self, cls: type) -> bool:
        """Tell whether what objects of a class hold is all the program's own affair."""
        bases = [each.__module__ for each in cls.__mro__ if not self._is_own(each)]
        return len(bases) < len(cls.__mro__) and all(map(is_standard, bases))

    def _of_function(self, value: types.FunctionType) -> _Parts:
        self._makers[id(value)] = frozenset([_maker(value)])
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_full(cell)]
        kept = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        return _same([*cells, *kept, *value.__dict__, *value.__dict__.values()])

    def _of_class(self, value: type) -> _Parts:
        self._makers[id(value)] = frozenset([_maker(value)])
        held = {k: v for k, v in vars(value).items() if not k.startswith(("__", "_abc_"))}
        return [*held, *held.values()], [*held.values(), *value.__bases__, type(value)]

    def _of_object(self, value: Any) -> _Parts:
        slots = [v for c in type(value).__mro__ for v in _slots(c, value)]
        held = object.__getattribute__(value, "__dict__") if hasattr(value, "__dict__") else {}
        items = _items(value) if isinstance(value, (*_MAPS, *_LISTS)) else _NO_PARTS
        shown = [*held, *held.values(), *slots, *items[0]]
        return shown, [*held.values(), *slots, *items[1], type(value)]


def _of_library(value: Any) -> _Parts:
    if isinstance(value, threading.local):
        return _same([vars(value)])
    tell = _TELLING.get((type(value).__module__, type(value).__name__))
    return ([hash(tell(value))], ()) if tell else _NO_PARTS


def _maker(code: Any) -> str:
    """Return the name by which the planner knows a class, a function, or the module that has it."""
    home = top(code.__module__)
    return str(code.__name__) if home == PROGRAM else f"{STATE}{home}"


def _slots(cls: type, value: Any) -> Iterator[Any]:
    for member in vars(cls).values():
        if isinstance(member, types.MemberDescriptorType):
            try:
                yield member.__get__(value)
            except AttributeError:
                yield None


def _same(parts: list[Any]) -> _Parts:
    return parts, parts


def _items(value: Any) -> _Parts:
    items = [*value, *value.values()] if isinstance(value, dict) else list(value)
    if len(items) > _WIDE:
        return [len(items), *items[:_ENDS], *items[-_ENDS:]], ()
    return items, items


def _is_full(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - asking is how it shows
    except ValueError:
        return False
    return True


def _seen(part: Any) -> Any:
    """Return what tells a part from another one: a small value, else its id."""
    cls = type(part)
    if cls is float:
        return repr(part)
    if cls in (str, bytes):
        return part if len(part) < _LONG else (id(part), len(part))
    return part if cls in (int, complex) else (id(part),)
