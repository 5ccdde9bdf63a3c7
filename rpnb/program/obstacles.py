"""What cannot travel, or should not, and what to do about it.

Told by the names of classes, as most of their modules are not imported here.
`STAYS` would arrive as something else than it is, if a pickle took it at all.
"""

from __future__ import annotations

import types
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """What an object is, and the remedy."""

    what: str
    remedy: str


_IN_REMOTE = "make it in a remote cell"
_SYNC = Kind("a thread synchronisation object", "create it in a remote cell, where it is used")
_LOCK = Kind("a thread lock", _SYNC.remedy)
_QUEUE = Kind("a queue between threads", _SYNC.remedy)
_POOL = Kind("a pool of workers", f"{_IN_REMOTE}: its threads and processes are this machine's")
_RESULT = Kind("a result that is still to come", "wait for it here and capture what it gives")
_FILE = Kind(
    "an open file",
    "open the file in a remote cell, or capture what it holds: data = file.read()",
)
_ARCHIVE = Kind("an open archive", "open the file in a remote cell")
_TEMPORARY = Kind(
    "a temporary file or folder of this machine",
    f"{_IN_REMOTE}, or capture what it holds",
)
_NETWORK = Kind("a network connection", "connect in a remote cell")
_DATABASE = Kind("a database connection", "connect in a remote cell, or capture the rows")
_CLIENT = Kind("a client of a service, with its credentials", f"{_IN_REMOTE}, where these are")
_PROCESS = Kind("a running process", "start it in a remote cell")
_TIED = Kind("tied to this machine's processes", "create it in a remote cell")
_GENERATOR = Kind("a generator", "keep the function that makes it, or capture list(…) of it")
_COROUTINE = Kind("a coroutine", "await it here and capture the result")
_LOOP = Kind("part of a running event loop", "create it in a remote cell")
_FRAME = Kind("a stack frame", "keep what it says as text: traceback.format_exc()")
_WEAK = Kind("a weak reference", "keep the object itself, or make the reference in a remote cell")
_CONTEXT = Kind("a context variable", f"{_IN_REMOTE}, or capture its value: v.get()")
_MAPPED = Kind("a file mapped into memory", "map it in a remote cell, or capture bytes(…) of it")
_SELECTOR = Kind("a wait for files of this process", _IN_REMOTE)
_POINTER = Kind(
    "a pointer into this process", "load the library in a remote cell, or capture its value"
)
_WIDGET = Kind("a widget of this page", "capture its value: v.value")
_KERNEL = Kind("part of this notebook's kernel", "take from it here what the remote cell needs")
_TEXT_SINK = Kind("a writer into a file", "open the file in a remote cell")

