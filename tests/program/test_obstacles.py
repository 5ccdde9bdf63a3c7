"""What cannot travel, or should not: the whole message that each gets, before anything is sent."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path

import pytest

from rpnb.errors import CannotCapture
from rpnb.program import obstacles

ROOT = Path(__file__).parents[2]
SYNC = "create it in a remote cell, where it is used"
FILE = "open the file in a remote cell, or capture what it holds: data = file.read()"
MAKE = "make it in a remote cell"
TAKE = "make it in a remote cell, or take from it here what the remote cell needs"

# The cell that makes `v`; where in it the obstacle is; what it is; the remedy.
TABLE = [
    ("import threading\nv = threading.Lock()", "v", "a thread lock", SYNC),
    ("import threading\nv = {'a': [threading.RLock()]}", "v['a'][0]", "a thread lock", SYNC),
    ("import threading, types\nN = types.SimpleNamespace\nv = N(session=N(lock=threading.Lock()))",
     "v.session.lock", "a thread lock", SYNC),
    ("import threading\nclass A: __slots__ = ('k',)\nv = A()\nv.k = threading.Lock()",
     "v.k", "a thread lock", SYNC),
    ("import threading\ndef make(k):\n    return lambda: k\nv = make(threading.Lock())",
     "v's k", "a thread lock", SYNC),
    ("import threading\ndef make(k):\n    return lambda: k\n"
     "v = make(make({'a': threading.Lock()}))", "v's k's k['a']", "a thread lock", SYNC),
    ("import threading\nclass A: pass\na = A()\na.lock = threading.Lock()\n"
     "A.m = lambda self: 1\nv = a.m\ndel a", "v.__self__.lock", "a thread lock", SYNC),
    ("import threading, functools\nv = functools.partial(print, threading.Lock())",
     "v.args[0]", "a thread lock", SYNC),
    ("import threading, functools\nv = functools.partial(print, sep=threading.Lock())",
     "v.keywords['sep']", "a thread lock", SYNC),
    ("import threading\nv = threading.Event()", "v", "a thread synchronisation object", SYNC),
    ("import threading\nv = {1: threading.Condition()}", "v[1]",
     "a thread synchronisation object", SYNC),
    ("import threading\nv = threading.local()", "v", "thread-local data", SYNC),
    ("import threading\nv = threading.Thread()", "v", "a thread", "start it in a remote cell"),
    ("import queue\nv = queue.Queue()", "v", "a queue between threads", SYNC),
    ("import queue\nv = queue.SimpleQueue()", "v", "a queue between threads", SYNC),
    ("from concurrent.futures import ThreadPoolExecutor\nv = ThreadPoolExecutor(1)", "v",
     "a pool of workers", f"{MAKE}: its threads and processes are this machine's"),
    ("from concurrent.futures import Future\nv = Future()", "v", "a result that is still to come",
     "wait for it here and capture what it gives"),
    ("v = open('/dev/null')", "v", "an open file", FILE),
    ("v = {'log': open('/dev/null', 'rb')}", "v['log']", "an open file", FILE),
    ("import sys\nv = [sys.stdout]", "v[0]", "an open file", FILE),
    ("v = map(str, open('/dev/null'))", "v's TextIOWrapper", "an open file", FILE),
    ("import os\nv = os.scandir('/')", "v", "an open folder", "capture os.listdir(…)"),
    ("import zipfile, io\nv = zipfile.ZipFile(io.BytesIO(), 'w')", "v", "an open archive",
     "open the file in a remote cell"),
    ("import csv, io\nv = csv.writer(io.StringIO())", "v", "a writer into a file",
     "open the file in a remote cell"),
    ("import tempfile\nv = tempfile.NamedTemporaryFile()", "v",
     "a temporary file or folder of this machine", f"{MAKE}, or capture what it holds"),
    ("import tempfile\nv = tempfile.TemporaryDirectory()", "v",
     "a temporary file or folder of this machine", f"{MAKE}, or capture what it holds"),
    ("import socket\nv = socket.socket()", "v", "a network connection",
     "connect in a remote cell"),
    ("import http.client, socket\nv = {'api': http.client.HTTPConnection('h')}\n"
     "v['api'].sock = socket.socket()", "v['api']",
     "a network connection", "connect in a remote cell"),
    ("import ssl\nv = ssl.create_default_context()", "v", "the settings of secure connections",
     MAKE),
    ("import sqlite3\nv = sqlite3.connect(':memory:')", "v", "a database connection",
     "connect in a remote cell, or capture the rows"),
    ("import sqlite3\nv = sqlite3.connect(':memory:').cursor()", "v", "a database connection",
     "connect in a remote cell, or capture the rows"),
    ("import subprocess\nv = subprocess.Popen(['true'])\n_ = v.wait()", "v", "a running process",
     "start it in a remote cell"),
    ("v = (i for i in [1])", "v", "a generator",
     "keep the function that makes it, or capture list(…) of it"),
    ("async def many():\n    yield 1\nv = [many()]", "v[0]", "a generator",
     "keep the function that makes it, or capture list(…) of it"),
    ("async def one(): pass\nv = one()", "v", "a coroutine",
     "await it here and capture the result"),
    ("import asyncio\nv = asyncio.new_event_loop()", "v", "part of a running event loop",
     "create it in a remote cell"),
    ("import sys\nv = sys._getframe()", "v", "a stack frame",
     "keep what it says as text: traceback.format_exc()"),
    ("try:\n    1 / 0\nexcept Exception as e:\n    v = {'tb': e.__traceback__}", "v['tb']",
     "a stack frame", "keep what it says as text: traceback.format_exc()"),
    ("v = memoryview(b'abc')", "v", "a view of other memory", "capture bytes(…) of it"),
    ("import weakref\nclass A: pass\na = A()\nv = [weakref.ref(a)]", "v[0]", "a weak reference",
     "keep the object itself, or make the reference in a remote cell"),
    ("import weakref\nv = weakref.WeakValueDictionary()", "v", "a weak reference",
     "keep the object itself, or make the reference in a remote cell"),
    ("import contextvars\nv = contextvars.ContextVar('v')", "v", "a context variable",
     f"{MAKE}, or capture its value: v.get()"),
    ("import contextvars\nv = contextvars.ContextVar('v').set(1)", "v", "a context variable",
     f"{MAKE}, or capture its value: v.get()"),
    ("import mmap\nv = mmap.mmap(-1, 10)", "v", "a file mapped into memory",
     "map it in a remote cell, or capture bytes(…) of it"),
    ("import hashlib\nv = hashlib.sha256()", "v", "a hash in progress", "capture its hexdigest()"),
    ("import re\nv = re.match('a', 'a')", "v", "a match of a pattern", "capture its groups()"),
    ("import select\nv = select.poll()", "v", "a wait for files of this process", MAKE),
    ("import multiprocessing\nv = multiprocessing.Lock()", "v", "tied to this machine's processes",
     "create it in a remote cell"),
    ("import multiprocessing\nv = multiprocessing.Process()", "v",
     "tied to this machine's processes", "create it in a remote cell"),
    ("from multiprocessing import shared_memory\nv = shared_memory.SharedMemory(create=True, "
     "size=9)\nv.unlink()", "v", "tied to this machine's processes", "create it in a remote cell"),
    ("import multiprocessing\nv = {'end': multiprocessing.Pipe()[0]}", "v['end']",
     "tied to this machine's processes", "create it in a remote cell"),
    ("import ctypes\nv = ctypes.CDLL(None)", "v", "a pointer into this process",
     "load the library in a remote cell, or capture its value"),
    ("import ctypes\nv = [ctypes.pointer(ctypes.c_int(3))]", "v[0]",
     "a pointer into this process", "load the library in a remote cell, or capture its value"),
    ("import logging\nv = logging.StreamHandler()", "v", "a log handler",
     "configure logging in a remote cell"),
    ("import types\nv = types.ModuleType('made_here')", "v",
     "a module that was made here, without a file", "write it to a .py file"),
    ("v = get_ipython()", "v", "part of this notebook's kernel",
     "take from it here what the remote cell needs"),
    ("import ipywidgets\nv = {'steps': ipywidgets.IntSlider()}", "v['steps']",
     "a widget of this page", "capture its value: v.value"),
    ("import tqdm\nv = tqdm.tqdm([1], file=open('/dev/null', 'w'))", "v", "a progress bar",
     "make it in a remote cell, where it counts"),
    ("import boto3\nv = boto3.client('s3', region_name='x-1')", "v",
     "a client of a service, with its credentials", f"{MAKE}, where these are"),
    ("import threading, pydantic\nclass A(pydantic.BaseModel):\n    k: object\n"
     "v = {'cfg': A(k=threading.Lock())}", "v['cfg'].k", "a thread lock", SYNC),
    ("import threading, numpy as np\nv = {'a': np.array([[1, threading.Lock()]])}",
     "v['a'][0, 1]", "a thread lock", SYNC),
    ("import threading, pandas as pd\nv = pd.DataFrame({'n': [1, 2], 'k': [0, threading.Lock()]})",
     "v['k'].iloc[1]", "a thread lock", SYNC),
    # Nothing is known of these beforehand: the innermost part that fails is named.
    ("import struct\nv = {'head': [1, struct.Struct('<I')]}", "v['head'][1]",
     "of the kind _struct.Struct (cannot pickle '_struct.Struct' object)", TAKE),
    ("class A:\n    def __reduce__(self): raise RuntimeError('no way')\nv = {'x': [A()]}",
     "v['x'][0]", "of the kind A (RuntimeError: no way)", TAKE),
    ("class A:\n    def __getstate__(self): raise KeyError('k')\nv = (1, A())",
     "v[1]", "of the kind A (KeyError: 'k')", TAKE),
]  # fmt: skip


@pytest.fixture(autouse=True)
def quiet():
    """The cells leave things open on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        gc.collect()


