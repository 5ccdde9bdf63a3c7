"""Which names of a program hold something else in two workers.

A small text runs in each beside the program, as a scratch cell does, and gives a digest
for each name; the values themselves stay where they are. Of classes and functions what
they keep counts (attributes, defaults, caches); modules are not looked into. What has
no digest (a value that holds itself) is not compared, nor is a lock or an open file in it.
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
    import copyreg, hashlib, pickle, types
    code = (types.FunctionType, types.BuiltinFunctionType, type)

    class Writer:
        def __init__(self):
            self.found = hashlib.sha256()
        def write(self, data):
            self.found.update(data)

    class Digest(pickle.Pickler):
        def reducer_override(self, value):
            if isinstance(value, code) and value.__module__ == "__main__":
                return str, (value.__name__,)
            if isinstance(value, code) or type(value) in copyreg.dispatch_table:
                return NotImplemented
            try:
                return value.__reduce_ex__(4)
            except Exception:
                # A lock, an open file: the rest of what holds it is compared all the same.
                return str, (type(value).__name__,)

    def of_class(value):
        kept = {k: v for k, v in vars(value).items() if k[:2] != "__" and not hasattr(v, "__get__")}
        return [value.__name__, kept]

    def of_function(value):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__name__, value.__defaults__, value.__kwdefaults__, vars(value), cells]

    def plain(value, depth):
        if depth > 6 or isinstance(value, (str, bytes, int, float, complex, bool, type(None))):
            return value
        if type(value) in (list, tuple):
            return [type(value).__name__, *(plain(each, depth + 1) for each in value)]
        if type(value) in (set, frozenset):
            return ["set", *sorted(repr(plain(each, depth + 1)) for each in value)]
        if type(value) is dict:
            return ["dict", *((plain(k, depth + 1), plain(v, depth + 1)) for k, v in value.items())]
        if type(value).__name__ == "_lru_cache_wrapper":
            return [value.__name__, value.cache_info().currsize]
        if isinstance(value, code) and value.__module__ == "__main__":
            return plain(of_class(value) if isinstance(value, type) else of_function(value), depth)
        if type(value).__module__ == "__main__" and hasattr(value, "__dict__"):
            return [type(value).__name__, plain(dict(vars(value)), depth + 1)]
        return value

    def digest(value):
        target = Writer()
        pickler = Digest(target, 4)
        # Whether two parts are one object is no question of their values.
        pickler.fast = True
        pickler.dump(plain(value, 0))
        return target.found.hexdigest()

    found = {}
    for name, value in names.items():
        if name.startswith("__") or isinstance(value, types.ModuleType):
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
