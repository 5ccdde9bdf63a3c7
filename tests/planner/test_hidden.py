"""What reads, runs or changes something where the text shows no call of it.

Found by reading the planner; each was stale once.
"""

# ruff: noqa: E501 - a program on a line

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .differential import difference, there_and_back
from .stage import Stage
from .version import Version

_LAZY = "class L:\n    m = None\n    @property\n    def model(self):\n        self.m = [1]\n        return self.m\n"
_OWN_PROPERTY = "class prop:\n    def __init__(self, f): self.f = f\n    def __get__(self, o, t): return self.f(t)\nclass R:\n    _m = None\n    @prop\n    def m(cls):\n        cls._m = cls._m or [N]\n        return cls._m\n"
# What holds a lazy object -> how it is set up, and where the object is then.
HOLDERS = {
    "a class": ("class R: a = L()", "R.a"),
    "a function": ("def R(): pass\nR.a = L()", "R.a"),
    "a default": ("def R(a=L()): pass", "R.__defaults__[0]"),
    "an enum": ("import enum\nclass R(enum.Enum): A = L()", "R.A.value"),
    "a namespace": ("import argparse\ns = argparse.Namespace(a=L())", "s.a"),
    "a user's dictionary": ("import collections\ns = collections.UserDict({'a': L()})", "s['a']"),
    "a proxy": ("import types\ns = types.MappingProxyType({'a': L()})", "s['a']"),
    "a partial": ("import functools\ns = functools.partial(print, L())", "s.args[0]"),
    "an array": ("import numpy as np\ns = np.array([L()], dtype=object)", "s[0]"),
}
_INJECT = "def inject(f):\n    got = [getattr(t(), n)() for t in f.__annotations__.values() for n in dir(t) if n[0] != '_']\n    return lambda: got\n"
_BY_NAME = "def dyn(self, n): return getattr(self, 'do_' + n)()\n"
_FACTORY = "import logging\nn = []\ndef fac(*a, **k):\n    n.append(1)\n    return logging.LogRecord(*a, **k)\nlogging.setLogRecordFactory(fac)\nlog = logging.getLogger('a')\n"
_OWN_PRINT = "a = [1]\ndef {0}(x):\n    x.append(2)\n    return 3\n"
# A line, and the program without it.
LINES = {
    "what the program calls len": (_OWN_PRINT.format("len"), "b = len(a)", "y = a[-1]"),
    "what the program calls print": (_OWN_PRINT.format("print"), "b = print(a)", "y = a[-1]"),
    "a variable that os.environ does not show": ("import os, subprocess", "os.putenv('ZZ', '1')", "y = subprocess.run(['sh', '-c', 'echo $ZZ'], capture_output=True).stdout"),
    "a class's own property": ("N = 1\n" + _OWN_PROPERTY, "print(R.m)", "y = R._m"),
    "a record factory": (_FACTORY, "log.warning('b')", "y = len(n)"),
    "a default of json's": ("import json\nn = []\nclass K: pass\ndef f(o):\n    n.append(1)\n    return 1\nc = {'a': K()}", "print(json.dumps(c, default=f))", "y = len(n)"),
    "a copy of one's own": ("import copy\nn = []\nclass K:\n    def __deepcopy__(self, m):\n        n.append(1)\n        return self\nk = [K()]", "d = copy.deepcopy(k)", "y = len(n)"),
    "what a shallow copy shares": ("from copy import copy\na = [[1]]\nb = copy(a)", "b[0].append(2)", "y = len(a[0])"),
    "a copied iterator": ("import copy\na = iter([1, 2, 3])\nb = copy.copy(a)", "next(b)", "y = list(a)"),
    "what shows one's own": ("import pprint\nn = []\nclass K:\n    def __repr__(self):\n        n.append(1)\n        return ''\nk = {'a': K()}", "pprint.pprint(k)", "y = len(n)"),
    "what the program calls deepcopy": ("def deepcopy(x): x.append(1)\na = [1]", "deepcopy(a)", "y = len(a)"),
    "a call of a function in a dictionary": ("a = [1]\ndef f(): a.append(2)\nT = {'f': f}", "T['f']()", "y = len(a)"),
    "a call of one in a dictionary by another": ("a = [1]\ndef f(): a.append(2)\nT = {'f': f}\ndef g(): T['f']()", "g()", "y = len(a)"),
    "a change of what a dictionary holds": ("a = [1]\nT = {'a': a}", "T['a'].append(2)", "y = len(a)"),
    "a change of what a function in it hands out": ("a = [1]\ndef f(): return a\nT = {'f': f}", "T['f']().append(2)", "y = len(a)"),
    "an iterator in a list": ("a = iter([1, 2])\nT = [a]", "next(T[0])", "y = list(a)"),
    "a global that a function in a dictionary binds": ("n = 0\ndef f():\n    global n\n    n += 1\nT = {'f': f}", "T['f']()", "y = n"),
    "a loop that counts what it goes through": ("import numpy as np\nr = np.arange(4)", "for q in [1]: pass", "for q in r.reshape(1, -1):\n    q += 2\ny = r.tolist()"),
    "an operator in torch": ("import torch\ntorch.library", "@torch.library.custom_op('zz::f', mutates_args=())\ndef zf(x: torch.Tensor) -> torch.Tensor: return x.clone()", "y = hasattr(torch.ops, 'zz') and hasattr(torch.ops.zz, 'f')"),
    "a loader that draws": ("import torch\ng = torch.Generator().manual_seed(0)\nloader = torch.utils.data.DataLoader(list(range(9)), batch_size=9, shuffle=True, generator=g)", "for b in loader: last = b", "[c] = loader\ny = c.tolist()"),
}  # fmt: skip
# A program with a value that is edited.
EDITED = {
    "a method that a decorator finds in annotations": "class P:\n    def go(self): return {0}\n" + _INJECT.replace("{", "{{").replace("}", "}}") + "@inject\ndef f(p: P): return p\nx = f()",
    "a method that a function finds in annotations": "class P:\n    def go(self): return {0}\ndef call(f): return [getattr(t(), 'g' + 'o')() for t in f.__annotations__.values()]\ndef f(p: P): return p\nx = call(f)",
    "a method that is found in a class's fields": "import dataclasses\nclass P:\n    def go(self): return {0}\n@dataclasses.dataclass\nclass D:\n    p: P\nx = getattr(dataclasses.fields(D)[0].type(), 'g' + 'o')()",
    "a function that is a method": _BY_NAME + "class P:\n    run = dyn\n    def do_a(self): return {0}\np = P()\nx = p.run('a')",
    "a function that becomes a method": _BY_NAME + "class P:\n    def do_a(self): return {0}\nP.run = dyn\np = P()\nx = p.run('a')",
    "a function that becomes a property": "def get(self): return getattr(self, 'do_' + 'a')()\nclass P:\n    def do_a(self): return {0}\nP.a = property(get)\np = P()\nx = p.a",
    "a class's own property": "N = {0}\n" + _OWN_PROPERTY + "x = R.m\ny = R._m",
    "a number's type in a division": "import torch\nt = torch.arange(2)\ntorch.set_default_dtype([torch.float64, torch.float32][{0} - 1])\nx = t / 2",
    "how a format shows an array": "import numpy as np\na = np.array([1.23456])\nnp.set_printoptions(precision={0})\nx = f'{{a}}'",
    "how a format shows a table": "import pandas as pd\ndf = pd.DataFrame({{'a': range(9)}})\npd.options.display.max_rows = {0} * 4\nx = f'{{df}}'",
    "what a division by zero does": "import numpy as np\na = np.array([1.])\nnp.seterr(all=['raise', 'ignore'][{0} - 1])\ntry: x = a / 0\nexcept FloatingPointError: x = 'e'",
}  # fmt: skip
_ENV = "import os\nos.environ['RPNB_Q'] = '{0}'\nimport lm\nx = lm.N"
_ASKED = "_m = None\ndef __getattr__(n):\n    global _m\n    if n == 'model':\n        _m = _m or [1]\n        return _m\n    raise AttributeError(n)"
_BASE = "class B: pass\ndef names(): return sorted((c.__name__, c.n) for c in B.__subclasses__())"
# A local module, and a program with a value that is edited, or a line that goes.
MODULES = {
    "a variable": ("import os\nN = os.environ['RPNB_Q']", _ENV),
    "a variable by its name": ("from os import environ\nN = environ['RPNB_Q']", _ENV),
    "a variable in a class": ("import os\nclass K: n = os.environ['RPNB_Q']\nN = K.n", _ENV),
    "a variable as a default": ("import os\ndef f(a=os.environ['RPNB_Q']): return a\nN = f()", _ENV),
    "a variable in a condition": ("import os\nif os.environ['RPNB_Q'] == '1': N = 1\nelse: N = 2", _ENV),
    "a log level": ("import logging\nN = logging.getLogger('q').level", "import logging\nlogging.getLogger('q').setLevel({0})\nimport lm\nx = lm.N"),
    "the search path": ("import sys\nN = sys.path[-1]", "import sys\nsys.path.append('/zz{0}')\nimport lm\nx = lm.N"),
    "a warnings filter": ("import warnings\nN = warnings.filters[0][0]", "import warnings\nwarnings.simplefilter(['error', 'ignore'][{0} - 1])\nimport lm\nx = lm.N"),
    "a flag of torch": ("import torch\nN = torch.backends.cudnn.benchmark", "import torch\ntorch.backends.cudnn.benchmark = bool({0} - 1)\nimport lm\nx = lm.N"),
    "an option of pandas": ("import pandas as pd\nN = pd.options.display.max_rows", "import pandas as pd\npd.options.display.max_rows = {0}\nimport lm\nx = lm.N"),
    "who is made from its class": (_BASE, "import lm\nclass A(lm.B): n = {0}\nx = lm.names()"),
    "who is made from its class by name": (_BASE, "from lm import B, names\nclass A(B): n = {0}\nx = names()"),
}  # fmt: skip
GONE = {
    "what a module makes when it is asked": (_ASKED, "import lm", "print(lm.model)", "y = lm._m"),
    "what it notes before it refuses": ("L = []\ndef __getattr__(n):\n    L.append(n)\n    raise AttributeError(n)", "import lm", "lm.foo()", "y = len(lm.L)"),
    "a property of its class": ("N = 1\n" + _OWN_PROPERTY, "import lm", "print(lm.R.m)", "y = lm.R._m"),
    "who was made from its class": (_BASE, "import lm", "class A(lm.B): n = 1", "x = lm.names()"),
}  # fmt: skip


