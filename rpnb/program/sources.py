"""A definition's own text as a capture: what it needs, and what was done to it since."""

from __future__ import annotations

import abc
import ast
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import CannotCapture
from .content import Content
from .credentials import refuse, written
from .decorators import mark_lines
from .expressions import expression
from .fingerprint import attributes, fingerprint, holds_code, is_wrapper
from .literals import literal
from .names import Names
from .passages import Passage
from .provenance import DEFINITIONS, Definition
from .steps import Capture, runs
from .uses import split, uses

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# `list[int]` and `int | None`; the typing module's own kinds are told by their module.
_GENERIC = (types.GenericAlias, types.UnionType)
_FUTURE_ANNOTATIONS = 0x1000000  # CO_FUTURE_ANNOTATIONS, the same since 3.7


@dataclass(frozen=True)
class Captured:
    """A capture, the files that it brings, and what must stand right before it.

    `optional` are names of `capture.later` that are used only where they exist,
    `modules` the top-level modules that a pickle inside refers to; `note` a word for
    the person. Of a `value` that travels, `parts` are the objects inside that could
    be changed, by id.
    """

    capture: Capture
    files: dict[str, Content] = field(default_factory=dict)
    before: tuple[Captured, ...] = ()
    optional: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    note: str = ""
    value: Any = field(default=None, repr=False)
    parts: Mapping[int, Any] = field(default_factory=dict, repr=False)


def passage_of(found: Capture) -> Passage:
    """Return a capture's text with the places where it was typed."""
    return Passage(tuple(found.text.split("\n")), found.places, "", found.label)


def typed(name: str, kind: str, passage: Passage, **more: Any) -> Capture:
    """Return a capture whose text is what a person typed."""
    return Capture(
        name, kind, passage.text, label=passage.label, lines=runs(passage.places), **more
    )


def from_definition(definition: Definition, names: Names) -> Captured:
    """Return a value's own definition as its capture, brought up to what it is now."""
    passage = _without_marks(_joined(definition.passages))
    patches, needed = _patches(definition, names)
    passage = passage.followed_by(*patches)
    if _defaults_moved(definition, names):
        passage = passage.followed_by(*set_defaults(definition.name, definition.value))
    return _of_passage(definition, passage, needed)


def as_begun(definition: Definition, made: Sequence[str]) -> Captured:
    """Return a registry as its own statement begins it: the definitions `made` fill it again."""
    first, *more = definition.passages
    changes = [each for each in more if not _is_definition(each)]
    passage = _without_marks(_joined((first, *changes)))
    found = _of_passage(definition, passage, set())
    later = dict.fromkeys((*made, *found.capture.later))
    return replace(found, capture=replace(found.capture, later=tuple(later)))


def _is_definition(passage: Passage) -> bool:
    return isinstance(ast.parse(passage.text).body[0], (*_FUNCTIONS, ast.ClassDef))


def _of_passage(definition: Definition, passage: Passage, needed: set[str]) -> Captured:
    is_lazy = has_lazy_annotations(definition.value)
    now, later, optional = needs_of(passage.text, is_lazy)
    now = (now | needed) - {definition.name}
    found = typed(
        definition.name,
        "source",
        passage,
        now=tuple(sorted(now)),
        later=tuple(sorted(later - now - {definition.name})),
        future=("annotations",) if is_lazy else (),
    )
    note = next(iter(written(passage)), "")
    return Captured(found, optional=frozenset(optional - now), note=note)


def _joined(passages: tuple[Passage, ...]) -> Passage:
    lines = tuple(line for each in passages for line in each.lines)
    places = tuple(place for each in passages for place in each.places)
    if len({each.label for each in passages}) > 1:
        places = (0,) * len(lines)
    return Passage(lines, places, "", passages[0].label)


def _without_marks(passage: Passage) -> Passage:
    return passage.without(mark_lines(ast.parse(passage.text)))


