"""How one name of an ordinary cell travels: an import, its source, a literal, its value."""

from __future__ import annotations

import ast
import functools
import sys
import types
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import CannotCapture
from ..protocol.blobs import digest
from . import values
from .decorators import mark_lines
from .expressions import Expression, expression, importable, made
from .fingerprint import attributes, fingerprint, holds_code
from .functions import find, in_factory
from .literals import literal
from .names import Names
from .passages import Passage
from .provenance import Definition
from .steps import Capture, runs
from .uses import split, uses

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_EMPTY_CONTAINERS = ("{}", "[]", "dict()", "list()", "set()")
_FUTURE_ANNOTATIONS = 0x1000000  # CO_FUTURE_ANNOTATIONS, the same since 3.7


@dataclass(frozen=True)
class Captured:
    """A capture, the files that it brings, and what must stand right before it.

    `optional` are names of `capture.later` that are used only where they exist,
    `modules` the top-level modules that a pickle inside refers to.
    """

    capture: Capture
    files: dict[str, bytes] = field(default_factory=dict)
    before: tuple[Captured, ...] = ()
    optional: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()


def capture(name: str, names: Names) -> Captured:
    """Return how the value that `name` holds travels.

    Raises:
        CannotCapture: it cannot; the text says what inside it cannot, and what to do.
    """
    value, definition = names[name], names.definition(name)
    if isinstance(value, types.ModuleType):
        return _import(name, value, definition)
    if definition is not None and isinstance(definition.node, ast.ImportFrom):
        return Captured(Capture(name, "import", _import_from(name, definition.node)))
    if definition is not None and _is_code(definition):
        return _definition(definition, names)
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
        return _literal(name, text, definition)
    found = importable(value)
    if found is not None:
        return _imported(name, value, found)
    call = made(value, names)
    if call is not None:
        return _assembled(name, call.text, [(call, None)])
    for rebuild in (_closure, _partial, _method):
        rebuilt = rebuild(name, value, names)
        if rebuilt is not None:
            return rebuilt
    if definition is not None and _is_plain_display(definition):
        return _definition(definition, names)
    registered = _registered(definition, names)
    if definition is not None and registered:
        empty = _definition(definition, names)
        later = tuple(sorted({*empty.capture.later, *registered}))
        return replace(empty, capture=replace(empty.capture, later=later))
    return _pickled(name, value, names)


def passage_of(found: Capture) -> Passage:
    """Return a capture's text with the places where it was typed."""
    return Passage(tuple(found.text.split("\n")), found.places, "", found.label)


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


def _is_code(definition: Definition) -> bool:
    node, value = definition.node, definition.value
    if isinstance(node, _FUNCTIONS):
        return not isinstance(value, types.FunctionType) or _defaults_hold(definition)
    if isinstance(node, ast.ClassDef):
        return True
    is_lambda = isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Lambda)
    if is_lambda:
        return _defaults_hold(definition)
    # `f = deco(f)` after `def f`, or a condition of which one branch was taken.
    chained = len(definition.passages) > 1 and holds_code(value)
    return (chained or isinstance(node, ast.If)) and holds_code(value) and not definition.in_block


def _defaults_hold(definition: Definition) -> bool:
    """Whether running a definition outside its loop would give the same function."""
    node, value = definition.node, definition.value
    if not definition.in_block or not isinstance(value, types.FunctionType):
        return True
    arguments = node.args if isinstance(node, _FUNCTIONS) else None
    return arguments is not None and not arguments.defaults and not any(arguments.kw_defaults)


def _is_plain_display(definition: Definition) -> bool:
    """Whether a statement such as `ops = {"double": lambda x: 2 * x}` says all there is."""
    node, value = definition.node, definition.value
    if definition.in_block or definition.is_changed or not holds_code(value):
        return False
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return False
    if isinstance(value, type) or hasattr(value, "__wrapped__"):
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


def _registered(definition: Definition | None, names: Names) -> list[str]:
    """The decorated functions that put themselves into a registry which began empty."""
    node = definition.node if definition is not None else None
    if definition is None or not isinstance(node, (ast.Assign, ast.AnnAssign)):
        return []
    if node.value is None or ast.unparse(node.value) not in _EMPTY_CONTAINERS:
        return []
    value = definition.value
    items = list(value.values() if isinstance(value, dict) else value)
    found = []
    for each in items[:1000]:
        name = names.name_of(each) if callable(each) else None
        made_by = names.definition(name) if name is not None else None
        if name is None or not getattr(made_by and made_by.node, "decorator_list", None):
            return []
        found.append(name)
    return found