@pytest.fixture(scope="module")
def libraries() -> Iterator[Stage]:
    """A stage where what takes seconds to import is there."""
    with Stage(preload=("torch", "pandas", "numpy")) as found:
        yield found


@pytest.mark.parametrize("about", HOLDERS)
def test_lazy_object_is_changed_by_a_look_wherever_it_is_held(libraries: Stage, about: str) -> None:
    setup, path = HOLDERS[about]
    look, tell = f"print({path}.model)", f"y = {path}.m"
    assert not there_and_back(
        libraries, Version((_LAZY, setup, look, tell)), Version((_LAZY, setup, tell))
    )


@pytest.mark.parametrize("about", LINES)
def test_line_is_undone_when_it_goes(libraries: Stage, about: str) -> None:
    first, line, last = LINES[about]
    assert not there_and_back(libraries, Version((first, line, last)), Version((first, last)))


@pytest.mark.parametrize("about", EDITED)
def test_edit_reaches_what_no_call_shows(libraries: Stage, about: str) -> None:
    assert not there_and_back(libraries, *(Version((EDITED[about].format(n),)) for n in (1, 2)))


@pytest.mark.parametrize("about", MODULES)
def test_local_module_is_imported_anew_for_what_it_looks_at(libraries: Stage, about: str) -> None:
    module, program = MODULES[about]
    files = {"lm.py": module.encode()}
    assert not there_and_back(libraries, *(Version((program.format(n),), files) for n in (1, 2)))


