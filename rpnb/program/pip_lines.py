"""What a `pip install` line asks for: requirements, where they come from, files that list more."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

# Options that say where packages come from, which the target's pip needs, too.
INDEXES = {
    "-i": "--index-url",
    "-f": "--find-links",
    **{name: name for name in ("--index-url", "--extra-index-url", "--find-links")},
}
FILES = ("-r", "--requirement", "-c", "--constraint", "-e", "--editable")
_LONG = {"--requirement": "-r", "--constraint": "-c", "--editable": "-e"}
_WITH_VALUE = (*INDEXES, *FILES, "-t", "--target", "--prefix", "--timeout", "--platform")
# What a shell reads in a line: quoted text, a comment, where output goes, what ends a command.
# `x>=2` is a version to people, though a shell would write to a file.
_SHELLS = re.compile(
    r"""(?P<quoted>'[^']*'|"(?:\\.|[^"\\])*"|\\.)|(?P<comment>(?<!\S)\#.*)"""
    r"""|(?P<sent>(?<!\S)[\d&]?>>?(?!=)[ \t]*(?:&\d|[^\s;&|]+))|(?P<ends>\|\|?|&&?|;)"""
)


@dataclass(frozen=True)
class Named:
    """A file that a line names by an option: `-r`, `-c` or `-e`."""

    option: str
    path: str
    place: str


def commands_of(line: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a shell's line below what joins it to the one before: "", "&&", "|"."""
    joined, begun = "", 0
    # The same places: what is no command is blanked out.
    text = _SHELLS.sub(lambda m: m[0] if m["quoted"] or m["ends"] else " " * len(m[0]), line)
    for match in _SHELLS.finditer(text):
        if match["ends"]:
            yield joined, text[begun : match.start()].strip()
            joined, begun = match["ends"], match.end()
    yield joined, text[begun:].strip()


def requirements_of(text: str) -> list[str]:
    """Return what is to be installed; where from comes first, as `--index-url=URL`."""
    words, pairs = _words(text), options_of(text)
    options = [f"{INDEXES[name]}={value}" for name, value in pairs if name in INDEXES]
    options += ["--pre"] if "--pre" in words else []
    values = {id(value) for _, value in pairs}
    return options + [w for w in words if not w.startswith("-") and id(w) not in values]


def files_of(text: str, place: str) -> list[Named]:
    """Return the files that the line names."""
    pairs = ((_LONG.get(name, name), value) for name, value in options_of(text))
    return [Named(name, value, place) for name, value in pairs if name in FILES]


def options_of(text: str) -> list[tuple[str, str]]:
    """Return the options that have a value: `-i URL`, `-rFILE` or `--index-url=URL`."""
    words, found = _words(text), []
    for word, after in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        short = word[:2]
        if name in _WITH_VALUE and (equals or word == name):
            found.append((name, value if equals else after))
        elif short in ("-r", "-c") and not word.startswith("--"):
            found.append((short, word[2:]))
    return found


@lru_cache(maxsize=100)
def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text, comments=True))
    except ValueError:
        return tuple(text.split())
