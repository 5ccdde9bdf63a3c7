"""What calls and stores do to libraries, and which calls are known to change nothing.

A *resource* is a piece of library or process state. A worker probes the ones in
`RESOURCES` around each step and restores them; `WORLD` stands for all the rest,
which only a new worker undoes. Files are no resource: a fresh process sees them, too.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache

WORLD = "world"
RANDOM = frozenset({"random", "numpy.random", "torch.random"})
OPTIONS = frozenset({"torch.flags", "numpy.options", "pandas.options", "sklearn.options"})
# Read by every step that calls something: a load may depend on any of them.
AMBIENT = frozenset({"environ", "cwd", *OPTIONS, WORLD})
# Read only by steps that name their module: a log level changes no model, and an
# import that worked is not resolved anew because sys.path grew.
QUIET = {"logging": "logging", "warnings": "warnings", "path": "sys"}
RESOURCES = frozenset({"environ", "cwd", *OPTIONS, *RANDOM, *QUIET})

# All that agent/worker_torch.py puts back, and nothing besides.
_TORCH_FLAGS = (
    *("set_default_dtype", "set_default_device", "set_grad_enabled"),
    *("set_num_threads", "set_float32_matmul_precision", "use_deterministic_algorithms"),
    *("set_printoptions", "autograd.set_detect_anomaly"),
    *("backends.fp32_precision", "backends.cudnn", "backends.cuda.matmul"),
    *("backends.opt_einsum", "backends.quantized.engine"),
    *(f"backends.cuda.enable_{kind}_sdp" for kind in ("flash", "mem_efficient", "math", "cudnn")),
)
# What of `warnings` is put back, and what of `logging` is not.
_WARNINGS = "filterwarnings simplefilter resetwarnings filters warn warn_explicit catch_warnings"
_LOGGING = (
    "captureWarnings addLevelName setLogRecordFactory setLoggerClass raiseExceptions lastResort"
)
_TORCH_LIBRARY = (
    "Library custom_op triton_op define impl impl_abstract register_fake register_kernel"
    " register_autograd register_vmap register_torch_dispatch"
)
# Dotted path -> resources. A path covers everything below it, unless a longer one is here.
_WRITES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("os.environ",), frozenset({"environ"})),
    # `os.environ` does not show what these do: nothing can be put back.
    **dict.fromkeys(("os.putenv", "os.unsetenv"), frozenset({WORLD})),
    "urllib.request.install_opener": frozenset({WORLD}),
    **dict.fromkeys(
        tuple(f"torch.library.{name}" for name in _TORCH_LIBRARY.split()), frozenset({WORLD})
    ),
    **dict.fromkeys(("dotenv.load_dotenv",), frozenset({"environ"})),
    **dict.fromkeys(("os.chdir", "os.fchdir"), frozenset({"cwd"})),
    **dict.fromkeys(("sys.path", "site.addsitedir"), frozenset({"path"})),
    **dict.fromkeys(
        tuple(f"warnings.{name}" for name in _WARNINGS.split()), frozenset({"warnings"})
    ),
    **dict.fromkeys(("logging", "transformers.logging"), frozenset({"logging"})),
    **dict.fromkeys(tuple(f"logging.{name}" for name in _LOGGING.split()), frozenset({WORLD})),
    **dict.fromkeys(("transformers.utils.logging", "datasets.logging"), frozenset({"logging"})),
    **dict.fromkeys(("diffusers.logging", "diffusers.utils.logging"), frozenset({"logging"})),
    # To look at a generator is to depend on where it stands, as drawing from it is.
    **dict.fromkeys(("random.seed", "random.setstate", "random.getstate"), frozenset({"random"})),
    **dict.fromkeys(
        tuple(f"numpy.random.{name}" for name in ("seed", "set_state", "get_state")),
        frozenset({"numpy.random"}),
    ),
    **dict.fromkeys(
        (
            *("torch.manual_seed", "torch.seed", "torch.random", "torch.set_rng_state"),
            *("torch.get_rng_state", "torch.initial_seed", "torch.cuda.get_rng_state"),
            *("torch.cuda.manual_seed", "torch.cuda.manual_seed_all"),
        ),
        frozenset({"torch.random"}),
    ),
    **dict.fromkeys(
        (
            *("transformers.set_seed", "accelerate.utils.set_seed"),
            *("lightning.seed_everything", "pytorch_lightning.seed_everything"),
        ),
        RANDOM,
    ),
    **dict.fromkeys(("numpy.set_printoptions", "numpy.seterr"), frozenset({"numpy.options"})),
    **dict.fromkeys(
        ("pandas.set_option", "pandas.reset_option", "pandas.options"),
        frozenset({"pandas.options"}),
    ),
    **dict.fromkeys(("sklearn.set_config",), frozenset({"sklearn.options"})),
    **{f"torch.{name}": frozenset({"torch.flags"}) for name in _TORCH_FLAGS},
}
# Bare calls that leave no library state behind: files, the network, output, memory.
_HARMLESS: dict[str, frozenset[str]] = dict.fromkeys(
    (
        *(f"os.{verb}" for verb in ("makedirs", "mkdir", "remove", "unlink", "rename")),
        *(f"os.{verb}" for verb in ("replace", "rmdir", "removedirs", "symlink", "link")),
        *(f"os.{verb}" for verb in ("utime", "chmod", "system", "popen", "listdir")),
        *("shutil", "pathlib", "tempfile", "glob", "io", "json", "pickle", "subprocess"),
        *("urllib.request", "requests", "httpx", "zipfile", "tarfile", "pprint"),
        *("gc.collect", "gc.freeze", "time.sleep", "time.time", "time.perf_counter"),
        *(f"logging.{level}" for level in ("debug", "info", "warning", "error", "exception")),
        *("logging.critical", "logging.log"),
        *("traceback", "sys.stdout", "sys.stderr", "rich.print", "tqdm", "runpod"),
        *("huggingface_hub.snapshot_download", "huggingface_hub.hf_hub_download"),
        *("nltk.download", "torch.save", "torch.cuda.empty_cache", "torch.cuda.synchronize"),
        *("torch.cuda.ipc_collect", "torch.cuda.reset_peak_memory_stats", "asyncio.run"),
        # One of the program's own, besides torch's: `torch.Generator().manual_seed(1)`.
        *("asyncio.sleep", "torch.Generator"),
    ),
    frozenset(),
)

# Calls that ask for no more of the settings than what stands here.
_ASKING: dict[str, frozenset[str]] = {
    **dict.fromkeys(("os.getenv", "os.environ.get", "os.path.expanduser"), frozenset({"environ"})),
    **dict.fromkeys(
        ("os.makedirs", *(f"os.path.{n}" for n in ("abspath", "realpath", "exists", "isfile"))),
        frozenset({"cwd"}),
    ),
    "torch.cuda.is_available": frozenset({"environ", WORLD}),
    **dict.fromkeys(
        (
            *(f"os.path.{name}" for name in ("join", "basename", "dirname", "splitext")),
            *("pathlib.Path", "random.seed", "numpy.random.seed", "torch.manual_seed"),
            *("torch.cuda.manual_seed", "torch.cuda.manual_seed_all", "torch.device"),
            *("torch.set_num_threads", "torch.set_float32_matmul_precision"),
            *("torch.set_grad_enabled", "torch.set_default_dtype", "transformers.set_seed"),
            *("time.time", "time.perf_counter", "time.monotonic", "logging.getLogger"),
            *("logging.basicConfig", "warnings.filterwarnings", "warnings.simplefilter"),
        ),
        frozenset(),
    ),
}

# What programs import most, for Python 3.9, which does not list its modules itself.
_STANDARD = frozenset(
    {
        *("abc", "argparse", "array", "ast", "asyncio", "atexit", "base64", "binascii", "bisect"),
        *("builtins", "bz2", "calendar", "cmath", "codecs", "collections", "concurrent"),
        *("configparser", "contextlib", "contextvars", "copy", "csv", "ctypes"),
        *("dataclasses", "datetime", "decimal", "difflib", "email", "enum", "errno", "fcntl"),
        *("fnmatch", "fractions", "ftplib", "functools", "gc", "getpass", "glob", "graphlib"),
        *(
            "gzip",
            "hashlib",
            "heapq",
            "hmac",
            "html",
            "http",
            "imghdr",
            "importlib",
            "inspect",
            "io",
        ),
        *("ipaddress", "itertools", "json", "keyword", "linecache", "locale", "logging", "lzma"),
        *("math", "mimetypes", "mmap", "multiprocessing", "numbers", "operator", "os"),
        *("pathlib", "pickle", "pkgutil", "platform", "pprint", "queue", "random", "re"),
        *("resource", "secrets", "select", "selectors", "shelve", "shlex", "shutil", "signal"),
        *("site", "smtplib", "socket", "sqlite3", "ssl", "stat", "statistics", "string", "struct"),
        *("subprocess", "sys", "sysconfig", "tarfile", "tempfile", "textwrap", "threading"),
        *("time", "timeit", "token", "tokenize", "traceback", "types", "typing", "unicodedata"),
        *("unittest", "urllib", "uuid", "warnings", "wave", "weakref", "xml", "zipfile", "zlib"),
        *("zoneinfo"),
    }
)

_VERB = re.compile(
    r"(set_|seed$|manual_seed|register|unregister|patch|enable|disable|init$|initialize|init_|use_"
    r"|configure|config$|login|filterwarnings|simplefilter|basicConfig|setLevel|install"
    r"|load_dotenv|chdir|putenv|apply$)"
)

# Those of them that say what a setting is to be: to say it again changes nothing.
_SETTER = re.compile(
    r"(set_|set[A-Z]|seed$|manual_seed|enable|disable|use$|use_|config|filterwarnings|simplefilter"
    r"|basicConfig|login|init$|init_|initialize|load_dotenv|chdir|putenv)"
)

# Methods of torch's modules that hang something on them.
_HOOKING = re.compile(r"register_(\w+_)?(hook|buffer|parameter|module)$")

# Builtins that change none of their arguments.
PURE_BUILTINS = frozenset(
    {
        *("print", "len", "repr", "str", "int", "float", "bool", "isinstance", "issubclass"),
        *("type", "id", "hash", "callable", "abs", "round", "ord", "chr", "range", "format"),
        *("hex", "bin", "oct", "divmod", "pow"),
    }
)
# Calls that may read and bind any name; the others where they stand in no function or class.
OPAQUE = frozenset({"exec", "eval", "globals"})
OPAQUE_OUTSIDE = frozenset({"locals", "vars", "dir"})
# Methods that change the value they are called on, for sure: what counts in a job.
_MUTATORS = frozenset(
    {
        *("append", "extend", "insert", "remove", "pop", "popitem", "clear", "update"),
        *("setdefault", "add", "discard", "sort", "reverse", "appendleft", "popleft"),
        *("extendleft", "rotate", "put", "put_nowait", "write", "send", "load_state_dict"),
        *("eval", "train", "half", "to", "cuda", "fill"),
    }
)


def is_mutator(method: str) -> bool:
    """Tell whether a method of this name changes what it is called on: torch's `add_`, too."""
    is_in_place = method[-1:] == "_" and method[:1] != "_"
    return is_in_place or method in _MUTATORS or _HOOKING.match(method) is not None


