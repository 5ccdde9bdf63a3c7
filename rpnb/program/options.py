"""What each magic's line may hold, and the line read by it.

Here and not in `jupyter`: the command line reads the `%%runpod_handler --input …`
lines of a notebook with it, too.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from ..errors import BadInput
from .tokens import Typed, tokens


@dataclass(frozen=True)
class Option:
    """An option: `value` is what it takes, None for a flag; `optional` may lack it."""

    name: str
    value: str | None = None
    optional: bool = False
    repeats: bool = False


@dataclass(frozen=True)
class Syntax:
    """What one magic's line may hold; `most` caps the words that are no options.

    With `greedy` they are one text, spaces and all (a pasted ssh command).
    """

    words: str = ""
    most: int = 0
    options: tuple[Option, ...] = ()
    greedy: bool = False
    fewest: int = 0

    def option(self, name: str) -> Option | None:
        """The option of that name, or None."""
        return next((each for each in self.options if each.name == name), None)

    def __str__(self) -> str:
        parts = [self.words] if self.words else []
        for each in self.options:
            value = f" [{each.value}]" if each.optional else f" {each.value}" if each.value else ""
            parts.append(f"[--{each.name}{value}]" + ("..." if each.repeats else ""))
        return " ".join(parts)


SYNTAX: dict[str, Syntax] = {
    "runpod": Syntax(),
    "runpod_connect": Syntax(
        "[TARGET]",
        99,
        (
            Option("python", "P"),
            Option("gpu", "N[,M]"),
            Option("name", "N"),
            Option("sdk", "V"),
            Option("keep"),
            Option("accept-key", "SHA256:…"),
        ),
        greedy=True,
    ),
    "runpod_setup": Syntax("[NAME]", 1, (Option("again"), Option("send", "NAME", repeats=True))),
    "runpod_handler": Syntax(
        "[NAME]",
        1,
        (
            Option("input", "INPUT", repeats=True),
            Option("input-file", "F"),
            Option("no-run"),
            Option("no-form"),
            Option("send", "NAME", repeats=True),
        ),
    ),
    "runpod_remote": Syntax("", 0, (Option("to", "NAME"),)),
    "runpod_test": Syntax(
        "NAME",
        1,
        (
            Option("expect", "JSON"),
            Option("expect-error", "TEXT", optional=True),
            Option("compare", "F"),
            Option("no-run"),
        ),
        fewest=1,
    ),
    "runpod_run": Syntax(
        "[INPUT]", 1, (Option("cold"), Option("attach", "ID"), Option("timeout", "S"))
    ),
    "runpod_status": Syntax(),
    "runpod_program": Syntax(),
    "runpod_explain": Syntax("[NAME]", 1),
    "runpod_drop": Syntax("NAME", 1, fewest=1),
    "runpod_restart": Syntax(),
    "runpod_env": Syntax("KEY[=VALUE]...", 99, fewest=1),
    "runpod_disconnect": Syntax(),
    "runpod_stop": Syntax("", 0, (Option("pod"),)),
    "runpod_export": Syntax(
        "[PATH]", 1, (Option("project", "DIR"), Option("verify"), Option("force"))
    ),
}
CELL_MAGICS = ("runpod_setup", "runpod_handler", "runpod_remote", "runpod_test")


@dataclass(frozen=True)
class Options:
    """The words and options of a magic's line, each still knowing its place in it."""

    magic: str
    line: str
    words: tuple[Typed, ...] = ()
    values: dict[str, tuple[Typed, ...]] = field(default_factory=dict)

    def has(self, option: str) -> bool:
        """Whether the option is there, with or without a value."""
        return option in self.values

    def all(self, option: str) -> tuple[Typed, ...]:
        """Every value given for the option, in the order typed."""
        return self.values.get(option, ())

    def text(self, option: str) -> str | None:
        """The option's last value without quotes round it, or None."""
        given = self.all(option)
        return given[-1].word if given else None

    @property
    def word(self) -> str | None:
        """The first word that is no option, without quotes round it, or None."""
        return self.words[0].word if self.words else None

    def number(self, option: str) -> float | None:
        """The option's value as a number of at least 0, or None.

        Raises:
            BadInput: it is not one.
        """
        given = self.all(option)
        if not given:
            return None
        try:
            number = float(given[-1].word)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            message = f"--{option} takes a number of seconds, not {given[-1].word!r}"
            raise BadInput(message, self.line, given[-1].position)
        return number


def parse(magic: str, line: str) -> Options:
    """Return the words and options of a magic's line.

    Raises:
        BadInput: an unknown option, one word too many, a value that is missing
            or not closed; with a caret at the place.
    """
    syntax, words, values = SYNTAX[magic], list[Typed](), dict[str, tuple[Typed, ...]]()
    pieces = tokens(line, brackets=not syntax.greedy)
    while pieces:
        piece = pieces.pop(0)
        if not piece.text.startswith("--"):
            words.append(piece)
            continue
        option, given = _option(magic, line, piece)
        if option.value and given is None:
            given = _value(line, option, piece, pieces)
        if option.name in values and not option.repeats:
            raise BadInput(f"--{option.name} is there twice", line, piece.position)
        values[option.name] = values.get(option.name, ()) + ((given,) if given else ())
    words = _checked(magic, line, words)
    return Options(magic, line, tuple(words), values)


def _option(magic: str, line: str, piece: Typed) -> tuple[Option, Typed | None]:
    syntax = SYNTAX[magic]
    name, equals, rest = piece.text[2:].partition("=")
    option = syntax.option(name)
    if option is None:
        known = [f"--{each.name}" for each in syntax.options]
        close = [each for each in known if each.startswith(piece.text)]
        close = close or difflib.get_close_matches(piece.text, known, 1)
        hint = f"; did you mean {close[0]}? Options cannot be abbreviated" if close else ""
        takes = f"it takes {', '.join(known)}" if known else "it takes no options"
        raise BadInput(f"%{magic} knows no --{name}: {takes}{hint}", line, piece.position)
    if not equals:
        return option, None
    if option.value is None:
        raise BadInput(f"--{name} takes no value", line, piece.position)
    return option, Typed(rest, piece.position + len(name) + 3)


def _value(line: str, option: Option, piece: Typed, pieces: list[Typed]) -> Typed | None:
    if pieces and not pieces[0].text.startswith("--"):
        return pieces.pop(0)
    if option.optional:
        return None
    end = piece.position + len(piece.text)
    raise BadInput(f"--{option.name} needs a value: --{option.name} {option.value}", line, end)


def _checked(magic: str, line: str, words: list[Typed]) -> list[Typed]:
    syntax = SYNTAX[magic]
    if syntax.greedy and words:
        return [Typed(" ".join(each.text for each in words), words[0].position)]
    if len(words) > syntax.most:
        extra = words[syntax.most]
        takes = f"takes {syntax}" if str(syntax) else "takes nothing"
        raise BadInput(f"%{magic} {takes}; this is one too many", line, extra.position)
    if len(words) < syntax.fewest:
        raise BadInput(f"%{magic} needs {syntax.words}: %{magic} {syntax}", line, len(line))
    return words
