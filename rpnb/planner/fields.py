"""Fields of settings, and the text that alone decides each of them.

`CONFIG = {"model": "org/a", "top_k": 5}`, a class of constants, a dataclass or a pydantic
model, and an instance of these.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Collection, Mapping

from .access import is_literal, path_of
from .methods import ACCESSORS
from .parts import SEPARATOR
from .spelled import spelled

# Calls that say what a field is, if nothing else is given.
_DEFAULTS = ("pydantic.Field", "dataclasses.field")
# What they may be told besides: it gives the field no other name, and runs no code.
_DESCRIBES = frozenset(
    {
        *("default", "default_factory", "description", "title", "examples", "repr", "init", "hash"),
        *("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern", "strict"),
        *("frozen", "exclude", "compare", "kw_only", "metadata", "json_schema_extra", "deprecated"),
    }
)
_FACTORIES = frozenset({"builtins.list", "builtins.dict"})
# Calls that give the same whenever what they read is the same, and change nothing.
_STEADY = frozenset(
    {
        *("os.environ.get", "os.getenv", "os.path.join", "os.path.dirname", "os.path.abspath"),
        *("pathlib.Path", "torch.device"),
        *(f"builtins.{name}" for name in ("str", "int", "float", "bool", "len")),
    }
)
# What may give another value each time it is read, runs elsewhere, or binds names.
_UNSTEADY = (
    *(ast.Await, ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
_DATACLASSES = ("dataclasses.dataclass", "pydantic.dataclasses.dataclass")
_MODEL = "pydantic.BaseModel"
_NAMESPACE = "types.SimpleNamespace"
_SIMPLE = {"str", "int", "float", "bool", "None", "Optional", "Union", "typing", ""}
# Methods that decide what an object's or a class's fields are.
_MAKERS = frozenset(
    {
        *("__init__", "__new__", "__post_init__", "__getattribute__", "__getattr__"),
        *("__setattr__", "__init_subclass__", "__set_name__"),
    }
)


@dataclass(frozen=True)
class Fields:
    """What a statement makes: part (`.model`, `['model']`, a path) -> the text that decides it.

    The text is '' where it does not. `of` is the class whose instance it is, '' where it is
    none; `rest` must stay the same, too. `kind` is that of the dictionary or class, '' where
    a method may decide it. Nothing can change `constants`, of which each is given; of a
    class (`is_class`), what is given to its objects as one of `typed` stays what it is.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    constants: frozenset[str] = frozenset()
    typed: frozenset[str] = frozenset()
    of: str = ""
    rest: str = ""
    kind: str = ""
    is_class: bool = False


_NONE = Fields()


def fields(text: str, imports: Mapping[str, str]) -> Fields:
    """Return the fields that a statement gives; `imports` is `Names.stand_for`."""
    node = _parsed(text)
    if isinstance(node, ast.ClassDef):
        return _of_class(node, imports)
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return _NONE
    if len(targets) > 1 or not isinstance(targets[0], ast.Name):
        return _NONE
    return (
        _of_dict(node.value, imports)
        if isinstance(node.value, ast.Dict)
        else _of_call(node.value, imports)
    )


@lru_cache(maxsize=1_000)
def _parsed(text: str) -> ast.stmt:
    return ast.parse(spelled(text)).body[0]


def _of_dict(value: ast.Dict, imports: Mapping[str, str]) -> Fields:
    keys = [key.value if isinstance(key, ast.Constant) else None for key in value.keys]
    if len(set(keys)) < len(keys) or not all(isinstance(key, (str, int)) for key in keys):
        return _NONE
    return _of_pairs({f"[{key!r}]": v for key, v in zip(keys, value.values)}, imports)


def _of_pairs(pairs: Mapping[str, ast.expr], imports: Mapping[str, str]) -> Fields:
    constants = {part for part, value in pairs.items() if _is_constant(value, imports)}
    given = {part: _text(value, imports) for part, value in pairs.items()}
    for part, value in pairs.items():
        inner = _of_dict(value, imports) if isinstance(value, ast.Dict) else _NONE
        given.update((f"{part}{SEPARATOR}{below}", text) for below, text in inner.given.items())
        constants.update(f"{part}{SEPARATOR}{below}" for below in inner.constants)
    return Fields(given, frozenset(constants), kind="data")


def _of_call(value: ast.expr, imports: Mapping[str, str]) -> Fields:
    if not isinstance(value, ast.Call) or value.args or not isinstance(value.func, ast.Name):
        return _NONE
    given = {str(keyword.arg): keyword.value for keyword in value.keywords}
    if "None" in given:
        return _NONE
    name = value.func.id
    if imports.get(name) == "builtins.dict":
        return _of_pairs({f"[{key!r}]": v for key, v in given.items()}, imports)
    if imports.get(name) == _NAMESPACE:
        return _of_pairs({f".{key}": v for key, v in given.items()}, imports)
    parts = {f".{key}": value for key, value in given.items()}
    return replace(_of_pairs(parts, imports), of=name, kind="")


