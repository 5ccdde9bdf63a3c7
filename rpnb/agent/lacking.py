"""What of a program's values this machine could not read, known before they are sent."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ..protocol.defined import defines


def asks_by_name(program: Mapping[str, Any]) -> bool:
    """Tell whether any of its values takes something from a module by name."""
    return any(each.get("by_name") for each in program.get("captures") or ())


def lacking(program: Mapping[str, Any], info: Mapping[str, Any]) -> str:
    """Return which captured values need what its packages lack, and what to do; "" for none.

    `info` is what the worker says of its Python. A program that installs packages itself
    may bring it, and what only an import hook knows nobody can tell beforehand.
    """
    if program.get("requirements") or info.get("modules") is None or not info.get("path"):
        return ""
    own = {path.partition("/")[0].partition(".")[0] for path in program.get("files") or ()}
    found = (_told(each, own, info) for each in program.get("captures") or ())
    return "\n".join(text for texts in found for text in texts)


def _told(capture: Mapping[str, Any], own: set[str], info: Mapping[str, Any]) -> Iterator[str]:
    name = capture["name"]
    for wanted in capture.get("by_name") or ():
        module, _, qualname = str(wanted).partition(":")
        package = module.partition(".")[0]
        if package not in own and defines(module, qualname.split(".")[0], info["path"]) is False:
            yield (
                f"`{name}` holds {module}.{qualname}, and the target's {package} has no such "
                f"thing. Remedy: make `{name}` in a remote cell, send plain data (lists, "
                f"dictionaries, CSV), or put a `%pip install` line with this machine's version "
                f"of {package} into a set-up cell. `--send {name}` sends it unchecked.\n"
                f"  {capture.get('use')} uses it."
            )