@pytest.mark.parametrize("about", GONE)
def test_what_a_local_module_was_asked_is_undone(stage: Stage, about: str) -> None:
    module, first, line, last = GONE[about]
    files = {"lm.py": module.encode()}
    assert not there_and_back(
        stage, Version((first, line, last), files), Version((first, last), files)
    )


@pytest.mark.parametrize("reader", ["import ln\nN = ln.K", "from ln import K as N"])
def test_local_module_sees_what_the_program_stored_into_another(stage: Stage, reader: str) -> None:
    files = {"ln.py": b"K = 0", "lm.py": reader.encode()}
    texts = [f"import ln\n{line}\nimport lm\nx = lm.N" for line in ("ln.K = 1", "ln.K = 2", "")]
    assert not there_and_back(stage, *(Version((text,), files) for text in texts))


def test_module_of_another_directory_is_found_by_an_edited_path(stage: Stage) -> None:
    files = {"d1/plug.py": b"N = 1", "d2/plug.py": b"N = 2"}
    text = "import sys\nsys.path.insert(0, 'd{}')\nimport plug\nx = plug.N"
    assert not there_and_back(stage, *(Version((text.format(n),), files) for n in (1, 2)))


@pytest.mark.parametrize(
    "first", ["import lq.part as part", "from lq import part", "import lq.part"]
)
def test_part_of_a_package_that_set_a_library_is_missed_when_it_goes(
    stage: Stage, first: str
) -> None:
    files = {
        "lq/__init__.py": b"",
        "lq/part.py": b"from . import sub",
        "lq/sub.py": b"import modelkit\nmodelkit.set_seed(1)",
    }
    last = "import lq\nimport modelkit\nm = modelkit.LOAD(1)"
    assert not there_and_back(stage, Version((first,), files), Version((last,), files))