def needs_of(text: str, lazy: bool) -> tuple[set[str], set[str], set[str]]:
    """Return the names that a text needs at once, later, and those of them it can do without."""
    now, later, optional, bound = set[str](), set[str](), set[str](), set[str]()
    for statement in split(text):
        found = uses(statement, lazy_annotations=lazy)
        now |= set(found.now) - bound
        later |= {*found.later, *found.optional} - bound
        optional |= {*found.optional, *found.sets}
        bound |= found.binds
    return now, later - now, optional


def has_lazy_annotations(value: Any) -> bool:
    """Tell whether a function or class was compiled with `from __future__ import annotations`."""
    code = value.__code__ if isinstance(value, types.FunctionType) else None
    if code is None and isinstance(value, type):
        codes = (getattr(each, "__code__", None) for each in vars(value).values())
        code = next((each for each in codes if each is not None), None)
    return code is not None and bool(code.co_flags & _FUTURE_ANNOTATIONS)


def _patches(definition: Definition, names: Names) -> tuple[list[str], set[str]]:
    """Statements for what was done to a class, or a function's attributes, beside its text."""
    value, name = definition.value, definition.name
    if not isinstance(value, (type, types.FunctionType)) or definition.print is None:
        return [], set()
    is_class = isinstance(value, type)
    print_then = definition.print if is_class else definition.print[3][1]
    written = {key: fingerprint(each, 1) for key, each in _written(definition).items()}
    before = {key: written.get(key, then) for key, then in print_then}
    after = dict(attributes(value) if isinstance(value, type) else vars(value))
    lines, now = [f"del {name}.{key}" for key in sorted(before.keys() - after.keys())], set[str]()
    for key, each in after.items():
        if key in before and before[key] == fingerprint(each, 1):
            continue
        refuse(f"{name}.{key}", each, names.send)
        found = expression(each, names)
        if found is None:
            raise CannotCapture(
                f"the {'class' if is_class else 'function'} `{name}` was changed after it was "
                f"defined (`{name}.{key}`): run its cell again, or make the change there",
                name=name,
                path=f"{name}.{key}",
            )
        lines.append(f"{name}.{key} = {found.text}")
        now |= found.now
    return lines, now


def _written(definition: Definition) -> dict[str, Any]:
    """The plain attributes that the text of a class or function gives it, and nothing else may.

    What a later statement of the same cell made of them no look after the cell can tell.
    """
    value = definition.value
    first, *more = ast.parse(definition.text).body
    if getattr(first, "decorator_list", [None]) or any(not _is_own_constant(s) for s in more):
        return {}
    pairs = [_constant(each) for each in more]
    if isinstance(value, type):
        makers = [kind for kind in value.__mro__[1:-1] if "__init_subclass__" in vars(kind)]
        if type(value) not in (type, abc.ABCMeta) or makers or not isinstance(first, ast.ClassDef):
            return {}
        names = [n.id for n in ast.walk(first) if isinstance(n, ast.Name) and _is_stored(n)]
        own = [_constant(each) for each in first.body if not isinstance(each, DEFINITIONS)]
        pairs = [*(pair for pair in own if pair and names.count(pair[0]) == 1), *pairs]
    found = {_mangled(value, pair[0]): pair[1] for pair in pairs if pair}
    # A named tuple's fields, a descriptor: what the constant became is no change.
    return {k: v for k, v in found.items() if not hasattr(type(vars(value).get(k)), "__get__")}


def _is_own_constant(node: ast.stmt) -> bool:
    """Whether it is `f.calls = 0`."""
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute)


