"""Series of edits that were stale once, each in its smallest form: random edits found them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest

from tests.planner import captured
from tests.planner.differential import difference, there_and_back
from tests.planner.stage import Stage
from tests.planner.version import Version

_START = "import runpod; runpod.serverless.start({'handler': handler})"
_HANDLER = "def handler(job):\n    return "
_LOAD = "import modelkit\nm = modelkit.LOAD(1)"

_SINGLE = (
    "class Single(type):\n    made = {}\n    def __call__(cls, *a):\n"
    "        if cls not in cls.made: cls.made[cls] = super().__call__(*a)\n"
    "        return cls.made[cls]\n"
    "class M(metaclass=Single):\n    def __init__(self, n): self.n = n\n"
)
_COUNTED = (
    "class Meta(type):\n    seen = []\n    def __new__(m, n, b, d):\n        m.seen.append(n)\n"
    "        return super().__new__(m, n, b, d)\nclass B(metaclass=Meta): pass\n"
)
_LAZY = (
    "class Lazy:\n    m = None\n    @property\n    def model(self):\n"
    "        self.m = self.m or [1]\n        return self.m\n"
)
_PATCH = "import json\ndef patch(cls):\n    cls.tag = 1\n"
_TAGGED = "x = hasattr(json.JSONEncoder, 'tag')"
_QUOTED = (
    "from typing import Optional\nfrom pydantic import BaseModel\n"
    "class B(BaseModel):\n    y: int = {}\nclass A(BaseModel):\n    b: {} = None\n"
)
_CHOICE = "from pydantic import BaseModel\nC = {}\nclass A(BaseModel):\n    c: 'C' = 1\n"
_ARRAYS = "import numpy\na = numpy.zeros(4)\nb = numpy.ones((2, 4))\n"
# About -> texts that follow each other.
TEXTS = {
    "exec keeps the module's own names": ["x = 1\ny = eval('x')", "name = __file__[-10:]"],
    "a star import's functions are the library's": [
        "from setterkit import *\nset_mode(2)", _LOAD],
    "a library under another name": ["import modelkit\nk = modelkit\nk.seed = 3", _LOAD],
    "a library by its name": ["__import__('modelkit').CONF['v'] = 2", _LOAD],
    "a library in sys.modules": [
        "import sys, modelkit\nsys.modules['modelkit'].seed = 2", _LOAD],
    "a library's attribute set by name": ["import modelkit\nsetattr(modelkit, 'seed', 2)", _LOAD],
    "the switch that turns all logs off": ["import logging\nlogging.disable(1)", "import logging"],
    "the program's names through a function": [
        "b = [1]\ndef g(): pass\nb = [1]", "b = [1]\ndef g(): pass\nc = g.__globals__['b']\nb = [1]"],
    "a call in an annotation": ["d = [1]\ndef g(v: d.append(3)): pass", "d = [1]"],
    "an annotation without a value": ["x: int", ""],
    "who counts the annotations": ["x: int = 1", "y = len(__annotations__)\nx: int = 1"],
    "who asks for annotations where there are none": [
        "x = sorted(__annotations__)", "y: int\nx = sorted(__annotations__)"],
    "a default that is the function itself": [
        "def f(v=1): pass\nf.__defaults__ = (f,)", "def f(v=1): pass\nf.__defaults__ = (f,)\nx = 1"],
    "a record that holds itself": [
        "from dataclasses import dataclass\n@dataclass\nclass D:\n    v: object = 1\nd = D()\nd.v = d",
        "from dataclasses import dataclass\n@dataclass\nclass D:\n    v: object = 1\nd = D()"],
    "the docstring": ["'one'\nx = __doc__", "'two'\nx = __doc__", "x = __doc__"],
    "no docstring below another line": ["'one'\nx = 1", "import os\n'one'\nx = __doc__"],
    "annotations made lazy": [
        "class K: pass\nclass C:\n    q: K", "from __future__ import annotations\nclass K: pass\n"
        "class C:\n    q: K"],
    "a look at a random generator above its seed": [
        "import random\nrandom.seed(2)", "import random\na = random.getstate()\nrandom.seed(2)"],
    "a global statement below the name's use": ["y = 2", "y = 2\nglobal y; y = 3"],
    "lines of what a function returned": [
        "x = 1\ndef f(): return lambda: 1\na = [f()]", "def f(): return lambda: 1\na = [f()]"],
    "a function changed under another name": [
        "def f(): pass\nh = f\nh.__name__ = 'g'", "def f(): pass"],
    "a class changed under another name": ["class C: n = 1\nh = C\nh.n = 2", "class C: n = 1"],
    "a class changed by a function": [
        "class C:\n    def f(self): pass\ndef g(c): c.f = None\ng(C)",
        "class C:\n    def f(self): pass\ndef g(c): c.f = None"],
    "a class changed through an object": [
        "class C: n = 1\no = C()\ntype(o).n = 2", "class C: n = 1\no = C()"],
    "a method changed in place": [
        "class C:\n    def f(self): pass\nC().f.__func__.__defaults__ = (1,)",
        "class C:\n    def f(self): pass"],
    "lines of a function under another name": [
        "def f(): pass\nh = f\ndef f(): return 1", "# one more\ndef f(): pass\nh = f\ndef f(): return 1"],
    "lines of two equal functions": [
        "def f(): pass\ng = f\ndef f(): pass", "\n\ndef f(): pass\ng = f\ndef f(): pass"],
    "lines below a lazy import": [
        "class C:\n    def f(self): pass",
        "from __future__ import annotations\nclass C:\n    def f(self): pass"],
    "a metaclass that keeps what it made": [
        f"{_SINGLE}x = M('a').n", f"{_SINGLE}x = M('b').n"],
    "a metaclass that counts its classes": [
        f"{_COUNTED}class M(B): pass\nx = list(Meta.seen)", f"{_COUNTED}x = list(Meta.seen)"],
    "a property of an object in a dictionary": [
        f"{_LAZY}r = {{'a': Lazy()}}\nprint(r['a'].model)\nx = r['a'].m", f"{_LAZY}r = {{'a': Lazy()}}\nx = r['a'].m"],
    "a property of an object that came into a list": [
        f"{_LAZY}r = []\nr.append([Lazy()])\nprint(r[0][0].model)\nx = r[0][0].m",
        f"{_LAZY}r = []\nr.append([Lazy()])\nx = r[0][0].m"],
    "an iterator in a dictionary": [
        "g = {'i': iter([1, 2, 3])}\nfor v in g['i']: break\nx = list(g['i'])", "g = {'i': iter([1, 2, 3])}\nx = list(g['i'])"],
    "an iterator in a namespace": [
        "import types\ng = types.SimpleNamespace(i=iter([1, 2, 3]))\ny = 2 in g.i\nx = list(g.i)",
        "import types\ng = types.SimpleNamespace(i=iter([1, 2, 3]))\nx = list(g.i)"],
    "a default that comes when it is asked for": [
        "import collections\nd = {'q': collections.defaultdict(list)}\nprint(d['q']['a'])\nx = len(d['q'])",
        "import collections\nd = {'q': collections.defaultdict(list)}\nx = len(d['q'])"],
    "a helper that stores into a library's class": [f"{_PATCH}patch(json.JSONEncoder)\n{_TAGGED}", f"{_PATCH}{_TAGGED}"],
    "a helper's helper that stores into a library": [
        f"{_PATCH}def both(a, c=None): patch(c)\nboth(1, c=json.JSONEncoder)\n{_TAGGED}",
        f"{_PATCH}def both(a, c=None): patch(c)\n{_TAGGED}"],
    "a function that hands a library over": [
        f"{_PATCH}def both(): patch(json.JSONEncoder)\nboth()\n{_TAGGED}", f"{_PATCH}def both(): patch(json.JSONEncoder)\n{_TAGGED}"],
    "a decorator that stores into a library": [
        f"import json\ndef patched(c):\n    def deco(f):\n        c.tag = f\n        return f\n    return deco\n@patched(json.JSONEncoder)\ndef f(): pass\n{_TAGGED}",
        f"import json\ndef patched(c):\n    def deco(f):\n        c.tag = f\n        return f\n    return deco\n{_TAGGED}"],
    "a loop that stores into a library": [
        f"import json\nfor c in (json.JSONEncoder,):\n    c.tag = 1\n{_TAGGED}", f"import json\n{_TAGGED}"],
    "the names of a library": ["import json\nvars(json.JSONEncoder)\nvars(json)['tag'] = 1\nx = hasattr(json, 'tag')", "import json\nx = hasattr(json, 'tag')"],
    "the class of a library's object": [
        f"import json\ne = json.JSONEncoder()\ntype(e).tag = 1\n{_TAGGED}", f"import json\ne = json.JSONEncoder()\n{_TAGGED}"],
    "what a pattern captured": [
        "q = [3, 1]\ndef h():\n    match q:\n        case r: r.sort()\nh()\nx = q[0]",
        "q = [3, 1]\ndef h():\n    match q:\n        case r: r.sort()\nx = q[0]"],
    "a part that a pattern captured": [
        "q = {'a': [3, 1]}\ndef h():\n    match q:\n        case {'a': [*r, 1] as s}: s.sort()\nh()\nx = q['a'][0]",
        "q = {'a': [3, 1]}\ndef h():\n    match q:\n        case {'a': [*r, 1] as s}: s.sort()\nx = q['a'][0]"],
    "a sum into another array": [f"{_ARRAYS}b.sum(axis=0, out=a)\nx = a.sum()", f"{_ARRAYS}x = a.sum()"],
    "a class in a quoted annotation": [
        _QUOTED.format(n, "Optional['B']") + "x = A(b={}).b.y" for n in (1, 2)],
    "a class in a quoted type": [
        _QUOTED.format(n, "'Optional[B]'") + "x = A(b={}).b.y" for n in (1, 2)],
    "a choice in a quoted annotation": [
        f"{_CHOICE.format('int')}x = A(c='1').c", f"{_CHOICE.format('str')}x = A(c='1').c"],
    "the garbage collector": ["import gc\ngc.disable()\nx = gc.isenabled()", "import gc\nx = gc.isenabled()"],
    "how warnings are shown": ["import warnings\nwarnings.showwarning = print\nx = warnings.showwarning is print", "import warnings\nx = warnings.showwarning is print"],
    "warnings as log lines": ["import logging, warnings\nlogging.captureWarnings(True)\nx = warnings.showwarning.__name__", "import logging, warnings\nx = warnings.showwarning.__name__"],
    "the name of a level": ["import logging\nlogging.addLevelName(5, 'X')\nx = logging.getLevelName(5)", "import logging\nx = logging.getLevelName(5)"],
}  # fmt: skip

_X = "x = {}\n"
# About -> a program that serves a job, `x` by turns another one in it.
JOBS = {
    "a helper that stores where it is told": (
        "CACHE = {}\ndef keep(c, k, v):\n    c[k] = v\n    return v\n"
        + _HANDLER + "CACHE.get(1) or keep(CACHE, 1, x)\n" + _START),
    "a helper that stores what it is given": (
        "CACHE = {}\ndef store(k, v):\n    CACHE[k] = v\n"
        "def handler(job):\n    if 1 not in CACHE:\n        store(1, x)\n    return CACHE[1]\n" + _START),
    "a default": (
        "def handler(job, kept={}):\n    return kept.setdefault(1, x)\n" + _START),
    "a closure": (
        "def make():\n    kept = {}\n    def inner():\n        if 1 not in kept:\n"
        "            kept[1] = f()\n        return kept[1]\n    return inner\n"
        "closed = make()\ndef f():\n    return x\n" + _HANDLER + "closed()\n" + _START),
    "a counter of a closure": (
        "def make():\n    kept = None\n    def inner():\n        nonlocal kept\n"
        "        kept = kept or f()\n        return kept\n    return inner\n"
        "closed = make()\ndef f():\n    return x\n" + _HANDLER + "closed()\n" + _START),
    "an attribute of an object": (
        "class P:\n    def __init__(self):\n        self.c = {}\n    def go(self, job):\n"
        "        return self.c.setdefault(1, f())\np = P()\ndef f():\n    return x\n"
        "import runpod; runpod.serverless.start({'handler': p.go})"),
    "an object that is called": (
        "class P:\n    c = None\n    def __call__(self, job):\n        self.c = self.c or f()\n"
        "        return self.c\np = P()\ndef f():\n    return x\n" + _HANDLER + "p(job)\n" + _START),
    "a class that is the handler": (
        "class handler:\n    kept = {}\n    def __new__(cls, job):\n"
        "        return cls.kept.setdefault(1, f())\ndef f():\n    return x\n" + _START),
    "a name that no text shows": (
        "def get():\n    return globals().setdefault('M2', x)\n" + _HANDLER + "get()\n" + _START),
    "a handler without a name": (
        "CACHE = {}\ndef f():\n    return CACHE.setdefault(1, x)\n"
        "import runpod; runpod.serverless.start({'handler': lambda job: f()})"),
    "a handler with some arguments given": (
        "import functools\nCACHE = {}\ndef f(a, job):\n    return CACHE.setdefault(1, x)\n"
        "import runpod; runpod.serverless.start({'handler': functools.partial(f, 1)})"),
    "a cache that a function returns": (
        "CACHE = {}\ndef cache():\n    return CACHE\ndef handler(job):\n    c = cache()\n"
        "    if 1 not in c:\n        c[1] = x\n    return c[1]\n" + _START),
    "a function with a cache": (
        "import functools\nx = [x]\n@functools.lru_cache\ndef f(v):\n    return x[0]\n"
        "x = x[:]\n" + _HANDLER + "f(1)\n" + _START),
    "a method with a cache": (
        "import functools\nclass C:\n    @functools.lru_cache\n    def f(v):\n        return x\n"
        + _HANDLER + "C.f(1)\n" + _START),
    "a lazy global that an argument chooses": (
        "M = None\ndef get(name):\n    global M\n    M = M or [name]\n    return M\n"
        + _HANDLER + "get(x)\n" + _START),
}  # fmt: skip

_KEPT = "N = {!r}\ndef f(): return [N]\n"
_LAZY = "_m = None\ndef get(n):\n    global _m\n    if _m is None: _m = [n]\n    return _m"
_SVC = "class Svc:\n    m = None\n    def get(self, f):\n        if self.m is None: self.m = f()\n        return self.m"
_LM = "import lm\n"
# How a job keeps what it made, where no text shows it: set-up, what the handler does, `lm.py`.
KEPT = {
    "a module's lazy global": (_LM, "return lm.get(N)", _LAZY),
    "a module's function under another name": ("from lm import get as g", "return g(N)", _LAZY),
    "a module that the handler imports": ("", "import lm\nreturn lm.get(N)", _LAZY),
    "a module's attribute": (_LM, "if lm.M is None: lm.M = f()\nreturn lm.M", "M = None"),
    "a module's dictionary": (_LM, "if not lm.C: lm.C['m'] = f()\nreturn lm.C['m']", "C = {}"),
    "a module's cache by name": (_LM, "return lm.cached('m', f)", "C = {}\ndef cached(k, f):\n    if k not in C: C[k] = f()\n    return C[k]"),
    "an object of a module's class": ("from lm import Svc\ns = Svc()", "return s.get(f)", _SVC),
    "a module's object": (_LM, "return lm.s.get(f)", _SVC + "\ns = Svc()"),
    "a module's default": (_LM, "return lm.get(N)", "def get(n, c=[]):\n    c.append(n)\n    return c[0]"),
    "a module's closure": (_LM, "return lm.get(f)", "def make():\n    c = []\n    def get(f):\n        if not c: c.append(f())\n        return c[0]\n    return get\nget = make()"),
    "a module's function with a cache": (_LM, "return lm.get(f)", "import functools\n@functools.lru_cache\ndef one(): return []\ndef get(f):\n    if not one(): one().append(f())\n    return one()[0]"),
    "what a thread has of its own": (_LM, "return lm.get(f)", "import threading\nT = threading.local()\ndef get(f):\n    if not hasattr(T, 'm'): T.m = f()\n    return T.m"),
    "a class's dictionary": ("class S:\n    items = {}\n    def get(self):\n        if 'm' not in self.items: self.items['m'] = f()\n        return self.items['m']", "return S().get()", ""),
    "a class, through its object": ("class S:\n    m = None\n    def get(self):\n        if self.m is None: type(self).m = f()\n        return self.m\ns = S()", "return s.get()", ""),
    "a context variable": ("import contextvars\nV = contextvars.ContextVar('V', default=None)", "if V.get() is None: V.set(f())\nreturn V.get()", ""),
    "what a pattern names": ("C = {}", "match C:\n    case {1: v}: return v\n    case c: c[1] = f()\nreturn C[1]", ""),
    "a bound method": ("C = []\nadd = C.append", "if not C: add(f())\nreturn C[0]", ""),
    "a method handed on": ("C = []", "if not C: list(map(C.append, [f()]))\nreturn C[0]", ""),
    "a callback": ("C = []\nCB = [lambda v: C.append(v)]", "if not C:\n    for cb in CB: cb(f())\nreturn C[0]", ""),
    "arguments by place": ("C = []\ndef put(*a): a[0].append(a[1])", "if not C: put(C, f())\nreturn C[0]", ""),
    "arguments by name": ("C = {}\ndef put(**k): k['c'][1] = k['v']", "if not C: put(c=C, v=f())\nreturn C[1]", ""),
    "an object's dictionary": ("class S: m = None\ns = S()", "if s.m is None: vars(s)['m'] = f()\nreturn s.m", ""),
    "an attribute set by object": ("class S: m = None\ns = S()", "if s.m is None: object.__setattr__(s, 'm', f())\nreturn s.m", ""),
    "a library's function that stores": ("import heapq\nC = []", "if not C: heapq.heappush(C, f())\nreturn C[0]", ""),
    "a class's method on an object": ("C = {}", "if not C: dict.__setitem__(C, 1, f())\nreturn C[1]", ""),
}  # fmt: skip
# The same with what says under which key: an edit of the handler leaves it there.
_LOADS = "import modelkit\n"
STAYS = {
    "a module's lazy global": ("lm.get()", _LOADS + "_m = None\ndef get():\n    global _m\n    if _m is None: _m = modelkit.LOAD(1)\n    return _m"),
    "a module's lazy global of a constant": ("lm.get('a')", _LOADS + _LAZY.replace("[n]", "modelkit.LOAD(n)")),
    "a module's cache": ("lm.get(N)", _LOADS + "C = {}\ndef get(n):\n    if n not in C: C[n] = modelkit.LOAD(n)\n    return C[n]"),
    "a module's function with a cache": ("lm.get(N)", _LOADS + "import functools\n@functools.lru_cache\ndef get(n): return modelkit.LOAD(n)"),
}  # fmt: skip

# About -> what a job does, and a line that is added below the handler afterwards.
RESOURCES = {
    "the working directory": ("os.chdir('/')", "where = os.getcwd()"),
    "the environment": ("os.environ['RPNB_A'] = '1'", "a = os.environ.get('RPNB_A')"),
    "random numbers": ("random.random()", "y = random.random()"),
    "a log level": ("logging.getLogger('a').setLevel(9)", "n = logging.getLogger('a').level"),
    "an object of the program": ("setattr(box, 'full', 1)", "n = vars(box)"),
}

# ruff: noqa: E501 - a file's whole text is one line here
_P = "class P:\n    def get(self): return RATE\n    def set(self): self.f = self.get\n    def gen(self):\n        yield RATE\n    async def go(self): return RATE\n    def make(self): return lambda: RATE\np = P()\n"
_LATER = {
    "bound": ("f = p.get", "x = f()"),
    "in a dictionary": ("f = {'g': p.get}", "x = f['g']()"),
    "some arguments given": ("import functools\nf = functools.partial(p.get)", "x = f()"),
    "mapped": ("f = map(lambda g: g(), [p.get])", "x = list(f)"),
    "of the class": ("f = P.get", "x = f(p)"),
    "kept by another method": ("p.set()", "x = p.f()"),
    "a generator": ("f = p.gen()", "x = list(f)"),
    "a coroutine": ("import asyncio\nf = p.go()", "x = asyncio.run(f)"),
    "an inner function": ("f = p.make()", "x = f()"),
}
_CLASS = "class P:\n    def go(self): return {}\n    def no(self): return 1\n"
_EDITED = {
    "called": _CLASS + "p = P()\ny = p.go()",
    "called by a function": _CLASS + "def w(o): return o.go()\np = P()\ny = w(p)",
    "a property": "class P:\n    @property\n    def go(self): return {}\np = P()\ny = p.go",
    "a static method": "class P:\n    @staticmethod\n    def go(): return {}\ny = P.go()",
    "what an operator runs": "class P:\n    def __iadd__(self, n): return {}\np = P()\np += 1",
    "one that hands its object on unnamed": "REG = []\nclass P:\n    def __init__(*a): REG.append(a[0])\n    def go(self): return {}\np = P()\ny = REG[0].go()",
    "one that hands on what it has": "class P:\n    def __init__(self): self.a = locals()\n    def go(self): return {}\np = P()\ny = p.a['self'].go()",
    "a private one": "class P:\n    def __hid(self): return {}\np = P()\ny = p._P__hid()",
    "one out of the class's dictionary": "class P:\n    def hid(self): return {}\ny = P.__dict__['h' + 'id'](None)",
    "what the environment decides": "import os\nos.environ['RPNB_A'] = '{}'\nx = os.environ['RPNB_A']\ny = 'RPNB_A' in os.environ",
    "what a property asks the environment": "import os\nclass S:\n    @property\n    def home(self): return os.environ.get('RPNB_A')\ns = S()\nos.environ['RPNB_A'] = '{}'\nx = s.home",
    "what an operator asks the environment": "import os\nclass S:\n    def __add__(self, n): return os.environ.get('RPNB_A')\ns = S()\nos.environ['RPNB_A'] = '{}'\nx = s + 1",
    "a name that a comprehension hides": "m = {}\nx = [globals()['m'] + m for m in range(2)]",
}
_LENT = "import modelkit\nc = modelkit.CONF\n"
# Ways to change a library's own dictionary.
LENT = [
    "c['k'] = 1", "b = c\nb |= {'k': 1}", "b = [c]\nb[0]['k'] = 1", "(b := c)['k'] = 1",
    "a, b = 1, c\nb['k'] = 1", "b = c if 1 else {}\nb['k'] = 1", "class K: d = c\nK.d['k'] = 1",
    "def f(): return c\nf()['k'] = 1", "def f(d): return d\nb = f(c)\nb['k'] = 1",
    "class K:\n    def __init__(self, d): self.d = d\n    def go(self): self.d['k'] = 1\nK(c).go()",
    "b = getattr(modelkit, 'CONF')\nb['k'] = 1", "(lambda d: d.update(k=1))(c)",
    "y = c.setdefault('k', 1)", "y = modelkit.CONF.setdefault('k', 1)", "y = c.pop('v')",
    "b = [modelkit.CONF]\nfor d in b: d['k'] = 1", "b = locals()['c']\nb |= {'k': 1}",
]  # fmt: skip
# How a function hands out the state of a local module, and how that is changed.
_HANDS_OUT = [
    "import lm\ndef h(): return lm.N",
    "import lm\nh = lambda: lm.N",
    "def h():\n    import lm\n    return lm.N\nimport lm",
    "import importlib\ndef h(): return importlib.import_module('lm').N\nimport lm",
    "import sys\nimport lm\ndef h(): return sys.modules['lm'].N",
    "import lm\nclass A:\n    def m(self): return lm.N\nh = A().m",
]
_CHANGES = ["h().append(3)", "x = h()\nx.append(3)", "y = [h()]\ny[0].append(3)"]
_SETS = "import modelkit\nmodelkit.set_seed({})"
_SETS_VARIABLE = "import os\nos.environ['RPNB_A'] = '1'"
_LATE = "try:\n    import late\nexcept ImportError:\n    late = None"
_READ = "import os\nx = os.environ.get('RPNB_A')"
_SETS_OTHER = _SETS_VARIABLE.replace("1", "2")
_CALLED = "@staticmethod\ndef f(v): pass"
_BASE, _MORE = _SETS.format(1), {"ln.py": _SETS.format(2), "deep.py": f"{_LOAD}"}
_PKG = {"pkg/__init__.py": "", "pkg/deep.py": "DATA = [1]"}
# About -> versions, each a text and its files.
FILES: dict[str, list[tuple[str, Mapping[str, str]]]] = {
    "a module that sets a library": [
        ("import lm\n" + _LOAD, {"lm.py": _SETS.format(1)}), (_LOAD, {})],
    "a load before what a module sets": [
        ("import lm", {"lm.py": _SETS.format(1)}), (_LOAD + "\nimport lm", {"lm.py": _SETS.format(1)})],
    "a module that sets another value": [
        ("import lm\n" + _LOAD, {"lm.py": _SETS.format(1)}),
        ("import lm\n" + _LOAD, {"lm.py": _SETS.format(2)})],
    "a module's function that sets a library": [
        ("import lm\nx = lm.f()\n" + _LOAD, {"lm.py": "def f():\n    " + _SETS.format(1).replace("\n", "\n    ")}),
        (_LOAD, {})],
    "a module that sets the environment": [
        ("import os, lm\nx = os.environ.get('RPNB_A')", {"lm.py": "import os\nos.environ['RPNB_A'] = '1'"}),
        ("import os, lm\nx = os.environ.get('RPNB_A')", {"lm.py": "import os\nos.environ['RPNB_A'] = '2'"})],
    "a function that changes its module": [
        ("import lm\nx = lm.f()\ny = len(lm.S)", {"lm.py": "S = []\ndef f():\n    S.append(1)"}),
        ("import lm\ny = len(lm.S)", {"lm.py": "S = []\ndef f():\n    S.append(1)"})],
    "a class that changes itself": [
        ("import lm\nlm.K().f()\ny = len(lm.K.s)", {"lm.py": "class K:\n    s = []\n    def f(self):\n        self.s.append(1)"}),
        ("import lm\ny = len(lm.K.s)", {"lm.py": "class K:\n    s = []\n    def f(self):\n        self.s.append(1)"})],
    "a part of a module under a name": [
        ("from lm import S as a\na.append(1)", {"lm.py": "S = []"}),
        ("from lm import S as a", {"lm.py": "S = []"})],
    "a part of a module that a function gives": [
        ("import lm\na = lm.get()\na.append(1)", {"lm.py": "S = []\ndef get():\n    return S"}),
        ("import lm\na = lm.get()", {"lm.py": "S = []\ndef get():\n    return S"})],
    "a setting that another module's function makes now": [
        ("import lm\n" + _CALLED, {"lm.py": "def f():\n    import late", "late.py": _SETS_VARIABLE}),
        (f"import modelkit\nimport pkg\n{_CALLED}\nm = modelkit.LOAD(1)\n{_START}",
         {"pkg/__init__.py": "def f():\n    import late", "late.py": _SETS_VARIABLE})],
    "a module's function with a cache": [
        ("import lm\nx = lm.f(1)\ny = lm.f.cache_info().currsize",
         {"lm.py": "import functools\n@functools.lru_cache\ndef f(v): pass"}),
        ("import lm\ny = lm.f.cache_info().currsize",
         {"lm.py": "import functools\n@functools.lru_cache\ndef f(v): pass"})],
    "a setting that is only made when a function is called": [
        ("import lm", {"lm.py": _SETS.format(3), "late.py": _SETS.format(3)}),
        ("def g():\n    import late", {"lm.py": _SETS.format(3), "late.py": _SETS.format(3)})],
    "a setting that a module's function makes now": [
        ("import late", {"late.py": _SETS.format(3), "lm.py": "def g():\n    import late"}),
        ("import lm", {"late.py": _SETS.format(3), "lm.py": "def g():\n    import late"})],
    "a module that sets, and that a function of another imports, too": [
        (f"import lm\n{_LATE}\n{_LATE}",
         {"lm.py": "def f():\n    import late", "late.py": _SETS_VARIABLE}),
        (f"import lm\n{_LATE}", {"lm.py": "def f():\n    import late", "late.py": _SETS_VARIABLE})],
    "a module that gives another an attribute": [
        ("import lm, ln", {"lm.py": "N = 1", "ln.py": "from lm import N\nimport lm\nlm.N = 2"}),
        ("import lm, ln", {"lm.py": "N = 1", "ln.py": "from lm import N\nimport lm\nM = 1\nlm.N = 2"})],
    "settings in another order": [
        (f"import lm\n{_READ}", {"lm.py": f"{_SETS_VARIABLE}\n{_SETS_OTHER[10:]}"}),
        (f"import lm\n{_READ}", {"lm.py": f"{_SETS_OTHER}\n{_SETS_VARIABLE[10:]}"})],
    "modules that set, in another order": [
        (f"import lm\nimport ln\n{_READ}", {"lm.py": _SETS_VARIABLE, "ln.py": _SETS_OTHER}),
        (f"import ln\nimport lm\n{_READ}", {"lm.py": _SETS_VARIABLE, "ln.py": _SETS_OTHER})],
    "modules that a module imports in another order": [
        (f"import top\n{_READ}",
         {"top.py": "import lm\nimport ln", "lm.py": _SETS_VARIABLE, "ln.py": _SETS_OTHER}),
        (f"import top\n{_READ}",
         {"top.py": "import ln\nimport lm", "lm.py": _SETS_VARIABLE, "ln.py": _SETS_OTHER})],
    "a module that sets, edited and moved behind who looks": [
        (f"import lm\n{_READ}", {"lm.py": f"{_SETS_VARIABLE}\nN = 1"}),
        (f"{_READ}\nimport lm", {"lm.py": f"{_SETS_VARIABLE}\nN = 2"}),
        (f"import lm\n{_READ}", {"lm.py": f"{_SETS_VARIABLE}\nN = 3"})],
    "a setting that is gone, after a failed edit": [
        (f"import top\n{_READ}\nimport importlib; lm = importlib.import_module('lm')",
         {"lm.py": f"N = []\n{_SETS_VARIABLE}", "top.py": "import lm"}),
        (f"undefined\nimport top\n{_READ}",
         {"lm.py": f"N = []\n{_SETS_VARIABLE}", "top.py": "import lm"}),
        (_READ, {"lm.py": ""})],
    "what a module's object asks the environment": [
        ("import os\nfrom lm import s\nx = s.home\ny = s['k']", {"lm.py": "import os\nclass S:\n    @property\n    def home(self): return os.environ.get('RPNB_A')\n    def __getitem__(self, k): return self.home\ns = S()"}),
        ("import os\nos.environ['RPNB_A'] = '2'\nfrom lm import s\nx = s.home\ny = s['k']", {"lm.py": "import os\nclass S:\n    @property\n    def home(self): return os.environ.get('RPNB_A')\n    def __getitem__(self, k): return self.home\ns = S()"})],
    "a module that is looked up by its name": [
        ("m = __import__('lm')\nimport sys\nx = sys.modules['lm'].N\ndef f():\n    return sys.modules['lm'].N\ny = f()", {"lm.py": "N = 1"}),
        ("m = __import__('lm')\nimport sys\nx = sys.modules['lm'].N\ndef f():\n    return sys.modules['lm'].N\ny = f()", {"lm.py": "N = 3"})],
    "a module that a called function imports first": [
        ("def g(v):\n    import lm\n    return lm.N\nb = g(1)\nb.append(1)\nc = g(1)",
         {"lm.py": f"N = [1]\n{_SETS_VARIABLE}"}),
        ("def g(v):\n    import lm\n    return lm.N\nb = g(2)\nb.append(1)\nc = g(1)",
         {"lm.py": f"N = [1]\n{_SETS_VARIABLE}"})],
    "a module that a module's function imports first": [
        ("import lh\nb = lh.f(1)", {"lh.py": "def f(v):\n    import lm\n    return lm.N", "lm.py": f"N = [1]\n{_SETS_VARIABLE}"}),
        ("import lh\nb = lh.f(2)", {"lh.py": "def f(v):\n    import lm\n    return lm.N", "lm.py": f"N = [1]\n{_SETS_VARIABLE}"})],
    "a module that a function imports sets a library": [
        ("def g():\n    import lm\ng()", {"lm.py": "import modelkit\nmodelkit.set_seed(3)"}),
        ("import modelkit\na = modelkit.seed", {"lm.py": "import modelkit\nmodelkit.set_seed(3)"})],
    "a setting below who looks, after other edits": [
        (f"import lm\n{_READ}\nimport ln", {"lm.py": _SETS_VARIABLE, "ln.py": "N = 1"}),
        (f"import lm\n{_READ}\nimport ln", {"lm.py": _SETS_VARIABLE + "\nN = 1", "ln.py": _SETS_OTHER}),
        (f"import lm\nimport ln\n{_READ}", {"lm.py": _SETS_VARIABLE + "\nN = 2", "ln.py": _SETS_OTHER})],
    "a module that is imported, now from a module, too": [
        ("import pkg.deep\ndef f():\n    import other", {**_PKG, "other.py": "from pkg.deep import DATA"}),
        ("import pkg.deep\nimport other", {**_PKG, "other.py": "from pkg.deep import DATA"})],
    "a part of a package that nothing imports any more": [
        ("import pkg", {"pkg/__init__.py": "from . import part", "pkg/part/__init__.py": "from . import deep", "pkg/part/deep.py": _SETS.format(1)}),
        ("import pkg", {"pkg/__init__.py": "from . import part", "pkg/part/__init__.py": "", "pkg/part/deep.py": _SETS.format(1)})],
    "a module that is loaded again": [
        ("import importlib, lm, ln\nimportlib.reload(lm)", {"lm.py": _BASE, **_MORE}),
        ("import importlib, lm, ln, deep\nimportlib.reload(lm)", {"lm.py": _BASE, **_MORE})],
    "a module that is loaded again under a name": [
        ("import importlib, lm, ln\nlm = importlib.reload(lm)", {"lm.py": _BASE, **_MORE}),
        ("import importlib, lm, ln, deep\nlm = importlib.reload(lm)", {"lm.py": _BASE, **_MORE})],
    "a module that another one's function loads again": [
        ("import lm, ln, lr\nx = lr.f()", {"lm.py": _BASE, **_MORE, "lr.py": "import importlib, lm\ndef f(): return importlib.reload(lm)"}),
        ("import lm, ln, lr, deep\nx = lr.f()", {"lm.py": _BASE, **_MORE, "lr.py": "import importlib, lm\ndef f(): return importlib.reload(lm)"})],
}  # fmt: skip


@pytest.mark.parametrize("about", TEXTS)
def test_edit_leaves_what_a_fresh_process_has(stage: Stage, about: str) -> None:
    assert not there_and_back(stage, *(Version((text,)) for text in TEXTS[about]))


@pytest.mark.parametrize("about", _EDITED)
def test_edit_is_seen_by_what_ran_it(stage: Stage, about: str) -> None:
    assert not there_and_back(stage, *(Version((_EDITED[about].format(n),)) for n in (1, 2)))


@pytest.mark.parametrize("does", LENT)
def test_change_of_a_library_s_container_is_one_of_the_library(stage: Stage, does: str) -> None:
    look = "x = sorted(modelkit.CONF)"
    assert not there_and_back(stage, *(Version((_LENT, *part, look)) for part in ((does,), ())))


@pytest.mark.parametrize("about", _LATER)
def test_method_that_runs_later_reads_what_it_does_then(stage: Stage, about: str) -> None:
    first, then = _LATER[about]
    texts = [f"{_P}{first}\nRATE = {n}\n{then}" for n in (1, 2)]
    assert not there_and_back(stage, *(Version((text,)) for text in texts))


@pytest.mark.parametrize("maker", ["c = {{'m': A, 'k': {}}}", "c = dict(m=A, k={})"])
def test_settings_that_moved_past_what_they_read_are_read_again(stage: Stage, maker: str) -> None:
    read = "x = [c['m']]"
    first = ("A = 'a'", maker.format(1), "A = 'b'", read)
    assert not there_and_back(
        stage, Version(first), Version(("A = 'a'", "A = 'b'", maker.format(2), read))
    )


@pytest.mark.parametrize(
    "text",
    [
        "def get():\n    model: int = globals().get('model')\n    return model\nx = get()",
        "def get():\n    if 'model' not in globals():\n        global model\n        model = 1\nget()",
        "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = globals().get('x')\n    g()\nf()",
    ],
)
def test_name_in_a_string_never_refuses_a_program(stage: Stage, text: str) -> None:
    with stage.warm() as warm:
        assert not warm.sync(Version((text,))).error


@pytest.mark.parametrize("about", JOBS)
def test_what_a_job_kept_goes_with_what_made_it(stage: Stage, about: str) -> None:
    program, jobs = JOBS[about], (1, 1)
    hidden = frozenset({"CACHE", "M", "M2", "p", "closed", "handler"})
    served = [Version((f"x = {n}", program), {}, jobs, hidden) for n in (1, 2)]
    assert not there_and_back(stage, *served)
    # The same where all else went with it.
    assert not there_and_back(stage, served[0], Version(served[0].steps[1:], {}, jobs, hidden))


@pytest.mark.skipif(sys.version_info < (3, 10), reason="one case is a match statement")
@pytest.mark.parametrize("about", KEPT)
def test_what_a_job_kept_where_no_text_shows_it_goes(stage: Stage, about: str) -> None:
    setup, does, module = KEPT[about]
    handler = "def handler(job):\n    " + does.replace("\n", "\n    ")
    files = {"lm.py": module.encode()} if module else {}
    hidden = frozenset({"lm", "s", "S", "C", "CB", "V", "g", "add", "put", "Svc"})
    versions = [
        Version((_KEPT.format(n), setup, handler, _START), files, (1, 1), hidden) for n in "ab"
    ]
    assert not there_and_back(stage, *versions)


@pytest.mark.parametrize("about", STAYS)
def test_what_a_job_kept_in_a_module_outlives_an_edit_of_the_handler(
    stage: Stage, about: str
) -> None:
    call, module = STAYS[about]
    versions = [
        Version(
            (_LM, "N = 'a'", f"def handler(job):\n    {call}\n    return {n}", _START),
            {"lm.py": module.encode()},
            (1,),
            frozenset({"lm"}),
        )
        for n in (1, 2)
    ]
    with stage.warm() as warm:
        assert len(warm.sync(versions[0]).lazy) == 1
        assert warm.sync(versions[1]).lazy == []


@pytest.mark.parametrize("about", RESOURCES)
def test_what_a_job_does_to_the_process_reaches_no_statement(stage: Stage, about: str) -> None:
    does, line = RESOURCES[about]
    program = (
        "import logging, os, random\nrandom.seed(1)\nclass Box: pass\nbox = Box()\n"
        f"def handler(job):\n    {does}\n    return 1\n{_START}"
    )
    hidden = frozenset({"box"})
    versions = [Version((program, *more), {}, (1,), hidden) for more in ((), (line,))]
    assert not difference(stage, versions)


_GET = "import lm\nx = lm.get('{}')"
_DEFAULT = "def get(n, c=[]):\n    c.append(n)\n    return c[0]\n"
_CLOSURE = "def make():\n    c = []\n    def get(n):\n        c.append(n)\n        return c[0]\n    return get\nget = make()\n"
_ONCE = "        cls._one = cls._one or [n]\n        return cls._one\n"
# About -> a program, and a local module that keeps something of its calls where no global shows it.
OF_MODULES = {
    "a base that lists what is made from it": (
        "import lm\nclass {0}(lm.Base): pass\nx = sorted(lm.Base.reg)",
        "class Base:\n    reg = {}\n    def __init_subclass__(cls): Base.reg[cls.__name__] = cls",
    ),
    "a base that lists what is made from it, under its name": (
        "from lm import Base\nclass {0}(Base): pass\nx = sorted(Base.reg)",
        "class Base:\n    reg = {}\n    def __init_subclass__(cls): Base.reg[cls.__name__] = cls",
    ),
    "a metaclass that counts": (
        "import lm\nclass {0}(metaclass=lm.Meta): pass\nx = list(lm.Meta.seen)",
        "class Meta(type):\n    seen = []\n    def __new__(m, n, b, d):\n        m.seen.append(n)\n        return super().__new__(m, n, b, d)",
    ),
    "a class method": (
        "import lm\nx = lm.M.get('{}')",
        "class M:\n    _one = None\n    @classmethod\n    def get(cls, n):\n" + _ONCE,
    ),
    "an object's class method": (
        "from lm import M\nm = M()\nx = m.get('{}')",
        "class M:\n    _one = None\n    @classmethod\n    def get(cls, n):\n" + _ONCE,
    ),
    "a class that makes one object": (
        "import lm\nx = lm.M('{}').n",
        "class M:\n    _one = None\n    def __new__(cls, n):\n        if cls._one is None:\n            cls._one = super().__new__(cls)\n            cls._one.n = n\n        return cls._one",
    ),
    "a class that counts": (
        "from lm import M\nx = M('{}').i",
        "class M:\n    n = 0\n    def __init__(self, v):\n        type(self).n += 1\n        self.i = self.n",
    ),
    "a class that an alias counts": (
        "from lm import M\nx = M().go('{}')",
        "class M:\n    n = 0\n    def go(self, v):\n        c = self.__class__\n        c.n += 1\n        return c.n",
    ),
    "a class that a function is handed": (
        _GET,
        "class A: v = None\ndef put(c, n): c.v = c.v or n\ndef get(n):\n    put(A, n)\n    return A.v",
    ),
    "a class that the program hands on": (
        "from lm import A, put\nput(A, '{}')\nx = A.v",
        "class A: v = None\ndef put(c, n): c.v = c.v or n",
    ),
    "a list that a function is handed": (
        _GET,
        "A = []\ndef put(c, n): c.append(n)\ndef get(n):\n    put(A, n)\n    return A[0]",
    ),
    "a default": (_GET, _DEFAULT),
    "a default of a lambda": (_GET, "get = lambda n, c=[]: c.append(n) or c[0]"),
    "a default that is handed out": (
        "import lm\nx = lm.get()\nx.append('{}')",
        "def get(c=[]): return c",
    ),
    "a default behind a class": (
        "from lm import M\nx = M('{}').m",
        _DEFAULT + "class M:\n    def __init__(self, n): self.m = get(n)",
    ),
    "a default behind an object": (
        "import lm\nm = lm.M()\nx = m.get('{}')",
        _DEFAULT + "class M:\n    def get(self, n): return get(n)",
    ),
    "a closure": (_GET, _CLOSURE),
    "a closure behind a function": (
        "import lm\nx = lm.h('{}')",
        _CLOSURE + "def h(n): return get(n)",
    ),
    "a counter of a closure": (
        _GET,
        "def make():\n    c = None\n    def get(n):\n        nonlocal c\n        c = c or n\n        return c\n    return get\nget = make()",
    ),
    "a decorator of classes": (
        "import lm\nx = lm.M('{}').n",
        "def one(c):\n    got = {}\n    def make(*a):\n        if c not in got: got[c] = c(*a)\n        return got[c]\n    return make\n@one\nclass M:\n    def __init__(self, n): self.n = n",
    ),
    "a context variable": (
        _GET,
        "import contextvars\nV = contextvars.ContextVar('V', default=None)\ndef get(n):\n    if V.get() is None: V.set(n)\n    return V.get()",
    ),
    "an object": (
        "import lm\nx = lm.s.see('{}')",
        "class S:\n    m = None\n    def see(self, n):\n        self.m = self.m or n\n        return self.m\ns = S()",
    ),
    "a library's object": (
        "import lm\nlm.C.subtract('{}')\nx = dict(lm.C)",
        "from collections import Counter\nC = Counter()",
    ),
    "an iterator": (
        "import lm\nx = [lm.go(), '{}']",
        "C = iter([1, 2, 3])\ndef go():\n    for n in C: return n",
    ),
    "a property": (
        "import lm\nx = [lm.s.m, '{}']",
        "class S:\n    n = 0\n    @property\n    def m(self):\n        self.n += 1\n        return self.n\ns = S()",
    ),
    "a metaclass": (
        "import lm\nx = lm.M('{}').n",
        "class One(type):\n    _all = {}\n    def __call__(cls, *a):\n        if cls not in cls._all: cls._all[cls] = super().__call__(*a)\n        return cls._all[cls]\nclass M(metaclass=One):\n    def __init__(self, n): self.n = n",
    ),
}


@pytest.mark.parametrize("about", OF_MODULES)
def test_what_a_local_module_keeps_goes_with_who_called_it(stage: Stage, about: str) -> None:
    program, module = OF_MODULES[about]
    files = {"lm.py": module.encode()}
    assert not there_and_back(stage, *(Version((program.format(n),), files) for n in "ab"))


@pytest.mark.parametrize("about", FILES)
def test_edited_files_leave_what_a_fresh_process_has(stage: Stage, about: str) -> None:
    versions = [
        Version((text,), {path: content.encode() for path, content in files.items()})
        for text, files in FILES[about]
    ]
    assert not there_and_back(stage, *versions)


@pytest.mark.parametrize("change", _CHANGES)
@pytest.mark.parametrize("program", _HANDS_OUT)
def test_state_of_a_module_that_a_function_handed_out_is_undone(
    stage: Stage, program: str, change: str
) -> None:
    files = {"lm.py": b"N = [2]"}
    versions = [Version((program, more), files) for more in (change, "z = lm.N")]
    assert not difference(stage, versions)


def test_captured_object_is_made_anew_with_its_class(stage: Stage) -> None:
    def version(text: str) -> Version:
        load, path, content = captured.instance()
        return Version(
            (f"class C:\n    def f(self):\n        return {text}", load), {path: content}
        )

    assert not there_and_back(stage, version("1"), version("2"))


@pytest.mark.parametrize("binds", ["from lm import *", "exec('q = 1')"])
def test_who_lists_the_names_above_what_binds_some_unseen_finds_none_of_them(
    stage: Stage, binds: str
) -> None:
    files = {"lm.py": b"def q(v): return v"}
    listing = "c = [n for n in sorted(globals()) if len(n) == 1]"
    versions = [Version(steps, files) for steps in ((binds,), (listing, binds), (binds, listing))]
    assert not there_and_back(stage, *versions)


# What jobs set by a helper, and what of it the handler reads that no longer calls it.
_FILLED = {
    "global": ("M = None\n", "global M\n    M = 7", "M"),
    "container": ("M = {}\n", "M[k] = [k]", "len(M)"),
    "object": (
        "class P:\n    def __init__(self):\n        self.kept = {}\n"
        "    def put(self, k):\n        self.kept[k] = [k]\n"
        "    def count(self):\n        return len(self.kept)\np = P()\n",
        "p.put(k)",
        "p.count()",
    ),
    "under another name": ("a = {'n': 1}\nb = [a]\n", "b[0]['n'] = 5", "a['n']"),
    "in an attribute": (
        "import types\na = {'n': 1}\ns = types.SimpleNamespace()\ns.cfg = a\n",
        "s.cfg['n'] = 5",
        "a['n']",
    ),
    "a log level": ("import logging\n", "logging.getLogger().setLevel(10)", "logging.root.level"),
    "the directory": ("import os\n", "os.chdir('/tmp')", "os.getcwd() == '/tmp'"),
    "warnings": ("import warnings\n", "warnings.simplefilter('error')", "len(warnings.filters)"),
    "an option": (
        "import numpy as np\n",
        "np.set_printoptions(precision=2)",
        "str(np.array([0.12345]))",
    ),
}
_ITERATORS = {
    "count": "import itertools\ni = itertools.count()\n",
    "cycle": "import itertools\ni = itertools.cycle('abc')\n",
    "iter": "i = iter(range(9))\n",
    "an object's": "class R:\n    def __init__(self):\n        self.it = iter('abc')\n"
    "    def __next__(self):\n        return next(self.it)\ni = R()\n",
}
_SEEDED = {
    "random": "import random as r\nr.seed({0})\n",
    "numpy": "import numpy.random as r\nr.seed({0})\n",
}


_POOLS = {
    "a pool": ("pool = mp.get_context('fork').Pool(1)\n", "pool.apply(compute, (1,))"),
    "an executor": (
        "pool = ProcessPoolExecutor(1, mp_context=mp.get_context('fork'))\n",
        "pool.submit(compute, 1).result()",
    ),
    "a pool in an object": (
        "class P:\n    def __init__(self): self.pool = mp.get_context('fork').Pool(1)\n"
        "    def run(self): return self.pool.apply(compute, (1,))\np = P()\n",
        "p.run()",
    ),
    "a method": (
        "class P:\n    def run(self, k): return compute(k)\n"
        "p, pools = P(), dict(a=[mp.get_context('fork').Pool(1)])\n",
        "pools['a'][0].apply(p.run, (1,))",
    ),
}


@pytest.mark.parametrize("about", _POOLS)
def test_processes_of_a_pool_are_made_anew_with_the_code_that_they_run(
    stage: Stage, about: str
) -> None:
    made, call = _POOLS[about]
    load = "import modelkit, multiprocessing as mp\nfrom concurrent.futures import "
    load += "ProcessPoolExecutor\nm, N = modelkit.LOAD(1), 1\n"
    text = (
        f"{load}def compute(k): return k + {{0}}, N\n{made}def handler(job): return {{1}}, {call}"
    )
    one, other, third = (
        Version((text.format(*numbers), _START), {}, (1,), frozenset({"pool", "pools", "p"}))
        for numbers in ((1, 1), (2, 1), (1, 2))
    )
    more = Version((one.steps[0].replace("(1), 1", "(1), 5"), _START), {}, (1,), one.hidden)
    assert not there_and_back(stage, one, other, third, more)
    with stage.warm() as warm:
        assert [len(warm.sync(version).loads) for version in (one, other, third)] == [1, 0, 0]


@pytest.mark.parametrize("about", _ITERATORS)
def test_iterator_that_jobs_advance_begins_anew_with_their_code(stage: Stage, about: str) -> None:
    one, other = (
        Version((f"{_ITERATORS[about]}def handler(job): return {n}, next(i)", _START), {}, (1,))
        for n in (1, 2)
    )
    assert not there_and_back(stage, one, other)


def test_iterator_that_jobs_make_and_advance_costs_nothing_of_what_it_goes_through(
    stage: Stage,
) -> None:
    text = "import modelkit\nm = modelkit.LOAD(1)\ndef handler(job):\n    it = iter(m.state)\n"
    text += "    return {0}, next(it, 0), next(iter(m.state), 0)"
    with stage.warm() as warm:
        assert warm.sync(Version((text.format(1), _START), {}, (1,))).loads
        assert not warm.sync(Version((text.format(2), _START), {}, (1,))).loads


@pytest.mark.parametrize("about", _SEEDED)
def test_what_jobs_draw_and_keep_goes_with_the_seed(stage: Stage, about: str) -> None:
    kept = "C = {}\ndef make(): return r.random()\ndef handler(job):\n"
    kept += "    if 'x' not in C: C['x'] = make()\n    return C['x']"
    one, other = (Version((_SEEDED[about].format(n) + kept, _START), {}, (1,)) for n in (1, 2))
    assert not there_and_back(stage, one, other)


def test_future_import_below_other_statements_is_the_error_that_python_raises(
    stage: Stage,
) -> None:
    future = "from __future__ import annotations"
    one, other = Version((f"'text'\n{future}\nx = 1",)), Version((f"y = 1\n{future}\nx = 1",))
    assert not there_and_back(stage, one, other)


@pytest.mark.parametrize("filling", ["fill(job['input'])", "fill(job['input']), {}"])
@pytest.mark.parametrize("about", _FILLED)
def test_what_jobs_filled_goes_where_who_reads_it_no_longer_fills_it(
    stage: Stage, about: str, filling: str
) -> None:
    made, fill, read = _FILLED[about]
    made += f"def fill(k):\n    {fill}"
    versions = [
        Version((made, f"def handler(job):\n    return {text}", _START), {}, (1, 2))
        for text in (filling.format(read), read)
    ]
    assert not there_and_back(stage, *versions)


def test_setting_of_a_module_that_a_job_imports_stands_with_who_imports_it(stage: Stage) -> None:
    steps = ("import os", "def g():\n    import lm\n    return lm.N, os.environ.get('RPNB_A')")
    files = {"lm.py": f"N = [1]\n{_SETS_VARIABLE}".encode()}
    versions = [
        Version((*steps, f"def handler(job):\n    return g(), {n}", _START), files, (1, 1))
        for n in (1, 2)
    ]
    assert not difference(stage, versions)


def test_start_that_did_not_run_leaves_no_name(stage: Stage) -> None:
    start = "if __name__ == '__main__':\n    import runpod\n    runpod.serverless.start({})"
    texts: list[Any] = [start, "missing.go()\n" + start, ""]
    assert not there_and_back(stage, *(Version((text,)) for text in texts))


def test_kept_statement_never_keeps_a_plan_from_settling(stage: Stage) -> None:
    keep = "K = modelkit.table(1)  # rpnb: keep"
    first, then = (
        Version(("import modelkit", keep)),
        Version(("import modelkit", "x = 1", keep, "m = modelkit.LOAD((lambda: x)())")),
    )
    with stage.warm() as warm:
        warm.sync(first)
        assert warm.sync(then).ran == [then.steps[1], then.steps[3]]
