"""What looks like a secret, by its name or by itself: it must not become text of a program."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from ..errors import CannotCapture
from .passages import Passage

_DEPTH = 20
_SECRET = ("TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL")
# Of a word of a name, so that TOKENIZERS_PARALLELISM and MAX_TOKENS are none.
_NAME = re.compile(
    r"(?:.*_)?[A-Z0-9]*(?:" + "|".join(_SECRET) + r"|(?:SECRET|CREDENTIAL)S)(?:_.*)?"
)
# A name alone says enough where nothing but a secret is called so.
_SURE = re.compile(r"(?:.*_)?(?:SECRETS?|PASSWORD|PASSWD|CREDENTIALS?)(?:_.*)?")
# How the keys of well-known services begin.
_HEADS = ("hf_", "sk-", "ghp_", "github_pat_", "AKIA", "rpa_", "xoxb-", "eyJ", "AIza", "glpat-")
_BODY = re.compile(r"(?:" + "|".join(_HEADS) + r")[\w.+/=-]{12,}|-----BEGIN [A-Z ]*PRIVATE KEY")
# `SORT_KEY = "date"`, `PAD_TOKEN = "<|pad_0|>"` are none; what was drawn at random has digits.
_DRAWN = re.compile(r"(?=\D*\d)(?=[^A-Za-z]*[A-Za-z])[\w.+/=:-]{6,}")


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
    """Let no secret be written into a program as the value at `path`, such as `name` or `f.key`.

    Those of `allowed` names are written all the same.

    Raises:
        CannotCapture: it looks like one; says how it gets to the target unwritten.
    """
    name = path.partition(".")[0]
    found = None if name in allowed else next(_secrets(path, value), None)
    if found is not None:
        variable = _last(path).upper()
        raise CannotCapture(
            f"`{found}` looks like a secret, and would stand in the program's text and in every "
            f"export. Remedy: `%runpod_env {variable}` hands it to the worker, which keeps it in "
            f'memory only; read os.environ["{variable}"] in the remote cell. To write it all the '
            f"same: --send {name}",
            name=name,
            path=found,
        )


def _secrets(path: str, value: Any, depth: int = 0) -> Iterator[str]:
    """Where in a plain value a secret stands, as far as names and texts tell."""
    if isinstance(value, (str, bytes)):
        text = value if isinstance(value, str) else value.decode("latin-1")
        if _BODY.search(text) or _is_named_so(_last(path), text):
            yield path
    elif type(value) is dict and depth < _DEPTH:
        for key, each in value.items():
            yield from _secrets(f"{path}[{key!r}]", each, depth + 1)
    elif type(value) in (list, tuple) and depth < _DEPTH:
        for number, each in enumerate(value):
            yield from _secrets(f"{path}[{number}]", each, depth + 1)


def _last(path: str) -> str:
    """What the innermost part of a path is called: `cfg['api_key']` and `f.api_key` the same."""
    return re.split(r"[\[.]", path)[-1].strip("]'\"")


def _is_named_so(name: str, text: str) -> bool:
    if _SURE.fullmatch(name.upper()):
        return bool(text.strip())
    return is_secret_name(name) and _DRAWN.fullmatch(text) is not None