def _of_class(node: ast.ClassDef, imports: Mapping[str, str]) -> Fields:
    bases = [path_of(base, imports) for base in node.bases]
    decorators = [path_of(each, imports) for each in node.decorator_list]
    is_plain = set(bases) <= {_MODEL} and set(decorators) <= set(_DATACLASSES)
    if node.keywords or not is_plain:
        return _NONE
    if not all(_is_member(part, is_model=bool(bases)) for part in node.body):
        return _NONE
    own = {name for part in node.body for name in _named(part)}
    given, constants, typed = dict[str, str](), set[str](), set[str]()
    rest = [ast.unparse(each) for each in (*node.decorator_list, *node.bases)]
    for part in node.body:
        value = part.value if isinstance(part, (ast.Assign, ast.AnnAssign)) else None
        is_field = isinstance(part, ast.AnnAssign) and (
            value is None or _is_constant(value, imports)
        )
        for name in _named(part):
            # The annotation may decide what an argument becomes.
            is_steady = (is_field or _text(value, imports, own)) and not _has_call(part)
            given[f".{name}"] = ast.unparse(part) if is_steady else ""
            # pydantic may make anything of what it is given.
            is_typed = not bases or _is_simple(part)
            typed |= {f".{name}"} if is_typed and isinstance(part, ast.AnnAssign) else set()
            is_constant = is_typed and _is_constant(value, imports)
            (constants.add if is_constant else constants.discard)(f".{name}")
        if bases and not is_field and isinstance(part, (ast.Assign, ast.AnnAssign)):
            rest.append(ast.unparse(part))
    has_code = any(isinstance(p, (ast.FunctionDef, ast.AsyncFunctionDef)) for p in node.body)
    is_fixed = all(is_literal(v) for p in node.body if (v := getattr(p, "value", None)))
    kind = "" if has_code else "code" if is_fixed else "data"
    seen = frozenset(constants), frozenset(typed)
    return Fields(given, *seen, rest="\n".join(rest), kind=kind, is_class=True)


def _is_simple(part: ast.stmt) -> bool:
    """Tell whether a field is a number or a text, whatever it is given as."""
    names = ast.unparse(part.annotation) if isinstance(part, ast.AnnAssign) else ""
    return bool(names) and set(re.split(r"\W+", names)) <= _SIMPLE


def _is_member(part: ast.stmt, *, is_model: bool) -> bool:
    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
        decorators = {ast.unparse(each) for each in part.decorator_list}
        # pydantic calls some of a model's by their names.
        is_called = is_model and part.name.startswith(("_", "model_"))
        return not is_called and part.name not in _MAKERS and decorators <= ACCESSORS
    if isinstance(part, ast.Assign):
        is_config = is_model and "model_config" in _named(part)
        named = all(isinstance(target, ast.Name) for target in part.targets)
        return named and not (is_config and _names_fields(part.value))
    if isinstance(part, ast.AnnAssign):
        return isinstance(part.target, ast.Name)
    is_text = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
    return is_text or isinstance(part, ast.Pass)


def _names_fields(value: ast.expr) -> bool:
    """Tell whether a model's configuration may give its fields other names."""
    keys = [getattr(n, "arg", None) or getattr(n, "value", None) for n in ast.walk(value)]
    given = [n.value for n in ast.walk(value) if isinstance(n, ast.keyword)]
    is_shown = isinstance(value, (ast.Call, ast.Dict)) and all(map(is_literal, given))
    return not is_shown or "alias_generator" in keys


def _has_call(part: ast.stmt) -> bool:
    """Tell whether a field's annotation says more than what type it is."""
    shown = part.annotation if isinstance(part, ast.AnnAssign) else None
    return shown is not None and any(isinstance(n, ast.Call) for n in ast.walk(shown))


def _named(part: ast.stmt) -> list[str]:
    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return [part.name]
    targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _text(value: ast.expr | None, imports: Mapping[str, str], own: Collection[str] = ()) -> str:
    """Return the text of an expression that what it reads decides, no name of `own`; else ''."""
    for node in ast.walk(value) if value is not None else ():
        is_call = isinstance(node, ast.Call) and not _is_steady(node, imports)
        is_own = isinstance(node, ast.Name) and node.id in own
        if is_call or is_own or isinstance(node, _UNSTEADY):
            return ""
    return ast.unparse(value) if value is not None else ""


def _is_steady(call: ast.Call, imports: Mapping[str, str]) -> bool:
    """Tell whether what a call reads decides what it gives, under no other name."""
    called = _called(call, imports)
    if called not in _DEFAULTS:
        return called in _STEADY
    given = {each.arg: each.value for each in call.keywords}
    factory = given.get("default_factory")
    is_known = factory is None or imports.get(ast.unparse(factory)) in _FACTORIES
    return is_known and _DESCRIBES.issuperset(given)


def _is_constant(value: ast.expr | None, imports: Mapping[str, str]) -> bool:
    """Tell whether nothing can change what it gives: a literal, a variable of the environment."""
    if not isinstance(value, ast.Call):
        return value is not None and is_literal(value)
    called, given = _called(value, imports), list(value.args)
    if called in _DEFAULTS:
        given += [each.value for each in value.keywords if each.arg == "default"]
        is_plain = _is_steady(value, imports)
        return len(given) == 1 and is_literal(given[0]) and is_plain
    is_asked = called in ("os.environ.get", "os.getenv") and not value.keywords
    return is_asked and all(map(is_literal, given))


def _called(value: ast.Call, imports: Mapping[str, str]) -> str:
    root, _, rest = ast.unparse(value.func).partition(".")
    return ".".join(part for part in (imports.get(root, ""), rest) if part)
