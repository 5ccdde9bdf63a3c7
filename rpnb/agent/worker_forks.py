"""Pools of processes that a program keeps: each process is a copy of it, as it was then.

The functions and globals that an edit changes stay in these copies what they were. What a
library starts for itself (an engine's core) runs none of the program's code.
"""

from __future__ import annotations

import itertools
import sys
import threading
from typing import Any, Iterable, Iterator, Mapping

from ..planner.holdings import attributes, held
from ..planner.kinds import PROGRAM
from .worker_running import GRACE, end


def holders(namespace: Mapping[str, Any]) -> frozenset[str]:
    """Return the names whose values lead to processes that were forked off and run."""
    every = {name: value for name, value in namespace.items() if not name.startswith("__")}
    return frozenset(name for name, value in every.items() if any(_forked(value)))


def stop(values: Iterable[Any]) -> None:
    """End the processes to which these values lead, before anybody kills them.

    A pool whose process was killed waits for ever when it is let go, for a lock that this one held.
    """
    for each, pids in (found for value in values for found in _forked(value)):
        # Its work may not end: then that is killed.
        ending = threading.Thread(target=_end, args=[each], daemon=True)
        ending.start()
        ending.join(GRACE)
        end(pids)


def _forked(value: Any) -> Iterator[tuple[Any, list[int]]]:
    """Yield what a value leads to that has processes, with these."""
    if "multiprocessing" in sys.modules:
        for each in itertools.chain([value], held(value, _own)):
            pids = _pids(each)
            if pids:
                yield each, pids


def _own(value: Any) -> Iterable[Any]:
    """Return what containers and objects of the program's hold: a library's are its own affair."""
    is_library = type(value).__module__ not in (PROGRAM, "types", "collections", "builtins")
    return () if is_library or isinstance(value, type) else attributes(value)


def _pids(value: Any) -> list[int]:
    """Return the processes of a pool, an executor or a process object, if it is one."""
    sort = (type(value).__module__, type(value).__name__)
    if sort == ("concurrent.futures.process", "ProcessPoolExecutor"):
        # It forks when it is first asked to do something.
        return list(value._processes or ())
    if sort == ("multiprocessing.pool", "Pool"):
        return [each.pid for each in value._pool]
    # By its class: what a proxy says it is, its own code says.
    is_process = issubclass(type(value), sys.modules["multiprocessing.process"].BaseProcess)
    return [value.pid] if is_process and value.pid is not None and value.is_alive() else []


def _end(value: Any) -> None:
    if hasattr(value, "shutdown"):
        value.shutdown(cancel_futures=True)
    else:
        value.terminate()
