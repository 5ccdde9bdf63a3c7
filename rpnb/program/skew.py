"""What the target has of Python and packages, as far as values from here depend on it."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from typing import Any

from ..errors import CannotCapture
from ..protocol.defined import defines, is_there
from .imports import imported
from .steps import Capture, Program

# Module -> distribution whose objects do not survive a change of its major version; the
# worker says which versions of these it has.
DISTRIBUTIONS = {
    **{name: name for name in ("numpy", "pandas", "polars", "pyarrow", "pydantic", "scipy")},
    **{name: name for name in ("torch", "xarray")},
    "PIL": "pillow",
    "sklearn": "scikit-learn",
}
# The program itself, and what the overlay brings.
_OWN = frozenset({"__main__", "__mp_main__", "builtins", "cloudpickle", "runpod", "rpnb"})


@dataclass(frozen=True)
class There:
    """What the target has: its Python, and versions of `DISTRIBUTIONS`.

    "" and none where it is not known.
    """

    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> There:
        """Return what a worker says of its machine."""
        python = ".".join(str(info.get("python") or "").split(".")[:2])
        return cls(python, info.get("packages") or {})

    def other_major(self, module: str, here: str) -> str:
        """Return the target's version of a module whose objects would not survive, else ""."""
        package = DISTRIBUTIONS.get(module, "")
        there = self.packages.get(package, "")
        return there if here and there and _major(here) != _major(there) else ""


def problems(program: Program, there: There) -> list[CannotCapture]:
    """Return what of the program's captures the target would misread, each with its remedy."""
    asked = requested(program.requirements)
    return [
        _problem(each, text)
        for each in program.captures
        for text in _problems(each, program.python, there, asked)
    ]


def needs(program: Program) -> tuple[str, ...]:
    """Return what the target must have for the program's captures, as `Capture.by_name`.

    What comes with the program, or is installed by it, is not among them.
    """
    own = {path.partition("/")[0].removesuffix(".py") for path in program.files}
    wanted = {need: _top(need) for each in program.captures for need in _needs(each)}
    tops = set(wanted.values()) - own - _OWN
    asked = requested(program.requirements)
    left = tops - _brought(asked, tops) if asked else tops
    return tuple(sorted(need for need, top in wanted.items() if top in left))


def lacked(program: Program, lacking: Collection[str]) -> list[CannotCapture]:
    """Return what to say of what the target lacks of `needs`, each with its remedy."""
    return [
        _problem(capture, _lacked(capture.name, need, what))
        for capture in program.captures
        for need, what in _needs(capture).items()
        # Of a module that is not there nothing else is said.
        if need in lacking and (need == _top(need) or _top(need) not in lacking)
    ]


def _needs(capture: Capture) -> dict[str, str]:
    """What the target must have for a capture, each with what asks for it."""
    asks = {module: what for module, what, _ in capture.asks}
    lines = (*capture.imports, *[capture.text] * (capture.kind == "import"))
    bound = {each: f"`{capture.name}` comes from {each}" for each in imported("\n".join(lines))}
    taken = {
        need: f"`{capture.name}` holds {need.replace(':', '.')}"
        for each in capture.by_name
        for need in (_top(each), each)
    }
    found = bound | taken
    return {need: asks.get(need, found[need]) for need in sorted(found)}


def _top(need: str) -> str:
    return re.split("[.:]", need, maxsplit=1)[0]


def _lacked(name: str, need: str, what: str) -> str:
    module = _top(need)
    if need == module:
        return f"{what}, and the target has no module {module}. Remedy: {_got(module)}"
    return (
        f"{what}, and the target's {module} has no such thing. Remedy: make `{name}` in a remote "
        f"cell, or send plain data (lists, dictionaries, CSV){_same_version(module)}"
    )


def _problem(capture: Capture, text: str) -> CannotCapture:
    return CannotCapture(f"{text}\n  {capture.use} uses it.", name=capture.name, path=capture.name)


