import sys

import pytest

from rpnb.errors import CannotCapture, MissingName, ProgramError
from rpnb.program.build import build
from rpnb.program.names import Names
from rpnb.program.skew import There
from tests.minors.defining import Notebook as Plain
from tests.minors.table import CASES

# Ordinary cells, and an expression of the names that they define. It must have
# the same value here and in a fresh process that runs the built program.
SAME = {
    "function": ("def f(x):\n    return x + 1", "f(2)"),
    "global": ("K = 7\ndef f(x): return x * K", "f(2)"),
    "chain": ("def a(x): return b(x)\ndef b(x): return x + 1", "a(1)"),
    "recursion": ("def even(n): return n == 0 or odd(n - 1)\n"
                  "def odd(n): return n and even(n - 1)",
                  "[even(4), bool(odd(4))]"),
    "default": ("D = 4\ndef f(x=D): return x", "f()"),
    "default of a name bound again": ("D = 4\ndef f(x=D): return x\nD = 5", "f()"),
    "redefined": ("def f(): return 1\ndef f(): return 2", "f()"),
    "class": ("class A:\n    z = 3\n    def m(self, x): return x + self.z", "A().m(1)"),
    "bases": ("class A:\n    def m(self): return 1\nclass B(A):\n"
              "    def m(self): return super().m() + 1", "B().m()"),
    "metaclass": ("class M(type):\n    def __len__(cls): return 5\n"
                  "class A(metaclass=M):\n    pass", "len(A)"),
    "slots": ("class A:\n    __slots__ = ('x',)\n    def __init__(self): self.x = 9", "A().x"),
    "dataclass": ("import dataclasses\n@dataclasses.dataclass\nclass P:\n    a: int = 1", "P().a"),
    "enum": ("import enum\nclass C(enum.Enum):\n    RED = 1", "C.RED.value"),
    "property": ("class A:\n    @property\n    def p(self): return 6", "A().p"),
    "instance": ("class A:\n    def __init__(self, v): self.v = v\na = A(5)", "a.v"),
    "instance of a subclass": ("class A(dict): pass\na = A(x=1)", "a['x'] + len(A())"),
    "lambda": ("g = lambda x: x * 2; h = lambda x: x * 3", "[g(1), h(1)]"),
    "lambda over lines": ("g = (lambda x:\n     x * 2)", "g(4)"),
    "list of lambdas": ("ops = [lambda x: x + 1, lambda x: x + 2]", "[o(1) for o in ops]"),
    "dict of functions": ("def f(x): return x\nops = {'f': f, 'g': lambda x: -x}",
                          "[ops['f'](1), ops['g'](1)]"),
    "closure": ("def make(n):\n    def inner(x): return x + n\n    return inner\nadd = make(5)",
                "add(1)"),
    "closure over closure": ("def make(f):\n    return lambda x: f(x) * 2\n"
                             "def one(n):\n    return lambda x: x + n\ng = make(one(3))", "g(1)"),
    "recursive closure": ("def make():\n    def fact(n): return 1 if n < 2 else n * fact(n - 1)\n"
                          "    return fact\nfact = make()", "fact(5)"),
    "counter's state": ("def make():\n    n = 0\n    def count():\n        nonlocal n\n"
                        "        n += 1\n        return n\n    return count\ncount = make()\n"
                        "_ = count()", "count()"),
    "partial": ("import functools\ndef f(a, b): return a - b\np = functools.partial(f, b=1)",
                "p(3)"),
    "bound method": ("class A:\n    def __init__(self): self.v = 2\n"
                     "    def m(self): return self.v\na = A()\nm = a.m", "m()"),
    "decorated": ("import functools\ndef deco(f):\n    @functools.wraps(f)\n"
                  "    def w(*a): return ['d', f(*a)]\n    return w\n@deco\ndef f(x): return x",
                  "f(1)"),
    "decorated by hand": ("def deco(f):\n    return lambda x: f(x) + 1\ndef f(x): return x\n"
                          "f = deco(f)", "f(1)"),
    "lru_cache": ("import functools\n@functools.lru_cache\ndef f(x): return x", "f(3)"),
    "instance of a namedtuple": ("from collections import namedtuple\n"
                                 "Pt = namedtuple('Pt', 'x y')\np = Pt(1, [2])",
                                 "[p.x, p.y, isinstance(p, Pt)]"),
    "namedtuple": ("import collections\nPt = collections.namedtuple('Pt', 'x y')", "Pt(1, 2).y"),
    "generator function": ("def g(n):\n    for i in range(n): yield i", "list(g(3))"),
    "context manager": ("import contextlib\n@contextlib.contextmanager\ndef cm(): yield 8\n"
                        "def f():\n    with cm() as v: return v", "f()"),
    "loop defines": ("for i in range(3):\n    def f(x): return x + i", "f(1)"),
    "loop binds early": ("for i in range(3):\n    def f(x, i=i): return x + i\ni = 100", "f(1)"),
    "condition defines": ("if True:\n    def f(): return 1\nelse:\n    def f(): return 2", "f()"),
    "try defines": ("try:\n    import no_such_module\nexcept ImportError:\n"
                    "    def load(): return 4", "load()"),
    "class changed later": ("class A:\n    z = 1\nA.z = 2", "A.z"),
    "class changed by its objects": ("class A:\n    n, __m = 0, 0\n    k = 0\n    __p = 0\n"
                                     "    def __init__(self): A.k += 1; A.__p += 2\n"
                                     "    @classmethod\n    def p(cls): return cls.__p\n"
                                     "a = A()", "[A.k, A.p(), A.n]"),
    "class changed by a helper": ("class A:\n    items = []\n    kind = None\n"
                                  "def add(x): A.items.append(x); A.kind = 'b'\nadd(3)",
                                  "[A.items, A.kind]"),
    "function that counts its calls": ("def f():\n    f.calls += 1\n    return f.calls\n"
                                       "f.calls = 0\n_ = f(), f()", "f()"),
    "constants that become something else": (
        "import typing, enum\nclass P(typing.NamedTuple):\n    a: int = 1\n"
        "class E(enum.IntEnum):\n    A = 1\nclass S:\n    k: int = 1\n    k = k + 1",
        "[P().a, E.A, S.k]"),
    "method replaced": ("class A:\n    def m(self): return 1\ndef better(self): return 2\n"
                        "A.m = better", "A().m()"),
    "function attribute": ("def f(): return f.k\nf.k = 3", "f()"),
    "alias": ("def f(): return 1\ng = f", "g()"),
    "aliased method of a module": ("import math\nroot = math.sqrt", "root(9)"),
    "builtin under another name": ("say = len", "say([1])"),
    "import as": ("import os.path as p", "p.join('a', 'b')"),
    "submodule": ("import xml.etree.ElementTree", "xml.etree.ElementTree.fromstring('<a/>').tag"),
    "import from": ("from math import floor as down", "down(2.5)"),
    "star import": ("from math import *", "sqrt(4) + floor(1.5)"),
    "set": ("s = {3, 1, 2}", "sorted(s)"),
    "dict": ("CONFIG = {'a': [1, 2.5, None], ('k',): b'x'.decode()}", "CONFIG['a']"),
    "long list": ("v = list(range(5000))", "sum(v)"),
    "same list twice": ("inner = [1]\npair = [inner, inner]\n", "pair[0] is pair[1]"),
    "regex": ("import re\nPAT = re.compile('a+')", "PAT.findall('caat')"),
    "logger": ("import logging\nlog = logging.getLogger('mine')", "log.name"),
    "path": ("from pathlib import Path\np = Path('/a') / 'b'", "str(p)"),
    "flags": ("import re\nPAT = re.compile('a', re.I | re.M)", "[PAT.flags, PAT.pattern]"),
    "enum member": ("import enum\nclass C(enum.Enum):\n    RED = 1\nc = C.RED", "c is C.RED"),
    "library's enum member": ("import http\ns = http.HTTPStatus.OK", "s.name"),
    "default dict": ("import collections\nd = collections.defaultdict(list, a=[1])",
                     "[d['a'], d['b']]"),
    "moment": ("import datetime\nd = datetime.datetime(2026, 1, 2)", "d.isoformat()"),
    "range": ("r = range(3, 9, 2)", "list(r)"),
    "registry": ("REG = {}\ndef register(f):\n    REG[f.__name__] = f\n    return f\n"
                 "@register\ndef a(x): return x", "[list(REG), REG['a'](1), a(2)]"),
    "registry of subclasses": ("class Base:\n    kinds = {}\n"
                               "    def __init_subclass__(cls, key):\n"
                               "        Base.kinds[key] = cls\n"
                               "class One(Base, key='one'):\n    def go(self): return 1",
                               "Base.kinds['one']().go()"),
    "registry outside its classes": ("KINDS = []\nclass Base:\n    def __init_subclass__(cls):\n"
                                     "        KINDS.append(cls)\nclass One(Base): n = 1",
                                     "[each.n for each in KINDS]"),
    "registry of a metaclass": ("class Meta(type):\n    kinds = {}\n"
                                "    def __init__(cls, name, bases, body):\n"
                                "        if bases: Meta.kinds[name] = cls\n"
                                "class Base(metaclass=Meta): pass\nclass One(Base): n = 1",
                                "Meta.kinds['One'].n"),
    "registry of a decorator's class": ("class App:\n    routes = {}\n    @classmethod\n"
                                        "    def route(cls, path):\n        def deco(f):\n"
                                        "            cls.routes[path] = f\n            return f\n"
                                        "        return deco\n@App.route('/a')\ndef a(): return 1",
                                        "App.routes['/a']()"),
    "new type": ("import typing\nUser = typing.NewType('User', int)\nT = typing.TypeVar('T')\n"
                 "class Box(typing.Generic[T]):\n    def __init__(self, n: T): self.n = n",
                 "[User(2), Box[int](3).n]"),
    "sentinel": ("NONE = object()\ndef f(x=NONE): return x is NONE", "f()"),
    "dispatch": ("import functools\n@functools.singledispatch\ndef f(x): return 'any'\n"
                 "@f.register\ndef _(x: int): return 'int'", "[f(1), f('')]"),
    "abstract class": ("import abc\nclass A(abc.ABC):\n    @abc.abstractmethod\n"
                       "    def m(self): ...\nclass B(A):\n    def m(self): return 1", "B().m()"),
    "named tuple class": ("import typing\nclass P(typing.NamedTuple):\n    a: int = 1\np = P(2)",
                          "[p.a, P().a]"),
    "pydantic": ("import pydantic\nclass In(pydantic.BaseModel):\n    n: int = 1\nx = In(n=2)",
                 "[x.n, In(n='3').n]"),
    "pair of closures": ("def make(n):\n    def up(x): return x + n\n"
                         "    def down(x): return x - n\n    return up, down\n"
                         "up, down = make(3)", "[up(1), down(1)]"),
    "classes refer to each other": ("class A:\n    def other(self): return B()\n"
                                    "class B:\n    def other(self): return A()\na = A()",
                                    "type(a.other().other()).__name__"),
    "instance holds a class": ("class A: pass\nclass B: pass\nb = B()\nb.kind = A",
                               "b.kind is A"),
    "dict of instances": ("class A:\n    def __init__(self, v): self.v = v\n"
                          "d = {'x': A(1), 'y': [A(2)]}", "d['y'][0].v"),
    "static and class methods": ("class A:\n    @staticmethod\n    def s(): return 1\n"
                                 "    @classmethod\n    def c(cls): return cls.s()", "A.c()"),
    "nested class": ("class A:\n    class In:\n        z = 4\nn = A.In", "n.z"),
    "decorator with arguments": ("def times(n):\n    def deco(f):\n"
                                 "        return lambda x: f(x) * n\n    return deco\n"
                                 "@times(3)\ndef f(x): return x", "f(2)"),
    "async function": ("import asyncio\nasync def co(x): return x\n"
                       "def f(): return asyncio.run(co(1))", "f()"),
    "walrus": ("if (n := 3) > 1:\n    m = n + 1", "m"),
    "two in one line": ("a, (b, *c) = 1, (2, 3, 4)", "[a, b, c]"),
    "global counter": ("N = 0\ndef bump():\n    global N\n    N += 1\n    return N\n_ = bump()",
                       "[bump(), N]"),
    "array": ("import numpy as np\nW = np.arange(6.0).reshape(2, 3)", "W.sum()"),
    "frame": ("import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})", "int(df['a'].sum())"),
    "picture": ("from PIL import Image\nim = Image.new('RGB', (2, 3), 'red')",
                "[*im.size, *im.getpixel((0, 0))]"),
    "exec'd function": ("exec('def ex(x): return x + 1')", "ex(1)"),
    "shell lines": ("files = !echo hi", "files"),
    "type alias": ("import typing\nT = typing.Optional[int]\ndef f(x: T) -> T: return x", "f(1)"),
    "string annotation": ("import dataclasses\nclass Q: pass\n@dataclasses.dataclass\nclass P:\n"
                          "    q: 'Q' = None", "P().q is None and bool(Q())"),
    "future annotations": ("from __future__ import annotations\n"
                           "def f(x: NoSuch) -> Other: return x", "f(1)"),
    "singledispatch": ("import functools\n@functools.singledispatch\ndef f(x): return 'any'",
                       "f(1)"),
    "multi-line string": ('def f():\n    return """a\n  b"""', "f()"),
    "starts with blank lines": ("\n\ndef f():\n    return 1", "f()"),
    "under %%time": ("%%time\ndef f():\n    return 1", "f()"),
    "leading underscore": ("def _helper(): return 1\ndef f(): return _helper()", "f()"),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_captured_names_have_the_same_value_in_a_fresh_process(notebook, case):
    text, expression = SAME[case]
    notebook.cell(text)
    notebook.setup(f"result = {expression}")
    assert notebook.remote_value("result") == notebook.value(expression)


def test_value_over_the_literal_limit_travels_as_a_data_file(notebook):
    notebook.cell("v = list(range(5000))")
    notebook.setup("total = sum(v)")
    assert [path.split("-")[0] for path in notebook.build().files] == ["data/v"]


def test_constant_keeps_the_persons_own_text(notebook):
    notebook.cell("SIZES = {  # in pixels\n    'small': 64,\n}")
    notebook.setup("s = SIZES")
    assert "SIZES = {  # in pixels\n    'small': 64,\n}" in notebook.build().text


MOVED = "n, FIELDS = 5, 'x y z'"
MADE = {
    "a tuple's class": ("import collections\nn, FIELDS = 2, 'x y'\n"
                        "T = collections.namedtuple('T', FIELDS)", "T(1, 2).y"),
    "a function's class": ("n = 2\ndef make(k):\n    class T:\n        size = k\n    return T\n"
                           "T = make(n)", "T.size"),
}  # fmt: skip


@pytest.mark.parametrize("where", ["the same cell", "a later cell"])
@pytest.mark.parametrize("case", MADE)
def test_statement_whose_names_have_changed_is_not_run_again(notebook, case, where):
    text, use = MADE[case]
    cells = [f"{text}\n{MOVED}"] if where == "the same cell" else [text, MOVED]
    for cell in cells:
        notebook.cell(cell)
    notebook.setup(f"x = [{use}, n]")
    assert notebook.remote_value("x") == [2, 5]


def test_registry_that_a_call_filled_too_is_refused(notebook):
    notebook.cell("REG = {}\ndef register(f):\n    REG[f.__name__] = f\n    return f\n"
                  "@register\ndef a(): return 1\ndef extra(): return 2\n"
                  "def put(): REG['extra'] = extra\nput()")  # fmt: skip
    notebook.setup("s = [a(), REG]")
    with pytest.raises(CannotCapture, match="`REG` is filled while `a` is defined.*`extra`"):
        notebook.build()


NAMED = """\
REG = []
def reg(f):
    REG.append(f.__name__)
    return f
@reg
def a(): return 1
def look(): return REG
def put(x): REG.append(x)
def puts(x): put(x)
class App:
    routes = {}
    @classmethod
    def route(cls, f):
        cls.routes[f.__name__] = 1
        return f
@App.route
def c(): return 1
"""
FILLING = [
    "put('b')",
    "puts('b')",
    "reg(len)",
    "for x in 'bc': REG.append(x)",
    "if 1: REG += ['b']",
]


@pytest.mark.parametrize("filling", FILLING)
def test_registry_of_plain_data_that_something_else_filled_too_is_refused(notebook, filling):
    notebook.cell(NAMED)
    notebook.cell("print(look())\nApp.route(len)\n" + filling)
    notebook.setup("@reg\ndef b(): return a()\ns = REG")
    with pytest.raises(CannotCapture, match="`REG` is filled while `a` is defined.* in cell 2"):
        notebook.build()
    notebook.cell(NAMED)
    assert notebook.remote_value("s") == ["a", "b"]


def test_registry_in_a_class_that_a_call_filled_too_is_refused(notebook):
    notebook.cell(NAMED)
    notebook.setup("@App.route\ndef d(): return 1\ns = App.routes")
    assert notebook.remote_value("s") == {"c": 1, "d": 1}
    notebook.cell("App.route(len)")
    with pytest.raises(CannotCapture, match="`App` is filled while `c` is defined"):
        notebook.build()


SHARING = {
    "mutable": "box = []\n    def put(x): box.append(x)\n    def get(): return box",
    "nonlocal": "box = 0\n    def put(x):\n        nonlocal box\n        box = x\n"
    "    def get(): return box",
}


@pytest.mark.parametrize("case", SHARING)
def test_closures_that_share_what_they_change_are_refused(notebook, case):
    notebook.cell(f"def make():\n    {SHARING[case]}\n    return put, get\nput, get = make()")
    notebook.setup("put(1)\ns = get()")
    with pytest.raises(CannotCapture, match="`get` and `put` share the variable `box`"):
        notebook.build()


def test_one_of_several_closures_travels_alone(notebook):
    notebook.cell(f"def make():\n    {SHARING['mutable']}\n    return put, get\nput, get = make()")
    notebook.setup("s = get()")
    assert notebook.remote_value("s") == []


def test_comments_of_a_captured_function_stay(notebook):
    text = "# why\n# and how\ndef f():  # what\n    return 1  # one"
    notebook.cell(f"x = 1\n\n{text}\n# below")
    notebook.setup("s = f()")
    assert f"\n\n\n{text}\n\n\ns = f()" in notebook.build().text


def test_large_value_is_measured_without_a_copy(notebook):
    import tracemalloc

    notebook.cell("import numpy as np\nW = np.zeros(20_000_000)")
    notebook.setup("x = W.sum()")
    tracemalloc.start()
    with pytest.raises(CannotCapture, match="160 MB"):
        notebook.build()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_deleted_value_is_let_go(notebook):
    import gc
    import weakref

    notebook.cell("class Model: pass\nmodel = Model()")
    seen = weakref.ref(notebook.value("model"))
    notebook.cell("del model")
    gc.collect()
    assert seen() is None


def test_blank_lines_above_keep_line_numbers_right(notebook):
    notebook.shell.user_ns["f"] = f = lambda: None
    text = "\n\ndef f():\n    return 1"
    notebook.provenance.record("cell 1", text.strip(), {"f": f}, raw=text)
    assert notebook.provenance.source_of("f", f).passages[0].places == (3, 4)


def test_value_changed_in_place_is_not_taken_from_its_text(notebook):
    notebook.cell("items = [1]")
    notebook.cell("items.append(2)")
    notebook.setup("s = items")
    assert notebook.remote_value("s") == [1, 2]


def test_lambdas_changed_in_place_are_not_taken_from_their_text(notebook):
    notebook.cell("ops = {'a': lambda: 1}")
    notebook.cell("ops['a'] = lambda: 2")
    notebook.setup("s = ops['a']()")
    assert notebook.remote_value("s") == 2


def test_function_attributes_changed_in_a_later_cell_travel(notebook):
    notebook.cell("def f(): return f.seen\nf.seen = {}\nf.gone = 1")
    notebook.cell("f().setdefault('a', 1); setattr(f, 'k', 2); delattr(f, 'gone')")
    notebook.setup("s = [f(), f.k, hasattr(f, 'gone')]")
    assert notebook.remote_value("s") == [{"a": 1}, 2, False]


def test_class_attribute_set_by_a_call_travels(notebook):
    notebook.cell("class A:\n    z = 1")
    notebook.cell("setattr(A, 'z', 5)")
    notebook.setup("s = A.z")
    assert notebook.remote_value("s") == 5


def test_name_bound_again_by_code_is_not_taken_from_its_old_source(notebook):
    notebook.cell("def f(): return 1")
    notebook.cell("globals()['f'] = lambda: 2")
    notebook.setup("s = f()")
    assert notebook.remote_value("s") == 2


def test_deleted_name_is_missing(notebook):
    notebook.cell("def f(): return 1")
    notebook.cell("del f")
    notebook.setup("s = f()")
    with pytest.raises(MissingName, match="`f`"):
        notebook.build()


def test_helper_stands_above_what_uses_it(notebook):
    notebook.cell("def a(): return b()\ndef b(): return K\nK = 1")
    notebook.setup("s = a()")
    text = notebook.build().text
    assert text.index("K = 1") < text.index("def b") < text.index("def a") < text.index("s = a()")


def test_capture_stands_just_before_the_first_cell_that_needs_it(notebook):
    notebook.cell("K = 1")
    notebook.setup("import os")
    notebook.setup("x = K")
    text = notebook.build().text
    assert text.index("import os") < text.index("K = 1") < text.index("x = K")


def test_pickled_functions_share_the_programs_globals(notebook):
    notebook.cell("exec('def bump():\\n    global N\\n    N += 1')\nexec('def read(): return N')")
    notebook.cell("N = 0")
    notebook.setup("bump()\nbump()\ns = [read(), N]")
    assert notebook.remote_value("s") == [2, 2]


def test_marks_of_rpnb_are_taken_out_of_captured_functions(notebook):
    notebook.cell("import types\nrpnb = types.SimpleNamespace(handler=lambda f: f)")
    notebook.cell("@rpnb.handler\ndef f(job):\n    return 1")
    notebook.setup("s = f(0)")
    assert "rpnb.handler" not in notebook.build().text


def test_bytecode_for_another_python_is_refused(notebook):
    notebook.cell("exec('def ex(x): return x')")
    notebook.setup("s = ex(1)")
    with pytest.raises(CannotCapture, match=r"`ex` holds code without a source.*3\.9"):
        notebook.build(there=There("3.9"))


def test_plain_data_for_another_python_is_fine(notebook):
    notebook.cell("v = list(range(5000))")
    notebook.setup("s = sum(v)")
    assert notebook.build(there=There("3.9")).python == ""


def test_program_with_bytecode_says_for_which_python(notebook):
    import sys

    notebook.cell("exec('def ex(x): return x')")
    notebook.setup("s = ex(1)")
    assert notebook.build().python == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_large_value_is_refused_with_its_size(notebook):
    notebook.cell("import numpy as np\nW = np.zeros(9_000_000)")
    notebook.setup("x = W.sum()")
    with pytest.raises(CannotCapture, match=r"`W` is 72 MB.*--send W"):
        notebook.build()


def test_large_value_travels_when_asked_for(notebook):
    notebook.cell("import numpy as np\nW = np.zeros(9_000_000)")
    notebook.setup("x = W.sum()")
    assert sum(size for _, size in notebook.build(send=["W"]).files.values()) > 72_000_000


def test_every_problem_is_said_at_once(notebook):
    notebook.cell("import threading\nlock = threading.Lock()")
    notebook.setup("x = lock\ny = nowhere")
    notebook.handler("z = 1")
    with pytest.raises(ProgramError) as raised:
        notebook.build()
    text = str(raised.value)
    assert all(part in text for part in ("3 problems", "`lock`", "`nowhere`", "no handler"))


def test_programs_from_before_serve_names_that_are_gone(notebook):
    notebook.cell("K = 2\ndef helper(x):\n    return x * K\nv = list(range(5000))")
    notebook.handler("def handler(job):\n    return helper(len(v))")
    before = notebook.build()
    notebook.shell.reset(new_session=False)
    notebook.provenance = type(notebook.provenance)()
    after = notebook.build(base=type(before).from_wire(before.to_wire()))
    assert (after.text, after.files) == (before.text, before.files)


def test_built_text_is_the_same_each_time(notebook):
    notebook.cell("s = {'a', 'b', 'c'}\nimport numpy as np\nW = np.ones(3)\ndef f(): return s, W")
    notebook.setup("x = f()")
    assert notebook.build() == notebook.build()


def test_value_of_a_class_that_a_call_made_is_the_same_bytes_in_each_build(notebook):
    notebook.cell("from collections import namedtuple\nPt = namedtuple('Pt', 'x y')")
    notebook.cell("p = Pt(1, 2)")
    notebook.setup("q = p.x")
    first = notebook.build()
    notebook.cell("Pt = namedtuple('Pt', 'x y'); p = Pt(1, 2)")
    assert notebook.build().files == first.files != {}


def test_subclass_of_a_later_cell_registers_itself_there_too(notebook):
    notebook.cell(
        "class Base:\n    kinds = {}\n    def __init_subclass__(cls):\n"
        "        Base.kinds[cls.__name__] = cls"
    )
    notebook.cell("class One(Base): n = 1")
    notebook.setup("result = Base.kinds['One'].n")
    assert notebook.remote_value("result") == 1


def test_types_are_exported_as_written(notebook):
    notebook.cell("import typing\nT = typing.TypeVar('T')\nMaybe = int | None\nNONE = object()")
    notebook.setup("def f(x: T = NONE) -> Maybe: ...")
    program = notebook.build()
    lines = {"T = typing.TypeVar('T')", "Maybe = int | None", "NONE = object()"}
    assert not program.files
    assert lines <= set(program.text.split("\n"))


@pytest.mark.slow  # 160 notebooks
@pytest.mark.timeout(180)
def test_a_real_notebook_builds_what_the_pairs_of_versions_run(notebook, tmp_path, monkeypatch):
    """`tests/minors` compiles cells by itself: where there is no IPython, too."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, case in CASES.items():
        if sys.version_info[:2] < case.since:
            continue
        for file, text in case.files:
            (tmp_path / file).write_text(text)
            monkeypatch.delitem(sys.modules, file.partition(".")[0], raising=False)
        notebook.reset()
        for cell in case.cells:
            notebook.cell(cell)
        notebook.setup(f"x = {case.use}")
        real = _text(notebook.remote, notebook.names())
        main = sys.modules["__main__"]
        try:
            plain = Plain(tmp_path)
            for cell in case.cells:
                plain.cell(cell)
            names = Names(plain.namespace, plain.provenance, tmp_path, [str(tmp_path)])
            assert real == _text(notebook.remote, names), name
        finally:
            sys.modules["__main__"] = main


def _text(cells, names):
    try:
        return build(cells, names).text
    except CannotCapture as refused:
        return str(refused)


SCRIPT = """
import math
K = 3
def double(x):
    return helper(x) * K
def helper(x): return math.floor(x)
class A:
    def __init__(self): self.v = K
    def m(self): return double(self.v)
a = A()
add = (lambda n: lambda x: x + n)(5)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("options", ["", "-i ", "-t "])
@pytest.mark.parametrize(
    ("use", "value"),
    [("double(2.5)", 6), ("A().m()", 9), ("a.m()", 9), ("add(1)", 6), ("isinstance(a, A)", True)],
)
def test_names_that_run_made_travel_as_source(notebook, folder, options, use, value):
    (folder / "script.py").write_text(SCRIPT)
    notebook.cell(f"%run {options}script.py")
    notebook.setup(f"x = {use}")
    program = notebook.build(there=There("3.9"))
    assert program.python == ""
    assert notebook.remote_value("x") == value


def test_script_whose_names_the_notebook_changed_keeps_its_own(notebook, folder):
    (folder / "script.py").write_text(SCRIPT)
    notebook.cell("%run script.py")
    notebook.cell("K = 100")
    notebook.setup("x = [double(2.5), K]")
    assert notebook.value("[double(2.5), K]") == [6, 100]
    assert notebook.remote_value("x") == [6, 100]


def test_loaded_cell_travels_as_any_other(notebook, folder):
    notebook.cell("# %load script.py\ndef f(x): return x + 1")
    notebook.setup("x = f(1)")
    assert notebook.remote_value("x") == 2