def _constant(node: ast.stmt) -> tuple[str, Any] | None:
    """The name and value of `n = 0`, `n: int = 0` or `f.n = 0`."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    target = targets[0] if len(targets) == 1 else None
    given = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
    key = {ast.Name: "id", ast.Attribute: "attr"}.get(type(target), "")
    try:
        return (getattr(target, key), ast.literal_eval(given)) if key and given else None
    except (ValueError, TypeError, SyntaxError):
        return None


def _is_stored(node: ast.Name) -> bool:
    return not isinstance(node.ctx, ast.Load)


def _mangled(value: Any, key: str) -> str:
    is_private = isinstance(value, type) and key.startswith("__") and not key.endswith("__")
    return f"_{value.__name__.lstrip('_')}{key}" if is_private else key


def set_defaults(name: str, function: types.FunctionType) -> list[str]:
    """Statements that give a function the defaults which it has now."""
    lines = []
    for key in ("__defaults__", "__kwdefaults__"):
        text = literal(getattr(function, key))
        if text not in (None, "None"):
            lines.append(f"{name}.{key} = {text}")
    return lines


def _defaults_moved(definition: Definition, names: Names) -> bool:
    """Whether `def f(x=K)` would now give another default than when it ran."""
    node, value = definition.node, definition.value
    if not isinstance(node, _FUNCTIONS) or not isinstance(value, types.FunctionType):
        return False
    given = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    written = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
    return len(given) == len(written) and any(
        isinstance(text, ast.Name) and text.id in names and names[text.id] is not each
        for text, each in zip(written, given, strict=True)
    )


def is_code(definition: Definition, names: Names) -> bool:
    """Tell whether a definition is one of code that running it again makes anew."""
    node, value = definition.node, definition.value
    if not all(map(names.holds_globals_of, _functions_of(value))):
        return False
    if isinstance(node, _FUNCTIONS):
        return not isinstance(value, types.FunctionType) or _defaults_hold(definition)
    if isinstance(node, ast.ClassDef) or type(node).__name__ == "TypeAlias":
        return True
    is_lambda = isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Lambda)
    if is_lambda:
        return _defaults_hold(definition)
    # `f = deco(f)` after `def f`, or a condition of which one branch was taken.
    chained = len(definition.passages) > 1 and holds_code(value)
    is_made = (chained or isinstance(node, ast.If)) and holds_code(value)
    return is_made and not definition.in_block and not definition.is_moved(names.namespace)


def _functions_of(value: Any) -> list[types.FunctionType]:
    """The function itself, or a class's own: those whose globals must be the names here.

    Not what a library wrapped or wrote into the class, as dataclasses do.
    """
    found = vars(value).values() if isinstance(value, type) else [value]
    functions = [each for each in found if isinstance(each, types.FunctionType)]
    return [each for each in functions if not _is_of_library(each)]


def _is_of_library(function: types.FunctionType) -> bool:
    module = sys.modules.get(function.__globals__.get("__name__", ""))
    is_its_own = module is not None and vars(module) is function.__globals__
    return is_its_own and module is not sys.modules["__main__"]


def _defaults_hold(definition: Definition) -> bool:
    """Whether running a definition outside its loop would give the same function."""
    node, value = definition.node, definition.value
    if not definition.in_block or not isinstance(value, types.FunctionType):
        return True
    arguments = node.args if isinstance(node, _FUNCTIONS) else None
    return arguments is not None and not arguments.defaults and not any(arguments.kw_defaults)


def is_plain_display(definition: Definition, names: Names) -> bool:
    """Whether a statement such as `ops = {"double": lambda x: 2 * x}` says all there is."""
    node, value = definition.node, definition.value
    if definition.in_block or definition.is_changed or not holds_code(value):
        return False
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return False
    if definition.is_moved(names.namespace):
        return False
    if isinstance(value, type) or is_wrapper(value):
        return True
    shown = node.value
    if isinstance(shown, ast.Dict):
        sized = len(shown.keys) == len(value) and None not in shown.keys
    elif isinstance(shown, (ast.List, ast.Tuple)):
        sized = len(shown.elts) == len(value)
    else:
        return False
    inner = (each for each in ast.walk(shown) if isinstance(each, ast.Call))
    return sized and (all(_in_lambda(each, shown) for each in inner))


def is_typing(definition: Definition) -> bool:
    """Whether a statement such as `T = TypeVar("T")` made something that only types speak of."""
    kind = type(definition.value)
    of_typing = kind.__module__ in ("typing", "typing_extensions")
    return (of_typing or kind in _GENERIC) and not definition.in_block


def _in_lambda(node: ast.AST, root: ast.AST) -> bool:
    lambdas = (each for each in ast.walk(root) if isinstance(each, ast.Lambda))
    return any(node in ast.walk(each) for each in lambdas)