@pytest.mark.parametrize(("text", "path", "what", "remedy"), TABLE)
def test_what_cannot_travel_is_named_with_its_path_its_cell_and_the_remedy(
    notebook, text, path, what, remedy
):
    notebook.cell(text)
    notebook.setup("import os\nx = v")
    with pytest.raises(CannotCapture) as raised:
        notebook.build()
    assert str(raised.value) == (
        f"`v` cannot travel to the target: `{path}` is {what}. Remedy: {remedy}\n"
        "  cell 2, line 3 uses it."
    )


def test_every_obstacle_inside_a_value_is_said_at_once(notebook):
    notebook.cell("import threading, re\nv = {'a': threading.Lock(), 'b': re.match('', '')}")
    notebook.setup("x = v")
    with pytest.raises(CannotCapture) as raised:
        notebook.build()
    assert "`v['a']` is a thread lock, `v['b']` is a match of a pattern" in str(raised.value)
    assert f"Remedy: {SYNC}; capture its groups()" in str(raised.value)


def test_every_value_that_cannot_travel_is_said_at_once(notebook):
    notebook.cell(
        "import threading\na = threading.Lock()\nb = (i for i in [1])\nc = open('/dev/null')"
    )
    notebook.setup("x = a\ny = b")
    notebook.handler("def handler(job):\n    return c")
    with pytest.raises(CannotCapture) as raised:
        notebook.build()
    said = str(raised.value)
    assert said.startswith("3 problems, nothing was sent:")
    assert [each for each in ("cell 2, line 2", "cell 2, line 3", "cell 3, line 3") if each in said]


