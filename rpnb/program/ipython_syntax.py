"""IPython's own syntax in a remote cell: what each form means on the target and in the export.

=====================================  ==========================================
`%pip install X`, `!pip install X`     installed there before the steps run; a comment
`%env K=V`, `%set_env K V`             a plain setting of the program; a comment
`%time STATEMENT`                      the statement
`%matplotlib`, `%timeit`, `x?`, …      nothing: a comment, and a note
`!command`                             `subprocess.run("command", shell=True)`
`x = !command`                         the lines that the command printed
`%%anything` below the first line      an error
any other `%magic`                     an error
=====================================  ==========================================

Each line gives exactly one line, so that line numbers stay.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Collection
from dataclasses import dataclass, field

from ..errors import BadSyntax
from .commands import NAMED, as_python
from .pip_lines import Named, commands_of, files_of, requirements_of

_LINE = re.compile(
    r"(?P<indent>[ \t]*)(?:(?P<target>[A-Za-z_][\w., ]*?)[ \t]*=[ \t]*(?=[!%]))?"
    r"(?P<mark>!!|%%|[!%])(?P<rest>.*)$",
    re.DOTALL,
)
_HELP = re.compile(r"[ \t]*(\?{1,2}[ \t]*[\w.*]+|[\w.*%]+\?{1,2})[ \t]*$")
_PIP = re.compile(
    r"(?:(?:\{sys\.executable\}|\$\{?sys\.executable\}?|python[\d.]*)[ \t]+-m[ \t]+|uv[ \t]+)?"
    r"pip[\d.]*(?:[ \t]+-[\w-]+)*[ \t]+install[ \t]+(?P<what>.*)$"
)
# Nothing that the target or an exported file needs.
_DROPPED = frozenset(
    {
        *("matplotlib", "timeit", "load_ext", "reload_ext", "unload_ext", "autoreload"),
        *("config", "precision", "pylab", "who", "whos", "pinfo", "pdoc", "psource", "history"),
        *("memit", "mprun", "lprun", "prun", "debug", "pdb", "xmode", "colors", "lsmagic"),
        *("runpod", "runpod_status", "runpod_program", "runpod_explain"),
    }
)
_TRIPLE = ('"""', "'''")
# What IPython's list of lines has beside a list's own, and what to write instead.
_LIST_FIELDS = {
    **dict.fromkeys(("n", "nlstr"), "`'\\n'.join({0})`"),
    **dict.fromkeys(("s", "spstr"), "`' '.join({0})`"),
    **dict.fromkeys(("l", "list", "get_list"), "`{0}`"),
    **dict.fromkeys(("p", "paths", "get_paths"), "`[pathlib.Path(line) for line in {0}]`"),
    "grep": "`[line for line in {0} if …]`",
    "fields": "`[line.split()[0] for line in {0}]`",
}
# A line looks back to the last one that stood in no block, string or bracket, which is near;
# where it is not, this many characters take 2 s.
_MOST_LOOKED_BACK = 2_000_000
_RUN = "subprocess.run({command}, shell=True)"
_LINES = "subprocess.run({command}, shell=True, capture_output=True, text=True).stdout.splitlines()"


@dataclass
class Translated:
    """A cell's text as Python, and what its IPython lines asked for beside it."""

    text: str
    notes: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    requirements: list[str] = field(default_factory=list)
    # Those of `-r FILE` and `-c FILE`, which are not read yet.
    files: list[Named] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    # Names that hold the lines of a command, and names that the cell binds.
    lists: set[str] = field(default_factory=set)
    bound: frozenset[str] = frozenset()
    # A command shows what it prints, and has no value that a cell would show.
    ends_with_command: bool = False


