r"""A magic's line, cut into the pieces that were typed.

A value runs to the first space outside quotes and brackets, so JSON needs no
quotes; shell quotes round a value are allowed. `magic_arguments` breaks JSON at
its first space and keeps shell quotes, hence this reader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import BadInput

_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = frozenset(_OPENING.values())
_QUOTES = ("'", '"')


@dataclass(frozen=True)
class Typed:
    """A piece of the line: its text with quotes round it kept, and where it begins."""

    text: str
    position: int

    @property
    def word(self) -> str:
        """The text without quotes round it."""
        return unquoted(self.text)


class _Unclosed(Exception):
    """A quote or bracket that stays open, or is closed by another kind."""

    def __init__(self, what: str, position: int) -> None:
        super().__init__(what)
        self.what, self.position = what, position


def tokens(line: str, *, brackets: bool = True) -> list[Typed]:
    """Return the line's pieces; `--option=value` is one, a `# comment` at the end is none.

    Without `brackets` only spaces part them (a pasted ssh command). A comment ends the line.

    Raises:
        BadInput: a quote or bracket is never closed; with a caret under it.
    """
    pieces: list[Typed] = []
    position = 0
    while position < len(line):
        if line[position].isspace():
            position += 1
            continue
        if line[position] == "#":  # no input, name or option begins with one: a comment
            break
        end = _option_end(line, position)
        if end is None:
            end = _value_end(line, position) if brackets else _word_end(line, position)
        pieces.append(Typed(line[position:end], position))
        position = end
    return pieces


def unquoted(text: str) -> str:
    r"""Return the text without quotes round it; `\"` inside `"…"` is `"`, as in a shell."""
    if len(text) < 2 or text[0] not in _QUOTES or text[-1] != text[0]:
        return text
    inner = text[1:-1]
    if _quoted_end(text, 0) is not None and "\\" + text[0] not in inner:
        return inner
    try:
        whole = _string_end(text, 0) == len(text)
    except _Unclosed:
        whole = False
    escaped = re.compile(r"\\([\\" + text[0] + "])")
    return (escaped.sub(r"\1", inner) if "\\" + text[0] in inner else inner) if whole else text


def _option_end(line: str, position: int) -> int | None:
    """Where the option that begins here ends, its `=value` included; None for a value."""
    if not line.startswith("--", position):
        return None
    while position < len(line) and not line[position].isspace():
        if line[position] == "=":
            return _value_end(line, position + 1)
        position += 1
    return position


def _word_end(line: str, position: int) -> int:
    while position < len(line) and not line[position].isspace():
        position += 1
    return position


def _value_end(line: str, start: int) -> int:
    quoted = _quoted_end(line, start)
    if quoted is not None:
        return quoted
    try:
        return _balanced_end(line, start, whole=True)
    except _Unclosed as error:
        raise BadInput(f"the {error.what} is never closed", line, error.position) from None


def _quoted_end(line: str, start: int) -> int | None:
    """Where a bracketed text in quotes ends, or None.

    Inside, an apostrophe in a JSON string does not end it: '{"text": "it's"}'.
    """
    quote = line[start : start + 1]
    inner = _skip_spaces(line, start + 1)
    if quote not in _QUOTES or line[inner : inner + 1] not in ("{", "["):
        return None
    try:
        end = _skip_spaces(line, _balanced_end(line, inner, whole=False))
    except _Unclosed:
        return None
    after = line[end + 1 : end + 2]
    return end + 1 if line[end : end + 1] == quote and (not after or after.isspace()) else None


def _balanced_end(line: str, position: int, *, whole: bool) -> int:
    """Where all is closed again: at a space (`whole`) or right after the first bracket."""
    opened: list[tuple[str, int]] = []
    while position < len(line):
        char = line[position]
        if char in _QUOTES:
            position = _string_end(line, position)
            continue
        if char in _OPENING:
            opened.append((char, position))
        elif char in _CLOSING and opened:
            bracket, place = opened.pop()
            if _OPENING[bracket] != char:
                raise _Unclosed(f"bracket {bracket}", place)
            if not opened and not whole:
                return position + 1
        elif char.isspace() and not opened:
            return position
        position += 1
    if opened:
        raise _Unclosed(f"bracket {opened[-1][0]}", opened[-1][1])
    return position


def _string_end(line: str, start: int) -> int:
    position = start + 1
    while position < len(line):
        if line[position] == "\\":
            position += 1
        elif line[position] == line[start]:
            return position + 1
        position += 1
    raise _Unclosed("quote", start)


def _skip_spaces(line: str, position: int) -> int:
    while line[position : position + 1] == " ":
        position += 1
    return position
