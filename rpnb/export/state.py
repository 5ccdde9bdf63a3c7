"""Which names of a program hold something else in two workers.

A small text runs in each beside the program, as a scratch cell does, and gives a digest
for each name; the values themselves stay where they are. Functions, classes and
modules are not state; what has no digest (a lock, an open file) is not compared.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..errors import LinkLost
from ..session.updates import Failed, Shown

if TYPE_CHECKING:
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


def names_that_differ(session: Session, fresh: Session) -> list[str]:
    """Return the names that both workers have and that hold different values, in order.

    Empty where one of them cannot say.
    """
    here, there = _digests_of(session), _digests_of(fresh)
    return [
        name for name, found in here.items() if found and there.get(name, "") not in ("", found)
    ]


def _digests_of(session: Session) -> dict[str, str]:
    work = {"text": _DIGESTS, "label": "rpnb", "first_line": 1, "to": "state"}
    run = session.submit(None, scratch={**work, "prelude": [], "files": {}})
    found: dict[str, str] = {}
    try:
        for update in run.watched():
            if isinstance(update, Failed):
                return {}
            if isinstance(update, Shown) and (update.encoding or {}).get("kind") == "json":
                read = json.loads(next(iter(update.mimes.values()), b"{}"))
                found = {str(k): str(v) for k, v in read.items()} if isinstance(read, dict) else {}
    except (LinkLost, ValueError):
        return {}
    return found