def _in_lambda(node: ast.AST, root: ast.AST) -> bool:
    lambdas = (each for each in ast.walk(root) if isinstance(each, ast.Lambda))
    return any(node in ast.walk(each) for each in lambdas)


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
                return Captured(_capture(name, "literal", passage))
    return Captured(Capture(name, "literal", f"{name} = {text}"))


def _capture(name: str, kind: str, passage: Passage, **more: Any) -> Capture:
    return Capture(
        name, kind, passage.text, label=passage.label, lines=runs(passage.places), **more
    )


def _definition(definition: Definition, names: Names) -> Captured:
    passage = _without_marks(_joined(definition.passages))
    now, later, optional = _needs(passage.text, _future_of(definition.value))
    patches, patched = _patches(definition, names)
    now |= patched
    passage = passage.followed_by(*patches)
    if _defaults_moved(definition, names):
        passage = passage.followed_by(*_set_defaults(definition.name, definition.value))
    now.discard(definition.name)
    found = _capture(
        definition.name,
        "source",
        passage,
        now=tuple(sorted(now)),
        later=tuple(sorted(later - now - {definition.name})),
        future=("annotations",) if _future_of(definition.value) else (),
    )
    return Captured(found, optional=frozenset(optional - now))


def _joined(passages: tuple[Passage, ...]) -> Passage:
    lines = tuple(line for each in passages for line in each.lines)
    places = tuple(place for each in passages for place in each.places)
    if len({each.label for each in passages}) > 1:
        places = (0,) * len(lines)
    return Passage(lines, places, "", passages[0].label)


def _without_marks(passage: Passage) -> Passage:
    return passage.without(mark_lines(ast.parse(passage.text)))


def _needs(text: str, lazy: bool) -> tuple[set[str], set[str], set[str]]:
    now, later, optional, bound = set[str](), set[str](), set[str](), set[str]()
    for statement in split(text):
        found = uses(statement, lazy_annotations=lazy)
        now |= set(found.now) - bound
        later |= {*found.later, *found.optional} - bound
        optional |= {*found.optional, *found.sets}
        bound |= found.binds
    return now, later - now, optional


def _future_of(value: Any) -> bool:
    code = getattr(value, "__code__", None)
    if code is None and isinstance(value, type):
        codes = (getattr(each, "__code__", None) for each in vars(value).values())
        code = next((each for each in codes if each is not None), None)
    return code is not None and bool(code.co_flags & _FUTURE_ANNOTATIONS)


def _patches(definition: Definition, names: Names) -> tuple[list[str], set[str]]:
    """Statements for what was done to a class, or a function's attributes, since its cell ran."""
    value = definition.value
    if not definition.is_changed or not isinstance(value, type) or definition.print is None:
        return [], set()
    before, lines, now = dict(definition.print), list[str](), set[str]()
    after = dict(attributes(value))
    for key in sorted(before.keys() - after.keys()):
        lines.append(f"del {definition.name}.{key}")
    for key, each in after.items():
        if key in before and before[key] == fingerprint(each, 1):
            continue
        found = expression(each, names)
        if found is None:
            raise CannotCapture(
                f"the class `{definition.name}` was changed after its cell ran "
                f"(`{definition.name}.{key}`): run its cell again, or make the change there",
                name=definition.name,
                path=f"{definition.name}.{key}",
            )
        lines.append(f"{definition.name}.{key} = {found.text}")
        now |= found.now
    return lines, now