def _brought(asked: frozenset[str], modules: set[str]) -> set[str]:
    """Return the top-level modules that distributions which are asked for may bring."""
    known = metadata.packages_distributions()
    here = {_normal(each) for found in known.values() for each in found}
    if not asked <= here:
        # What a distribution brings that is not here nobody can tell: opencv's names, for one.
        return modules
    return {m for m in modules if asked & {_normal(each) for each in (m, *known.get(m, ()))}}


def unread(program: Program, line: str, said: str) -> str | None:
    """Return what to say where the target could not read a captured value; None for other lines.

    `line` is the one that raised, `said` what. Of classes it is known only there whether
    its version of a package has them.
    """
    name, loads, _ = line.strip().partition(" = pickle.loads(")
    found = next((each for each in program.captures if loads and each.name == name), None)
    if found is None:
        return None
    match = re.search(r"(?:module '|named ')(\w+)", said)
    asks = {module: what for module, what, _ in found.asks}
    module = match.group(1) if match else next(iter(asks), "")
    holds = f": {asks[module]}, and it may have another {module}" if module in asks else ""
    return (
        f"the target could not read `{name}`{holds}. Remedy: make `{name}` in a remote cell, or "
        f"send plain data{_same_version(module)}\n  {found.use} uses it."
    )


def _same_version(module: str) -> str:
    """Say how to get this machine's version of a module, "" where none is known."""
    for package in metadata.packages_distributions().get(module, ())[:1]:
        return f", or put `%pip install {package}=={metadata.version(package)}` into a set-up cell"
    return ""


def told(by_name: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return what a pickle takes from modules, as `Capture.by_name`."""
    found = {
        f"{module}:{name}" if _stands(module, name) else _top(module) for module, name in by_name
    }
    return tuple(sorted(each for each in found if _is_found(_top(each))))


def _is_found(module: str) -> bool:
    """Tell whether a top-level module is found by its name here, and so elsewhere."""
    known = module in sys.stdlib_module_names or is_there(module, sys.path)
    return known and module not in _OWN


@lru_cache(1024)
def _stands(module: str, name: str) -> bool:
    return defines(module, name.partition(".")[0], sys.path) is True


def version(module: str) -> str:
    """Return the version here of a module whose objects depend on it, "" for any other."""
    try:
        return metadata.version(DISTRIBUTIONS[module])
    except (KeyError, metadata.PackageNotFoundError):
        return ""


def _problems(capture: Capture, python: str, there: There, asked: frozenset[str]) -> Iterator[str]:
    if capture.bytecode and python and there.python not in ("", python):
        yield (
            f"`{capture.bytecode}` holds code without a source, made by Python {python}; the "
            f"target has {there.python}, which cannot run it. Remedy: define it with def or class "
            "in a cell, or in a remote cell"
        )
    for module, what, here in capture.asks:
        package = DISTRIBUTIONS.get(module, "")
        found = there.other_major(module, here)
        if found and package not in asked:
            yield (
                f"{what} of {package} {here}; the target has {package} {found}, which may read it "
                f"wrongly. Remedy: make `{capture.name}` in a remote cell, send plain data (lists, "
                f"dictionaries, CSV), or put `%pip install {package}=={_major(here)}.*` into a "
                "set-up cell"
            )


def _got(module: str) -> str:
    """How to come by a module that the target lacks."""
    if module in sys.stdlib_module_names:
        return "it is of this Python's own library: use what the target's Python has, too"
    brought = (metadata.packages_distributions().get(module) or [module])[0]
    return f"put `%pip install {brought}` into a set-up cell"


def requested(requirements: Iterable[str]) -> frozenset[str]:
    """Return the distributions that `%pip install` lines name; "*" for one that is not named."""
    named = [each for each in requirements if not each.startswith("-")]
    found = (re.match(r"[A-Za-z0-9][\w.-]*(?![\w.+-]*[:/])", each) for each in named)
    return frozenset(_normal(match.group()) if match else "*" for match in found)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _major(version: str) -> str:
    return version.split(".", 1)[0]
