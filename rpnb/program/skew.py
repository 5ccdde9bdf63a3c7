"""What the target has of Python and packages, as far as values from here depend on it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import metadata
from typing import Any

from ..errors import CannotCapture
from ..protocol.defined import defines
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
    """What the target has: its Python, versions of `DISTRIBUTIONS`, and top-level modules.

    "" and None where it is not known. What the program installs itself is `requested`:
    distributions, and "*" for one whose name does not show.
    """

    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    modules: frozenset[str] | None = None
    requested: frozenset[str] = frozenset()

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> There:
        """Return what a worker says of its machine."""
        modules = info.get("modules")
        python = ".".join(str(info.get("python") or "").split(".")[:2])
        packages = info.get("packages") or {}
        return cls(python, packages, None if modules is None else frozenset(modules))

    def lacks(self, module: str) -> bool:
        """Tell whether the target surely has no such module, and the program does not get it."""
        if self.modules is None or module in self.modules or module in _OWN:
            return False
        known = metadata.packages_distributions()
        here = {_normal(each) for found in known.values() for each in found}
        brought = {_normal(each) for each in (module, *known.get(module, ()))}
        # What a distribution brings that is not here nobody can tell: opencv's names, for one.
        return not self.requested & brought and self.requested <= here

    def other_major(self, module: str, here: str) -> str:
        """Return the target's version of a module whose objects would not survive, else ""."""
        package = DISTRIBUTIONS.get(module, "")
        there = self.packages.get(package, "")
        is_other = here and there and _major(here) != _major(there)
        return there if is_other and package not in self.requested else ""


def problems(program: Program, there: There) -> list[CannotCapture]:
    """Return what of the program's captures the target cannot take, each with its remedy."""
    own = {path.partition("/")[0].removesuffix(".py") for path in program.files}
    there = replace(there, requested=there.requested | requested(program.requirements))
    return [
        CannotCapture(f"{text}\n  {each.use} uses it.", name=each.name, path=each.name)
        for each in program.captures
        for text in _problems(each, program.python, there, own)
    ]


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
    packages = metadata.packages_distributions().get(module, ())
    pip = "".join(f", or `%pip install {p}=={metadata.version(p)}`" for p in packages[:1])
    return (
        f"the target could not read `{name}`{holds}. Remedy: make `{name}` in a remote cell, or "
        f"send plain data{pip}\n  {found.use} uses it."
    )


def told(by_name: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return, as "module:name", those whose module's text has them here: so it tells there."""
    return tuple(sorted(f"{module}:{name}" for module, name in by_name if _stands(module, name)))


@lru_cache(1024)
def _stands(module: str, name: str) -> bool:
    is_own = module.partition(".")[0] in _OWN
    return not is_own and defines(module, name.partition(".")[0], sys.path) is True


def version(module: str) -> str:
    """Return the version here of a module whose objects depend on it, "" for any other."""
    try:
        return metadata.version(DISTRIBUTIONS[module])
    except (KeyError, metadata.PackageNotFoundError):
        return ""


def _problems(capture: Capture, python: str, there: There, own: set[str]) -> Iterator[str]:
    if capture.bytecode and python and there.python not in ("", python):
        yield (
            f"`{capture.bytecode}` holds code without a source, made by Python {python}; the "
            f"target has {there.python}, which cannot run it. Remedy: define it with def or class "
            "in a cell, or in a remote cell"
        )
    imports = imported("\n".join((*capture.imports, *[capture.text] * (capture.kind == "import"))))
    asks = [(module, f"`{capture.name}` comes from {module}", "") for module in sorted(imports)]
    for module, what, here in (*asks, *capture.asks):
        if module not in own and there.lacks(module):
            yield f"{what}, and the target has no module {module}. Remedy: {_got(module, there)}"
        found = there.other_major(module, here)
        if found:
            package = DISTRIBUTIONS[module]
            yield (
                f"{what} of {package} {here}; the target has {package} {found}, which may read it "
                f"wrongly. Remedy: make `{capture.name}` in a remote cell, send plain data (lists, "
                f"dictionaries, CSV), or put `%pip install {package}=={_major(here)}.*` into a "
                "set-up cell"
            )


def _got(module: str, there: There) -> str:
    """How to come by a module that the target lacks."""
    if module in sys.stdlib_module_names:
        return f"it is of this Python's own library: use what Python {there.python} has, too"
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
