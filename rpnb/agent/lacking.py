"""What a program's values need and this machine lacks, known before they are sent."""

from __future__ import annotations

import importlib
from typing import Any, Collection, Mapping

from ..protocol.defined import defines, is_there


def lacking(needs: Collection[str], info: Mapping[str, Any]) -> list[str]:
    """Return which of a program's needs, "module" or "module:name", are surely not there.

    `info` is what the worker says of its Python; what was installed since is there.
    """
    search = info.get("search")
    if not needs or not search:
        return []
    importlib.invalidate_caches()
    return [need for need in sorted(needs) if _is_lacking(need, search)]


def _is_lacking(need: str, search: Mapping[str, Any]) -> bool:
    module, _, name = need.partition(":")
    top = module.partition(".")[0]
    if top not in search["names"] and not is_there(top, search["path"]):
        return True
    return bool(name) and defines(module, name, search["path"]) is False