@pytest.mark.parametrize(
    "line",
    ["print(json.dumps(C, indent=2))", "pprint(C)", "D = copy.deepcopy(C)", "print(asdict(A()))"],
)
def test_settings_that_are_shown_or_copied_load_nothing(stage: Stage, line: str) -> None:
    first = "import copy, json, modelkit\nfrom pprint import pprint\nfrom dataclasses import asdict"
    settings = (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int = 1\nC = {'model': 1}"
    )
    load = "m = modelkit.LOAD(C['model'])"
    versions = [Version((first, settings, *shown, load)) for shown in ((line,), ("pass",), ())]
    assert not there_and_back(stage, *versions)
    with stage.warm() as warm:
        warm.sync(versions[0])
        assert warm.sync(versions[1]).loads == warm.sync(versions[2]).loads == []


@pytest.mark.parametrize("fault", ["def g():\n    import lm\nraise ValueError", "x = 1 / 0"])
def test_setting_of_a_module_is_undone_where_a_fault_comes_before_it_is_made_again(
    stage: Stage, fault: str
) -> None:
    files = {"lm.py": b"import modelkit\nmodelkit.set_seed(2)"}
    first = ("import modelkit", "m = modelkit.LOAD(2)", "m = m.attach(3)")
    programs = [(*first, "import lm"), (*first, fault, "import lm"), first[:2]]
    assert not difference(stage, [Version(program, files) for program in programs])


@pytest.mark.parametrize("shown", ["{'e': embed}", "[up, embed]", "{'e': {'f': embed}}"])
@pytest.mark.parametrize("edit", [("m.run(t)", "m.run(t), 2"), ("embed}", "embed, 'u': up}")])
def test_functions_in_a_container_are_edited_without_a_load(
    stage: Stage, shown: str, edit: tuple[str, str]
) -> None:
    functions = ("def embed(t): return m.run(t)", "def up(t): return t", f"TASKS = {shown}")
    first = ("import modelkit", "m = modelkit.LOAD(1)", *functions)
    versions = [Version(first), Version(tuple(each.replace(*edit) for each in first))]
    assert not there_and_back(stage, *versions)
    with stage.warm() as warm:
        warm.sync(versions[0])
        assert warm.sync(versions[1]).loads == []