def test_value_nested_too_deeply_is_a_sentence(notebook):
    notebook.cell("v = []\nfor _ in range(100_000): v = [v]")
    notebook.setup("x = v")
    with pytest.raises(CannotCapture, match="`v` is nested too deeply to travel. Remedy: build it"):
        notebook.build()
    # Taken apart by hand: Python itself would recurse as deeply.
    v = notebook.shell.user_ns.pop("v")
    notebook.shell.reset()
    while v:
        v = v.pop()


def test_function_over_something_that_cannot_travel_names_the_function(notebook):
    notebook.cell("import threading\nlock = threading.Lock()\ndef f():\n    return lock.locked()")
    notebook.setup("x = f()")
    with pytest.raises(CannotCapture, match=r"`lock` is a thread lock(?s:.*)\(through `f`\)"):
        notebook.build()


def test_attributes_that_raise_are_no_crash(notebook):
    notebook.cell("class A:\n    def __getattr__(self, name): raise RuntimeError(name)\nv = [A()]")
    notebook.setup("x = len(v)")
    assert notebook.remote_value("x") == 1


def test_what_a_class_leaves_out_of_its_state_is_no_obstacle(notebook):
    notebook.cell(
        "import threading\nclass A:\n    n = 3\n"
        "    def __init__(self): self.lock = threading.Lock()\n"
        "    def __getstate__(self): return {'m': 1}\nv = A()"
    )
    notebook.setup("x = v.n")
    assert notebook.remote_value("x") == 3


def test_logger_with_handlers_travels_by_name_and_says_so(notebook):
    notebook.cell("import logging\nv = logging.getLogger('q')\nv.addHandler(logging.NullHandler())")
    notebook.setup("x = v.name")
    program = notebook.build()
    assert "v = logging.getLogger('q')" in program.text
    assert "`v` has its handlers and level here only: configure logging in a remote cell" in (
        program.notes
    )


def test_code_object_counts_as_bytecode(notebook):
    notebook.cell("v = {'c': [compile('1 + 1', 'x', 'eval')]}")
    notebook.setup("x = eval(v['c'][0])")
    [captured] = [each for each in notebook.build().captures if each.name == "v"]
    assert captured.bytecode == "v['c'][0]"


def test_documents_list_every_kind():
    text = (ROOT / "docs/capture.md").read_text(encoding="utf-8")
    kinds = {*obstacles._CANNOT.values(), *obstacles.STAYS.values()}
    assert [kind for kind in kinds if f"| {kind.what} | {kind.remedy} |" not in text] == []


def test_object_that_raises_whatever_one_asks_is_a_sentence(notebook):
    notebook.cell(
        "class Proxy:\n    @property\n"
        "    def __class__(self): raise RuntimeError('outside a request')\n"
        "v = Proxy()"
    )
    notebook.setup("x = v")
    with pytest.raises(CannotCapture, match="`v` cannot travel.* RuntimeError: outside a request"):
        notebook.build()