def _closure(name: str, value: Any, names: Names) -> Captured | None:
    """A function that a function made: its source in a factory of what it closes over."""
    if not isinstance(value, types.FunctionType) or value.__globals__ is not names.namespace:
        return None
    found = find(value, names.provenance)
    free = list(value.__code__.co_freevars)
    if found is None or "__class__" in free or not _simple_defaults(value):
        return None
    cells = dict(zip(free, value.__closure__ or (), strict=True))
    own = {key for key, cell in cells.items() if _content(cell) is value}
    if own - {value.__code__.co_name} or any(_content(c) is _EMPTY for c in cells.values()):
        return None
    parts = {
        key: _part(f"_{name}_{key}", _content(cell), names)
        for key, cell in cells.items()
        if key not in own
    }
    passage = in_factory(found, f"_make_{name}", list(parts), value.__code__.co_name)
    given = ", ".join(part.text for part, _ in parts.values())
    call: tuple[str, ...] = ()
    if not free and not found.is_lambda and not found.indent and value.__name__ == name:
        passage = found.passage
    else:
        call = ("", f"{name} = _make_{name}({given})")
    passage = passage.followed_by(*call, *_set_defaults(name, value))
    now, later, optional = _needs(passage.text, _future_of(value))
    now = (now | {each for part, _ in parts.values() for each in part.now}) - {name}
    return Captured(
        _capture(
            name,
            "source",
            passage,
            now=tuple(sorted(now)),
            later=tuple(sorted(later - now - {name})),
            imports=tuple(sorted(line for part, _ in parts.values() for line in part.imports)),
            future=("annotations",) if _future_of(value) else (),
        ),
        before=tuple(extra for _, extra in parts.values() if extra is not None),
        optional=frozenset(optional),
    )


_EMPTY = object()


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _EMPTY


def _set_defaults(name: str, function: types.FunctionType) -> list[str]:
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


def _simple_defaults(function: types.FunctionType) -> bool:
    """Defaults are evaluated in the factory: only constants are sure to be the same there."""
    given = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return all(literal(each) is not None for each in given) and not function.__dict__


def _part(name: str, value: Any, names: Names) -> tuple[Expression, Captured | None]:
    """An expression for an object inside another, captured under a name of its own if need be."""
    found = expression(value, names)
    if found is not None:
        return found, None
    return Expression(name, frozenset({name})), capture_value(name, value, names)


def _partial(name: str, value: Any, names: Names) -> Captured | None:
    if type(value) is not functools.partial:
        return None
    parts = [
        _part(f"_{name}_function", value.func, names),
        *(_part(f"_{name}_{n}", each, names) for n, each in enumerate(value.args, 1)),
    ]
    keywords = {k: _part(f"_{name}_{k}", each, names) for k, each in value.keywords.items()}
    given = [part.text for part, _ in parts]
    given += [f"{key}={part.text}" for key, (part, _) in keywords.items()]
    return _assembled(
        name, f"functools.partial({', '.join(given)})", [*parts, *keywords.values()], "functools"
    )


def _method(name: str, value: Any, names: Names) -> Captured | None:
    if not isinstance(value, types.MethodType):
        return None
    part = _part(f"_{name}_self", value.__self__, names)
    return _assembled(name, f"{part[0].text}.{value.__name__}", [part])


def _assembled(
    name: str, text: str, parts: list[tuple[Expression, Captured | None]], module: str = ""
) -> Captured:
    imports = {line for part, _ in parts for line in part.imports}
    imports |= {f"import {module}"} if module else set()
    now = {each for part, _ in parts for each in part.now}
    return Captured(
        Capture(
            name,
            "literal",
            f"{name} = {text}",
            now=tuple(sorted(now)),
            imports=tuple(sorted(imports)),
        ),
        before=tuple(extra for _, extra in parts if extra is not None),
    )


def _pickled(name: str, value: Any, names: Names) -> Captured:
    def has_source(each: str) -> bool:
        if each == name or each not in names:
            return False
        definition = names.definition(each)
        return definition is not None and _is_code(definition)

    limit = None if name in names.send else values.LARGE_BYTES
    found = values.dump(name, value, names.namespace, has_source=has_source, limit=limit)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if found.bytecode and names.python not in ("", here):
        raise CannotCapture(
            f"`{name}` holds code without a source, made by Python {here}; the target has "
            f"{names.python}, which cannot run it. Define it with def or class in a cell, or in "
            "a remote cell",
            name=name,
            path=name,
        )
    path = f"data/{name.strip('_')}-{digest(found.data)[:8]}.pkl"
    text = (
        "with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "
        f'"data", "{path.partition("/")[2]}"), "rb") as _file:\n    {name} = pickle.load(_file)'
    )
    return Captured(
        Capture(
            name,
            "value",
            text,
            now=tuple(sorted(found.references)),
            later=tuple(sorted(found.globals)),
            imports=("import os", "import pickle"),
            files=(path,),
            bytecode=found.bytecode,
        ),
        files={path: found.data},
        modules=found.modules,
    )
