"""A shell command of a cell (`!ls {folder}`) as a Python expression of the text to run."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

# `$name` of a command; `$$` is the shell's own.
NAMED = re.compile(r"(?<![$\\])\$([A-Za-z_]\w*)")
# `{expression}`; `{{this}}` stays as it is, and `${NAME}` is the shell's own.
_FIELD = re.compile(r"(?P<shells>\$)?(?P<field>\{(?P<twice>\{)?(?P<what>[^{}]+)\})")
_QUOTED = re.compile(r"['\"\\]")


def as_python(command: str, bound: Collection[str]) -> str:
    """Return the expression: `{expression}` is filled in, as IPython does, and `$name` of `bound`.

    Where a brace holds no expression none is filled in: `awk '{print $1}'`.
    """
    text = NAMED.sub(lambda m: f"{{{m[1]}}}" if m[1] in bound else m[0], command)
    found = [m for m in _FIELD.finditer(text) if not m["shells"] or m["what"] in bound]
    if not found or not all(_is_expression(each["what"]) for each in found):
        return repr(text)
    fields = [each for each in found if not each["twice"]]
    ends = [0, *(end for each in fields for end in each.span("field")), len(text)]
    around = [_escaped(text[a:b]) for a, b in zip(ends[::2], ends[1::2], strict=True)]
    filled = [each["what"].strip() for each in fields]
    if _QUOTED.search("".join(filled)):
        # Before Python 3.12 an expression in an f-string has no quotes of the string's kind.
        return f"{'{}'.join(around)!r}.format({', '.join(filled)})"
    parts = zip(around, [*(f"{{{each}}}" for each in filled), ""], strict=True)
    return "f" + repr("".join(part for pair in parts for part in pair))


def _escaped(text: str) -> str:
    return re.sub(r"\{\{|\}\}|[{}]", lambda m: m[0] * (3 - len(m[0])), text)


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return False
    return True