def translate(text: str, *, label: str = "the cell", first_line: int = 1) -> Translated:
    """Return a remote cell's text with IPython's syntax given its meaning, line for line.

    Raises:
        BadSyntax: a magic that means nothing on the target.
    """
    found = Translated(text)
    if _parsed(text) is not None:
        return found
    first = _translate(text, label, first_line, frozenset())
    bound = _bound(first.text)
    if bound & set(NAMED.findall(text)):
        # `!echo $name`: where the cell binds the name, IPython fills it in.
        first = _translate(text, label, first_line, bound)
    _refuse_list_fields(first, label, first_line)
    return first


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _bound(text: str) -> frozenset[str]:
    """The names that a cell binds anywhere, parameters of its functions included."""
    tree = _parsed(text)
    nodes = list(ast.walk(tree)) if tree is not None else []
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return frozenset(stored | {n.arg for n in nodes if isinstance(n, ast.arg)})


def _refuse_list_fields(found: Translated, label: str, first_line: int) -> None:
    """`x = !command` is a plain list here: what IPython's list can do beside is an error.

    Raises:
        BadSyntax: the cell uses it; says what to write.
    """
    tree = _parsed(found.text) if found.lists else None
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name, remedy = node.value.id, _LIST_FIELDS.get(node.attr)
            if name in found.lists and remedy:
                raise BadSyntax(
                    f"{label}, line {first_line + node.lineno - 1}: `{name}.{node.attr}` is of "
                    f"IPython's own list; on the target `{name} = !command` is a plain list of "
                    f"lines. Write {remedy.format(name)}"
                )


def _translate(text: str, label: str, first_line: int, bound: frozenset[str]) -> Translated:
    found = Translated(text, bound=bound)
    lines = text.split("\n")
    said = max((n for n, each in enumerate(lines) if _says_something(each)), default=0)
    done: list[str] = []
    above = _Above(done)
    number = 0
    while number < len(lines):
        taken = _logical(lines, number)
        line = "\n".join(lines[number : number + taken])
        place = f"{label}, line {first_line + number}"
        changed = None
        if (_LINE.match(line) or _HELP.match(line)) and not above.is_open(line, place):
            changed = _translated(line, place, found)
        if changed is None:
            done.append(lines[number])
            number += 1
            continue
        done += [changed, *[""] * (taken - 1)]
        number += taken
        is_last = said < number
        found.ends_with_command = is_last and changed.startswith(_RUN.partition("{")[0])
    found.text = "\n".join(done)
    return found


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _logical(lines: list[str], number: int) -> int:
    count = 1
    while lines[number + count - 1].endswith("\\") and number + count < len(lines):
        count += 1
    return count


