"""Which names of a program hold something else in two workers.

A small text runs in each beside the program, as a scratch cell does, and gives a digest
for each name; the values themselves stay where they are. Functions, classes and
modules are not state; what has no digest (a lock, an open file) is not compared.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..errors import LinkLost
from ..session.updates import Failed, Shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..session.session import Session

# Standard library only, Python 3.9. Sets are sorted: their order differs between processes.
_DIGESTS = """\
def _digests(names):
    import hashlib, pickle, types
    skipped = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type)

    class Digest:
        def __init__(self):
            self.found = hashlib.sha256()
        def write(self, data):
            self.found.update(data)

    def plain(value, depth):
        if depth > 6 or isinstance(value, (str, bytes, int, float, complex, bool, type(None))):
            return value
        if type(value) in (list, tuple):
            return [type(value).__name__, *(plain(each, depth + 1) for each in value)]
        if type(value) in (set, frozenset):
            return ["set", *sorted(repr(plain(each, depth + 1)) for each in value)]
        if type(value) is dict:
            return ["dict", *((plain(k, depth + 1), plain(v, depth + 1)) for k, v in value.items())]
        if type(value).__module__ == "__main__" and hasattr(value, "__dict__"):
            return [type(value).__name__, plain(dict(vars(value)), depth + 1)]
        return value

    def digest(value):
        target = Digest()
        pickler = pickle.Pickler(target, 4)
        # Whether two parts are one object is no question of their values.
        pickler.fast = True
        pickler.dump(plain(value, 0))
        return target.found.hexdigest()

    found = {}
    for name, value in names.items():
        if name.startswith("_") or isinstance(value, skipped):
            continue
        try:
            found[name] = digest(value)
        except Exception:
            found[name] = ""
    return found

_digests(dict(globals()))
"""


def digests(session: Session) -> dict[str, str]:
    """Return a digest of what each name of the program holds; empty where it cannot be said."""
    found = look(session, _DIGESTS)
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def names_that_differ(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Return the names that have two digests, in order."""
    return [
        name for name, found in here.items() if found and there.get(name, "") not in ("", found)
    ]


def look(session: Session, text: str) -> Any:
    """Return what a text's last expression is in the worker, beside its program: plain data.

    None where the worker cannot say.
    """
    work = {"text": text, "label": "rpnb", "first_line": 1, "to": "state"}
    run = session.submit(None, scratch={**work, "prelude": [], "files": {}})
    found = None
    try:
        for update in run.watched():
            if isinstance(update, Failed):
                return None
            if isinstance(update, Shown) and (update.encoding or {}).get("kind") == "json":
                found = json.loads(next(iter(update.mimes.values()), b"null"))
    except (LinkLost, ValueError):
        return None
    return found