_CANNOT: dict[str, Kind] = {
    **dict.fromkeys(("_thread.lock", "_thread.RLock"), _LOCK),
    **{f"threading.{each}": _SYNC for each in ("Event", "Condition", "Semaphore", "Barrier")},
    "_thread._local": Kind("thread-local data", _SYNC.remedy),
    "threading.Thread": Kind("a thread", "start it in a remote cell"),
    **dict.fromkeys(("queue.Queue", "_queue.SimpleQueue"), _QUEUE),
    **dict.fromkeys(("concurrent.futures._base.Executor", "multiprocessing.pool.Pool"), _POOL),
    **dict.fromkeys(("concurrent.futures._base.Future", "_asyncio.Future"), _RESULT),
    **dict.fromkeys(("zipfile.ZipFile", "tarfile.TarFile"), _ARCHIVE),
    "tempfile._TemporaryFileWrapper": _TEMPORARY,
    "tempfile.SpooledTemporaryFile": _TEMPORARY,
    **dict.fromkeys(("socket.socket", "_socket.socket", "http.client.HTTPConnection"), _NETWORK),
    **dict.fromkeys(("smtplib.SMTP", "ftplib.FTP", "paramiko.transport.Transport"), _NETWORK),
    **dict.fromkeys(("aiohttp.client.ClientSession", "websockets.sync.connection"), _NETWORK),
    "_ssl._SSLContext": Kind("the settings of secure connections", _IN_REMOTE),
    **dict.fromkeys(("sqlite3.Connection", "sqlite3.Cursor"), _DATABASE),
    **dict.fromkeys(("sqlalchemy.engine.base.Engine", "sqlalchemy.orm.session.Session"), _DATABASE),
    **dict.fromkeys(("psycopg2.extensions.connection", "psycopg.Connection"), _DATABASE),
    **dict.fromkeys(("pymysql.connections.Connection", "redis.client.Redis"), _DATABASE),
    **dict.fromkeys(("pymongo.mongo_client.MongoClient", "duckdb.DuckDBPyConnection"), _DATABASE),
    "botocore.client.BaseClient": _CLIENT,
    **dict.fromkeys(("subprocess.Popen", "asyncio.subprocess.Process"), _PROCESS),
    **dict.fromkeys(("builtins.generator", "builtins.async_generator"), _GENERATOR),
    "builtins.coroutine": _COROUTINE,
    "asyncio.events.AbstractEventLoop": _LOOP,
    **dict.fromkeys(("builtins.frame", "builtins.traceback"), _FRAME),
    "multiprocessing.process.BaseProcess": _TIED,
    **dict.fromkeys(("multiprocessing.queues.Queue", "multiprocessing.queues.SimpleQueue"), _TIED),
    **dict.fromkeys(("multiprocessing.synchronize.SemLock", "_multiprocessing.SemLock"), _TIED),
    **dict.fromkeys(("_hashlib.HASH", "_blake2.blake2b", "_blake2.blake2s"), Kind(
        "a hash in progress", "capture its hexdigest()")),
    **dict.fromkeys(("weakref.ReferenceType", "weakref.ProxyType"), _WEAK),
    **{f"weakref.Weak{each}": _WEAK for each in ("ValueDictionary", "KeyDictionary", "Set")},
    **{f"_contextvars.{each}": _CONTEXT for each in ("ContextVar", "Token", "Context")},
    "mmap.mmap": _MAPPED,
    **{f"select.{each}": _SELECTOR for each in ("epoll", "poll", "kqueue")},
    "selectors.BaseSelector": _SELECTOR,
    "logging.Handler": Kind("a log handler", "configure logging in a remote cell"),
    "re.Match": Kind("a match of a pattern", "capture its groups()"),
    **dict.fromkeys(("_csv.writer", "_csv.Writer", "_csv.reader"), _TEXT_SINK),
    "posix.ScandirIterator": Kind("an open folder", "capture os.listdir(…)"),
    "tqdm.std.tqdm": Kind("a progress bar", "make it in a remote cell, where it counts"),
}  # fmt: skip
STAYS: dict[str, Kind] = {
    "_io._IOBase": _FILE,
    # A pickle would write the secrets in it into a file.
    "os._Environ": Kind("this machine's environment", "read os.environ in a remote cell"),
    "multiprocessing.connection._ConnectionBase": _TIED,
    "builtins.memoryview": Kind("a view of other memory", "capture bytes(…) of it"),
    "tempfile.TemporaryDirectory": _TEMPORARY,
    "multiprocessing.shared_memory.SharedMemory": _TIED,
    **dict.fromkeys(("ctypes.CDLL", "_ctypes.CFuncPtr", "_ctypes._Pointer"), _POINTER),
    "ipywidgets.widgets.widget.Widget": _WIDGET,
    "IPython.core.interactiveshell.InteractiveShell": _KERNEL,
    "IPython.core.displayhook.DisplayHook": _KERNEL,
    "ipykernel.kernelbase.Kernel": _KERNEL,
}
# Files that are memory only.
_MEMORY = frozenset({"_io.BytesIO", "_io.StringIO"})


def kind_of(value: Any) -> Kind | None:
    """Return what keeps an object from travelling, None if nothing is known to."""
    if isinstance(value, types.ModuleType):
        return _module(value)
    return _of_class(type(value))


def stays(cls: type) -> bool:
    """Tell whether objects of this class must not be pickled, even where they can be."""
    names = _names(cls)
    return any(name in STAYS for name in names) and not _MEMORY & set(names)


def _of_class(cls: type) -> Kind | None:
    names = _names(cls)
    if _MEMORY & set(names):
        return None
    known = {**_CANNOT, **STAYS}
    return next((known[name] for name in names if name in known), None)


def _names(cls: type) -> list[str]:
    return [f"{each.__module__}.{each.__qualname__}" for each in type.mro(cls)]


def _module(module: types.ModuleType) -> Kind | None:
    """A module that no import can find: made by code, or run as a script."""
    if module.__spec__ is not None or module.__name__ == "__main__":
        return None
    return Kind("a module that was made here, without a file", "write it to a .py file")