class _Above:
    """The lines above one, which may end inside a string or a bracket."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._closed = self._seen = self._looked = 0
        self._open = ""

    def is_open(self, line: str, place: str) -> bool:
        """Tell whether the lines above `line` end inside a string or a bracket.

        Raises:
            BadSyntax: too many lines of one block or bracket look like IPython's.
        """
        new, self._seen = self._lines[self._seen :], len(self._lines)
        if self._open == "string" and not any(quotes in each for each in new for quotes in _TRIPLE):
            return True
        text = "\n".join(self._lines[self._closed :])
        self._looked += len(text)
        if self._looked > _MOST_LOOKED_BACK:
            raise BadSyntax(f"{place}: too many lines that begin with % or ! stand in one block")
        self._open = _left_open(text)
        if not self._open and not line[:1].isspace():
            self._closed = self._seen
        return bool(self._open)


def _left_open(text: str) -> str:
    """Return "string" or "bracket" where a text ends inside one; else ""."""
    depth = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
    except tokenize.TokenError as error:
        if "multi-line string" in str(error) or "unterminated triple" in str(error):
            return "string"
        is_bracket = "EOF in multi-line" in str(error) or "unterminated" in str(error)
        return "bracket" if is_bracket else ""
    except SyntaxError:
        return ""
    return "bracket" if depth > 0 else ""


def _translated(line: str, place: str, found: Translated) -> str | None:
    matched = _LINE.match(line)
    if matched is None:
        found.notes.append(f"{place}: `{line.strip()}` asks for help and is left out")
        return _comment(line)
    indent, target, rest = matched["indent"], matched["target"], _joined(matched["rest"])
    if matched["mark"] == "%%":
        raise BadSyntax(
            f"{place}: `%%{rest.strip()}` is a cell magic inside a remote cell: give it a cell "
            "of its own"
        )
    if _PIP.match(rest.strip()):
        _installs(rest.strip(), place, found)
        return f"{indent}{target} = []  # {_joined(line).strip()}" if target else _comment(line)
    if matched["mark"].startswith("!"):
        found.imports.add("import subprocess")
        command = as_python(rest.strip(), found.bound)
        if target:
            found.lists.add(target)
            return f"{indent}{target} = {_LINES.format(command=command)}"
        return f"{indent}{_RUN.format(command=command)}"
    return _magic(line, rest.strip(), place, found)


def _installs(line: str, place: str, found: Translated) -> None:
    """Note what a line of `pip install` asks for; what only filters its output asks for nothing.

    Raises:
        BadSyntax: another command stands on the line.
    """
    for joined, command in commands_of(line):
        pip = _PIP.match(command)
        if pip is None and command and joined in (";", "&", "&&"):
            raise BadSyntax(
                f"{place}: `{command}` stands on one line with pip install, which is for the time "
                "before the first step: give it a line of its own"
            )
        if pip is None or joined in ("|", "||"):
            continue
        found.requirements += requirements_of(pip["what"])
        for each in files_of(pip["what"], place):
            if each.option == "-e":
                note = f"pip's -e {each.path} is not read here: import it, and it travels"
                found.notes.append(f"{place}: {note}")
            else:
                found.files.append(each)


def _joined(text: str) -> str:
    return re.sub(r"[ \t]*\\\n[ \t]*", " ", text)


def _comment(line: str) -> str:
    """The line as a comment; inside a block a comment alone would leave it empty."""
    text = _joined(line)
    indent = text[: len(text) - len(text.lstrip())]
    return f"{indent}pass  # {text.strip()}" if indent else f"# {text.strip()}"


def _refuse_filled(setting: re.Match[str], place: str, bound: Collection[str]) -> None:
    """A setting is there before the first step, so no name of the cell can be filled in.

    Raises:
        BadSyntax: IPython would fill one in; says what to write.
    """
    key, value = setting.groups()
    filled = as_python(value, bound)
    if filled != repr(value):
        raise BadSyntax(
            f"{place}: `%env {key}` is set before the first step, where nothing can be filled in. "
            f"Write os.environ[{key!r}] = {filled}"
        )


def _magic(line: str, rest: str, place: str, found: Translated) -> str:
    name, _, argument = rest.partition(" ")
    indent = line[: len(line) - len(line.lstrip())]
    before = line[: line.index("%")].strip()
    if name == "time" and argument.strip():
        found.notes.append(f"{place}: %time is left out, its statement runs")
        return f"{indent}{before} {argument.strip()}" if before else indent + argument.strip()
    if name in ("env", "set_env"):
        setting = re.match(r"([A-Za-z_]\w*)(?:[ \t]*=[ \t]*|[ \t]+)(.*)$", argument.strip())
        if setting:
            _refuse_filled(setting, place, found.bound)
            found.env[setting[1]] = setting[2].strip()
            return _comment(line)
        if before:
            found.imports.add("import os")
            of = f"[{argument.strip()!r}]" if argument.strip() else ""
            return f"{indent}{before} os.environ{of}"
        found.notes.append(f"{place}: `%{rest}` only shows the environment and is left out")
        return _comment(line)
    if name in _DROPPED and not before:
        found.notes.append(f"{place}: `%{name}` means nothing on the target and is left out")
        return _comment(line)
    raise BadSyntax(
        f"{place}: `%{name}` is a magic of this notebook and means nothing on the target: run it "
        "in an ordinary cell, or write it as Python"
    )