def is_effect_verb(name: str) -> bool:
    """Tell whether a function of this name is called for its effect on its library."""
    return _VERB.match(name) is not None


def asked(path: str) -> frozenset[str]:
    """Return what of the settings a library's call at a dotted path asks for."""
    return _ASKING.get(path, AMBIENT)


def is_setter(name: str) -> bool:
    """Tell whether to call a library's function of this name twice is to call it once."""
    return _SETTER.match(name) is not None


@lru_cache(maxsize=10_000)
def resources(path: str, form: str) -> frozenset[str]:
    """Return the resources that a call or store at a library's dotted `path` writes.

    `form` is `store`, `bare` (a call whose result is dropped), `verb` (a call named
    for its effect), `use` (any other call, which writes only what the table says) or
    `load` (no call).
    """
    if form == "load":
        return frozenset()
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        prefix = ".".join(parts[:end])
        if prefix in _WRITES:
            whole = end == len(parts) or form != "use"
            return _WRITES[prefix] if whole else _methods(parts[end], _WRITES[prefix])
        if prefix in _HARMLESS and form != "store":
            return frozenset()
    return frozenset() if form == "use" else frozenset({WORLD})


def drawn(path: str) -> frozenset[str]:
    """Return the generators that a call of a library's dotted `path` may draw from."""
    found = {name for name in ("random", "numpy.random") if path.startswith(f"{name}.")}
    if re.match(r"torch\.(rand|normal|bernoulli|multinomial)", path):
        found.add("torch.random")
    return frozenset(found)


def _methods(method: str, written: frozenset[str]) -> frozenset[str]:
    """`x = os.environ.get(k)` writes nothing, `x = os.environ.setdefault(k, v)` does."""
    return written if is_mutator(method) or is_effect_verb(method) else frozenset()


def is_standard(module: str) -> bool:
    """Tell whether `module` is of the standard library, as far as this Python knows."""
    known = getattr(sys, "stdlib_module_names", None) or _STANDARD
    return module.split(".", maxsplit=1)[0] in known
