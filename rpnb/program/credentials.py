"""What looks like a secret, by its name or by itself: it must not become text of a program."""

from __future__ import annotations

import re
import types
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any

from ..errors import CannotCapture
from .obstacles import kind_of
from .passages import Passage

# Settings are neither deeper nor larger: what is has data in it, and is looked at in passing.
_DEPTH, _BREADTH, _MANY = 20, 1000, 10_000
_TEXT_LENGTH = 16_384
# What holds more of a kind holds records of data, whose keys and tokens are no secrets.
_RECORDS = 100
_NONE_IN = (
    *(int, float, complex, type(None)),
    *(type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType),
)
_SECRET = ("TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL")
# Of a word of a name, so that TOKENIZERS_PARALLELISM and MAX_TOKENS are none.
_NAME = re.compile(
    r"(?:.*_)?[A-Z0-9]*(?:" + "|".join(_SECRET) + r"|(?:SECRET|CREDENTIAL)S)(?:_.*)?"
)
# A name alone says enough where nothing but a secret is called so.
_SURE = re.compile(r"(?:.*_)?(?:SECRETS?|PASSWORD|PASSWD|CREDENTIALS?)(?:_.*)?")
# How the keys of well-known services begin.
_HEADS = ("hf_", "sk-", "ghp_", "github_pat_", "AKIA", "rpa_", "xoxb-", "eyJ", "AIza", "glpat-")
_BODY = re.compile(
    r"(?<![\w-])(?:" + "|".join(_HEADS) + r")[\w.+/=-]{12,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
# `SORT_KEY = "date"`, `PAD_TOKEN = "<|pad_0|>"` are none; what was drawn at random has digits.
_DRAWN = re.compile(r"(?=\D*\d)(?=[^A-Za-z]*[A-Za-z])[\w.+/=:-]{6,}")
# Alone they may be an object's in a store, or a word of a text.
_BARE = frozenset({"KEY", "TOKEN"})
_LONG = re.compile(r"[\w+=-]{20,}")


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret, whatever that looks like."""
    return _NAME.fullmatch(name.upper()) is not None


def looks_secret(value: str) -> bool:
    """Whether the text is a key of a well-known service, or begins as one."""
    return value.startswith(_HEADS) or _BODY.search(value) is not None


def written(passage: Passage) -> list[str]:
    """Return a note for each line of a cell that has a key of a well-known service as text."""
    places = zip(passage.lines, passage.places, strict=True)
    return [
        f"{passage.label}, line {place}: what looks like a secret stands in the program's text "
        "and in every export. Read it from os.environ, and hand it over with %runpod_env"
        for line, place in places
        if _BODY.search(line)
    ]


def refuse(path: str, value: Any, allowed: Collection[str] = ()) -> None:
    """Let no secret get into a program with the value at `path`, such as `name` or `f.key`.

    Neither as text nor in a data file: looked for in containers and in objects' attributes.

    Those of `allowed` names are written all the same.

    Raises:
        CannotCapture: it looks like one; says how it gets to the target unwritten.
    """
    name = path.partition(".")[0]
    found = None if name in allowed else next(_secrets(path, value, set()), None)
    if found is not None:
        last = _last(found).strip("_").upper()
        variable = last if last.isidentifier() else name.upper()
        raise CannotCapture(
            f"`{found}` looks like a secret, and would stand in the program's files and in every "
            f"export. Remedy: `%runpod_env {variable}` hands it to the worker, which keeps it in "
            f'memory only; read os.environ["{variable}"] in the remote cell. To write it all the '
            f"same: --send {name}",
            name=name,
            path=found,
        )


def _secrets(
    path: str, value: Any, seen: set[int], depth: int = 0, *, by_name: bool = True
) -> Iterator[str]:
    """Where in a value a secret stands, as far as texts tell, and names of what is no record."""
    kind = type(value)
    if issubclass(kind, _NONE_IN) or len(seen) == _MANY or depth == _DEPTH:
        return
    if issubclass(kind, (str, bytes)):
        text = value[: _TEXT_LENGTH + 1]
        text = text if isinstance(text, str) else text.decode("latin-1")
        is_body = len(text) <= _TEXT_LENGTH and _BODY.search(text)
        if is_body or (by_name and _is_named_so(_last(path), text)):
            yield path
    elif id(value) not in seen:
        seen.add(id(value))
        found = _inside(path, value)
        for inner, each in found:
            is_own = len(found) <= _RECORDS or issubclass(type(each), (str, bytes))
            yield from _secrets(inner, each, seen, depth + 1, by_name=by_name and is_own)


def _inside(path: str, value: Any) -> list[tuple[str, Any]]:
    """What a container or an object holds, each with its path."""
    try:
        return list(islice(_parts(path, value), _BREADTH))
    except Exception:  # noqa: BLE001 - a foreign object may raise anything from an attribute
        return []


def _parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"{path}[{key!r}]", each) for key, each in value.items())
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        yield from ((f"{path}[{number}]", each) for number, each in enumerate(value))
    elif kind_of(value) is None:
        yield from ((f"{path}.{key}", each) for key, each in _attributes(value))


def _attributes(value: Any) -> Iterable[tuple[str, Any]]:
    held = dict(getattr(value, "__dict__", ()))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in [slots] if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                held[slot] = getattr(value, slot)
    return held.items()


def _last(path: str) -> str:
    """What the innermost part of a path is called: `cfg['api_key']` and `f.api_key` the same."""
    return re.split(r"[\[.]", path)[-1].strip("]'\"")


def _is_named_so(name: str, text: str) -> bool:
    if _SURE.fullmatch(name.upper()):
        return bool(text.strip())
    if name.upper() in _BARE and not _LONG.fullmatch(text):
        return False
    return is_secret_name(name) and _DRAWN.fullmatch(text) is not None
